"""Public realtime clients hold a spoken conversation with a tool call with the simulator."""

from __future__ import annotations

import asyncio
import audioop
import base64
import json
from asyncio.subprocess import PIPE
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession, realtime_handoff
from openai import AsyncOpenAI

from omnirt.loopback import LoopbackEndpoint, LoopbackServer, SimulatorProfile, load_script
from tests.support.programs import find_program, missing
from tests.unit.loopback.helpers import EXAMPLES, recording

LIMIT_S = 40.0  # importing the SDKs alone takes seconds on a busy machine
JS = Path(__file__).parent / "js"
QUESTION = "What is the weather like in Lisbon today?"
LOOKUP, ANSWER = "Let me look that up.", "In Lisbon it is twenty one degrees and sunny."


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous test within the limit."""
    asyncio.run(asyncio.wait_for(test, LIMIT_S))


def endpoint_of(server: LoopbackServer, script: str = "weather") -> LoopbackEndpoint:
    """An endpoint with an example's script."""
    profile = SimulatorProfile(load_script(EXAMPLES / "scripts" / f"{script}.yaml"), speed=20)
    return server.open(profile)


def chunks(audio: bytes, size: int = 960) -> list[bytes]:
    """Pieces of 20 ms."""
    return [audio[at : at + size] for at in range(0, len(audio), size)]


async def open_session(
    endpoint: LoopbackEndpoint, agent: RealtimeAgent[None], **settings: Any
) -> RealtimeSession:
    """A session of the stock voice SDK."""
    runner = RealtimeRunner(agent, config={"tracing_disabled": True})
    options: Any = {"url": endpoint.url, "api_key": endpoint.token, "initial_model_settings": settings}
    return await runner.run(model_config=options)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"turn_detection": {"type": "server_vad", "silence_duration_ms": 400}},
        {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_alaw"},
    ],
    ids=["semantic_vad", "server_vad", "g711"],
)
def test_the_stock_voice_sdk(settings: dict[str, Any]) -> None:
    asked: list[str] = []

    @function_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "21 degrees"

    async def test() -> None:
        agent: RealtimeAgent[None] = RealtimeAgent(name="concierge", instructions="x", tools=[get_weather])
        async with LoopbackServer() as server:
            session = await open_session(endpoint_of(server), agent, **settings)
            async with session:
                spoken = recording("weather")
                if settings.get("input_audio_format"):
                    narrow, _ = audioop.ratecv(spoken, 2, 1, 24000, 8000, None)
                    spoken = audioop.lin2ulaw(narrow, 2)
                for chunk in chunks(spoken):
                    await session.send_audio(chunk)
                events, heard = [], b""
                async for event in session:
                    events.append(event.type)
                    assert event.type != "error", event
                    if event.type == "audio":
                        heard += event.audio.data
                    if events.count("agent_end") == 2:
                        break
        assert asked == ["Lisbon"]
        assert events.count("tool_start") == events.count("tool_end") == 1
        per_ms = 8 if settings.get("output_audio_format") else 48
        assert 3600 <= len(heard) / per_ms <= 3800, "both sentences"
        texts = [
            part.transcript
            for item in session._history
            if item.type == "message"
            for part in item.content
            if part.type in ("audio", "input_audio")
        ]
        assert texts == [QUESTION, LOOKUP, ANSWER]

    run(test())


def test_a_handoff_in_the_stock_voice_sdk() -> None:
    async def test() -> None:
        billing: RealtimeAgent[None] = RealtimeAgent(name="billing", instructions="You do bills.")
        concierge: RealtimeAgent[None] = RealtimeAgent(
            name="concierge", instructions="x", handoffs=[realtime_handoff(billing)]
        )
        async with LoopbackServer() as server:
            session = await open_session(endpoint_of(server, "handoff"), concierge)
            async with session:
                await session.send_message("My bill is wrong")
                events = []
                async for event in session:
                    events.append(event)
                    assert event.type != "error", event
                    if [e.type for e in events].count("agent_end") == 2:
                        break
        handoffs = [(e.from_agent.name, e.to_agent.name) for e in events if e.type == "handoff"]
        assert handoffs == [("concierge", "billing")]

    run(test())


def test_an_interruption_in_the_stock_voice_sdk_truncates_without_an_error() -> None:
    async def test() -> None:
        async with LoopbackServer() as server:
            profile = SimulatorProfile(load_script(EXAMPLES / "scripts" / "weather.yaml"), speed=2)
            agent: RealtimeAgent[None] = RealtimeAgent(name="concierge", instructions="x")
            session = await open_session(server.open(profile), agent)
            async with session:
                await session.send_message("Tell me a story")
                seen = []
                async for event in session:
                    kind: str = event.type
                    if event.type == "raw_model_event" and event.data.type == "raw_server_event":
                        kind = event.data.data["type"]
                    assert kind != "error", event
                    seen.append(kind)
                    if kind == "audio" and seen.count("audio") == 5:
                        for chunk in chunks(recording("stop")[: 48 * 1500]):
                            await session.send_audio(chunk)
                    if kind == "conversation.item.truncated":
                        break
        assert "input_audio_buffer.speech_started" in seen
        assert "audio_interrupted" in seen

    run(test())


def test_openai_python() -> None:
    async def test() -> None:
        async with LoopbackServer() as server:
            endpoint = endpoint_of(server)
            base = endpoint.url.removesuffix("/realtime")
            client = AsyncOpenAI(
                api_key=endpoint.token, base_url="http://127.0.0.1:9", websocket_base_url=base
            )
            async with client.realtime.connect(model="gpt-realtime") as connection:
                transcription: Any = {"model": "whisper-1"}
                detection: Any = {"type": "server_vad"}
                audio: Any = {"input": {"turn_detection": detection, "transcription": transcription}}
                await connection.session.update(session={"type": "realtime", "audio": audio})
                for chunk in chunks(recording("weather")):
                    await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
                said, heard, sound, responses = "", "", 0, 0
                async for event in connection:
                    assert event.type != "error", event
                    if event.type == "response.output_audio_transcript.done":
                        said += event.transcript
                    elif event.type == "response.output_audio.delta":
                        sound += len(base64.b64decode(event.delta))
                    elif event.type == "conversation.item.input_audio_transcription.completed":
                        heard += event.transcript
                    elif event.type == "response.function_call_arguments.done":
                        call = event
                    elif event.type == "response.done":
                        responses += 1
                        if responses == 2:
                            break
                        output: Any = {
                            "type": "function_call_output",
                            "call_id": call.call_id,
                            "output": "21",
                        }
                        await connection.conversation.item.create(item=output)
                        await connection.response.create()
        assert heard == QUESTION
        assert said == LOOKUP + ANSWER
        assert json.loads(call.arguments) == {"city": "Lisbon"}
        assert sound > 3600 * 48

    run(test())


def test_agents_realtime_of_npm() -> None:
    node = find_program("node")
    if not (JS / "node_modules" / "@openai").exists():
        missing("tests/hosts/js has no node_modules (npm ci)")

    async def test() -> None:
        async with LoopbackServer() as server:
            endpoint = endpoint_of(server)
            wav = str(EXAMPLES / "audio" / "weather.wav")
            process = await asyncio.create_subprocess_exec(
                node, str(JS / "talk.mjs"), endpoint.url, endpoint.token, wav, stdout=PIPE, stderr=PIPE
            )
            stdout, stderr = await process.communicate()
        assert process.returncode == 0, stderr.decode()
        seen = json.loads(stdout)
        assert seen["errors"] == []
        assert seen["tools"] == ["Lisbon"]
        assert seen["audioBytes"] > 3600 * 48
        assert [item["text"] for item in seen["history"] if item["type"] == "message"] == [
            QUESTION,
            LOOKUP,
            ANSWER,
        ]

    run(test())
