"""`RealtimeSession` in a program of its own, without the daemon: over the simulator, on a real socket."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev, jsonrpc
from omnirt.protocol.calls import ToolCallParams, ToolCallResult
from omnirt.protocol.methods import SessionWaitResult
from omnirt.protocol.pending import CallFailed
from omnirt.protocol.types import Event
from omnirt.rpc.lanes import OutputQueue
from omnirt.sessions import RealtimeSession, life
from omnirt.sessions.services import Services
from omnirt.storage import AudioStorage
from tests.support import provider_events as pe
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.talks import AGENT, WAIT_S, Heard, heard_all, of, omnirt_talk, simulated
from tests.unit.sessions.helpers import spoken

WEATHER = {
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "run": "host",
    "timeout_s": 5,
}
WITH_TOOL = {**AGENT, "tools": [WEATHER]}
CALLS_WEATHER = {
    "rules": [
        {"on": "user", "do": [{"call": {"tool": "weather", "arguments": {"city": "Rome"}}}]},
        {"on": "tool_output", "do": [{"text": "I see: {tool_output}"}]},
    ]
}
LONG = {"rules": [{"on": "any", "do": [{"say": "story"}]}]}


def session_of(folder: Path, **members: Any) -> RealtimeSession:
    members.setdefault("settings", simulated())
    return RealtimeSession(AGENT, data_dir=folder, **members)


async def waited(session: RealtimeSession) -> SessionWaitResult:
    """What a wait for idle gives."""
    reply = session.put_wait(WAIT_S)
    assert isinstance(reply, asyncio.Future)
    result = await reply
    assert isinstance(result, SessionWaitResult)
    return result


async def idle(session: RealtimeSession) -> list[str]:
    """Wait until the session is idle; returns the texts of the responses that ended."""
    return [response.text for response in (await waited(session)).responses]


def assert_whole(events: list[Event]) -> None:
    """What holds of every run: numbered, `connected` first, `closed` last, all that starts ends once."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[0], ev.RealtimeState)
    assert events[0].state == "connected"
    assert [isinstance(event, ev.RealtimeClosed) for event in events].index(True) == len(events) - 1
    times = [event.at_ms for event in events]
    assert times == sorted(times)
    for start, end in (
        (ev.RealtimeResponseStart, ev.RealtimeResponseEnd),
        (ev.RealtimeAgentStart, ev.RealtimeAgentEnd),
        (ev.RealtimeToolStart, ev.RealtimeToolEnd),
        (ev.RealtimeInputSpeechStart, ev.RealtimeInputSpeechEnd),
    ):
        assert sum(map(of(start), events)) == sum(map(of(end), events))


@driven
async def test_a_text_is_answered_in_speech_and_kept_in_a_file(tmp_path: Path) -> None:
    session = session_of(tmp_path, session_id="talk-1")
    await session.start()
    started = await session.connect()
    assert (started.session_id, started.agent, started.provider) == ("talk-1", "greeter", "simulator")
    heard = Heard(session.stream_events())
    await session.send_text("Hello")
    assert await idle(session) == ["Hello there, it is good to hear you."]
    ended = await session.stop()
    await heard.end()
    assert_whole(heard.events)
    audio = [event for event in heard.events if isinstance(event, ev.RealtimeAudio)]
    [part] = [event for event in heard.events if isinstance(event, ev.RealtimeAudioEnd)]
    assert ended.reason == "stopped"
    assert [file.path for file in ended.files] == [part.file]
    with wave.open(ended.files[0].path) as wav:
        assert wav.readframes(wav.getnframes()) == b"".join(event.audio for event in audio)


@driven
async def test_managed_starts_and_stops(tmp_path: Path) -> None:
    session = session_of(tmp_path)
    async with session.managed() as same:
        assert same is session
        assert session.info().state in ("connected", "listening")
    events = await heard_all(session)
    assert_whole(events)
    assert isinstance(events[-1], ev.RealtimeClosed)
    assert events[-1].reason == "stopped"
    with pytest.raises(OmnirtError) as refused:
        await session.send_text("Still there?")
    assert refused.value.kind == "session_state"


@driven
async def test_committed_audio_is_answered(tmp_path: Path) -> None:
    async with omnirt_talk(
        tmp_path, settings=simulated(), realtime={"turn_detection": None}, record="none"
    ) as session:
        heard = Heard(session.stream_events())
        accepted = await session.send_audio(b"\x00\x01" * 24_00)
        assert accepted.accepted_ms == 100
        await session.send_audio(b"", commit=True)
        assert len(await idle(session)) == 1
    await heard.end()
    assert_whole(heard.events)
    assert session.life.closed.result().files == []


@driven
async def test_half_a_sample_is_refused(tmp_path: Path) -> None:
    async with session_of(tmp_path).managed() as session:
        with pytest.raises(OmnirtError) as refused:
            await session.send_audio(b"\x00" * 3)
        assert refused.value.kind == "audio_invalid"


@driven
async def test_an_interrupt_cuts_what_is_unheard_and_no_audio_of_it_follows(tmp_path: Path) -> None:
    async with session_of(tmp_path, settings=simulated(LONG)).managed() as session:
        heard = Heard(session.stream_events())
        await session.send_text("Tell me a story")
        audio = await heard.first(of(ev.RealtimeAudio))
        assert isinstance(audio, ev.RealtimeAudio)
        result = await session.interrupt()
        assert (result.interrupted, result.item_id) == (True, audio.item_id)
        again = await session.interrupt()
        assert not again.interrupted
        await idle(session)
    await heard.end()
    assert_whole(heard.events)
    cut = next(i for i, event in enumerate(heard.events) if isinstance(event, ev.RealtimeAudioInterrupted))
    assert not any(isinstance(event, ev.RealtimeAudio) for event in heard.events[cut:])
    [end] = [event for event in heard.events if isinstance(event, ev.RealtimeResponseEnd)]
    assert end.status == "cancelled"


@driven
async def test_a_plain_async_function_is_a_host_tool(tmp_path: Path) -> None:
    asked: list[ToolCallParams] = []

    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        assert (method, timeout_s) == ("tool.call", 5)
        assert isinstance(params, ToolCallParams)
        asked.append(params)
        return ToolCallResult(output="sunny")

    async with omnirt_talk(
        tmp_path, agent=WITH_TOOL, settings=simulated(CALLS_WEATHER), call_host=call_host
    ) as session:
        heard = Heard(session.stream_events())
        await session.send_text("How is the weather?")
        assert (await idle(session))[-1] == "I see: sunny"
    await heard.end()
    assert_whole(heard.events)
    [call] = asked
    assert (call.tool_name, call.arguments, call.agent, call.timeout_ms) == (
        "weather",
        {"city": "Rome"},
        "greeter",
        5000,
    )
    [start] = [event for event in heard.events if isinstance(event, ev.RealtimeToolStart)]
    [end] = [event for event in heard.events if isinstance(event, ev.RealtimeToolEnd)]
    assert (start.tool_call_id, start.arguments, start.agent) == (
        call.tool_call_id,
        {"city": "Rome"},
        "greeter",
    )
    assert (end.tool_call_id, end.output, end.status) == (call.tool_call_id, "sunny", "completed")


@pytest.mark.parametrize(
    ("problem", "status", "kind"),
    [
        (CallFailed("error", "No thermometer.", 7), "failed", "tool_failed"),
        (CallFailed("host_gone", "The host has gone."), "failed", "session_state"),
        (CallFailed("overloaded", "Too many calls."), "failed", "overloaded"),
        (CallFailed("timeout", "Too late."), "timedOut", "timed_out"),
        (ValueError("sk-secret"), "failed", "internal"),
        (asyncio.CancelledError(), "failed", "internal"),
    ],
)
def test_a_tool_that_fails_is_told_to_the_model_and_the_talk_goes_on(
    tmp_path: Path, problem: BaseException, status: str, kind: str
) -> None:
    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        raise problem

    async def main() -> None:
        async with omnirt_talk(
            tmp_path, agent=WITH_TOOL, settings=simulated(CALLS_WEATHER), call_host=call_host
        ) as session:
            heard = Heard(session.stream_events())
            await session.send_text("How is the weather?")
            assert (await idle(session))[-1].startswith("I see: The tool weather ")
        await heard.end()
        assert_whole(heard.events)
        [end] = [event for event in heard.events if isinstance(event, ev.RealtimeToolEnd)]
        assert end.status == status
        assert end.error
        assert end.error.kind == kind
        assert "sk-secret" not in str(end)

    asyncio.run(main())


@driven
async def test_a_function_that_keeps_no_limit_is_given_up(tmp_path: Path) -> None:
    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    hasty = {**AGENT, "tools": [{**WEATHER, "timeout_s": 0.1}]}
    async with omnirt_talk(
        tmp_path, agent=hasty, settings=simulated(CALLS_WEATHER), call_host=call_host
    ) as session:
        heard = Heard(session.stream_events())
        await session.send_text("How is the weather?")
        assert (await idle(session))[-1] == "I see: The tool weather did not answer within 0.1 s."
    await heard.end()
    assert_whole(heard.events)
    [end] = [event for event in heard.events if isinstance(event, ev.RealtimeToolEnd)]
    assert end.status == "timedOut"


@driven
async def test_a_tool_that_will_not_be_cancelled_ends_before_the_session_does(tmp_path: Path) -> None:
    called, let_go = asyncio.Event(), asyncio.Event()

    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        called.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return ToolCallResult(output="at last")

    async with omnirt_talk(
        tmp_path, agent=WITH_TOOL, settings=simulated(CALLS_WEATHER), call_host=call_host
    ) as session:
        heard = Heard(session.stream_events())
        await session.send_text("How is the weather?")
        await asyncio.wait_for(called.wait(), WAIT_S)
        await session.stop(force=True)
        let_go.set()
    await heard.end()
    assert_whole(heard.events)
    [end] = [event for event in heard.events if isinstance(event, ev.RealtimeToolEnd)]
    assert (end.status, end.error.kind if end.error else "") == ("failed", "cancelled")


@driven
async def test_a_failed_start_tells_why_and_streams_nothing(tmp_path: Path) -> None:
    script = {"faults": [{"refuse": 401}]}
    session = session_of(tmp_path, settings=simulated(script))
    await session.start()
    with pytest.raises(OmnirtError) as refused:
        await session.connect()
    assert refused.value.kind == "auth_failed"
    assert await heard_all(session) == []
    ended = await session.stop()
    assert ended.reason == "error"
    assert not list(tmp_path.rglob("*.wav"))


@driven
async def test_a_lost_connection_ends_the_session_and_answers_the_wait(tmp_path: Path) -> None:
    script = {**LONG, "faults": [{"at": {"audio_delta": 2}, "drop": 1006}]}
    async with session_of(tmp_path, settings=simulated(script, reconnect=False)).managed() as session:
        heard = Heard(session.stream_events())
        await session.send_text("Tell me a story")
        assert (await waited(session)).state == "closed"
        await heard.end()
    assert_whole(heard.events)
    closed = heard.events[-1]
    assert isinstance(closed, ev.RealtimeClosed)
    assert closed.reason == "connectionLost"
    [fatal] = [event for event in heard.events if isinstance(event, ev.RealtimeError) and event.fatal]
    assert (fatal.kind, fatal.retryable) == ("provider_unreachable", True)


@driven
async def test_raw_events_come_on_request_and_behind_connected(tmp_path: Path) -> None:
    async with session_of(tmp_path, raw=True).managed() as session:
        pass
    events = await heard_all(session)
    assert_whole(events)
    kinds = [event.event["type"] for event in events if isinstance(event, ev.RealtimeRaw)]
    assert kinds[:2] == ["session.created", "session.updated"]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "é", "x" * 129, "a\n"])
def test_a_session_id_that_could_be_anything_else_is_refused(tmp_path: Path, name: str) -> None:
    async def main() -> None:
        with pytest.raises(OmnirtError) as refused:
            session_of(tmp_path, session_id=name)
        assert refused.value.kind == "invalid_params"

    asyncio.run(main())


class BrokenSink:
    """A sink of a careless program: it takes nothing."""

    dropped_ms = 0

    def put(self, event: Event) -> None:
        raise RuntimeError("the sink is broken")

    def interrupt(self, item_ids: Collection[str], events: Sequence[Event]) -> None:
        raise RuntimeError("the sink is broken")

    def unsent_ms(self, item_id: str, content_index: int) -> int:
        return 0

    async def flushed(self) -> None:
        raise RuntimeError("the sink is broken")

    def queued_bytes(self) -> int:
        return 0


@driven
async def test_whatever_breaks_everyone_who_waits_is_answered(tmp_path: Path) -> None:
    services = Services(storage=AudioStorage(tmp_path))
    session = RealtimeSession(AGENT, services=services, settings=simulated(), sink=BrokenSink())
    with pytest.raises((OmnirtError, RuntimeError)):
        await session.connect()
    ended = await asyncio.wait_for(session.stop(), WAIT_S)
    assert ended.reason == "error"
    await services.close()


@driven
async def test_a_stop_is_answered_behind_all_that_a_slow_host_has_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "FLUSH_S", 0.2)
    queue = OutputQueue(1 << 25, overrun=lambda: None)
    queue.framing = "lines"
    lane = queue.open_lane()
    chatty = {"rules": [{"do": [{"text": "one two three " * 30}]}]}
    session = session_of(tmp_path, settings=simulated(chatty), sink=lane)
    await session.connect()
    lane.release()
    await session.send_text("Hello")
    async with asyncio.timeout(WAIT_S):
        while lane.queued_bytes() < 10_000:  # some 50 events
            await asyncio.sleep(0.01)
    stopping = asyncio.ensure_future(session.stop())
    began = asyncio.get_running_loop().time()
    methods: list[str] = []
    while not methods or methods[-1] != "realtime.closed":
        await asyncio.wait({stopping}, timeout=0.01)  # a host that takes its time
        assert not stopping.done()
        frames = queue.take(1)
        queue.sent(len(frames))
        methods += [json.loads(frame)["method"] for frame in frames]
    assert (await asyncio.wait_for(stopping, WAIT_S)).reason == "stopped"
    assert asyncio.get_running_loop().time() - began > life.FLUSH_S


@driven
async def test_a_provider_that_sends_anything_at_all_breaks_nothing(tmp_path: Path) -> None:
    deep: object = {}
    for _ in range(400):
        deep = {"item": deep}
    nameless = {"response_id": None, "item_id": 7, "content_index": 10**12}
    async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url, raw=True) as session:
        heard = Heard(session.stream_events())
        await provider.send(
            "no JSON",
            "[1, 2]",
            json.dumps({"type": "response.output_audio.delta", "delta": "%%%"}),
            json.dumps({"type": "error", "error": deep}),
            json.dumps(
                {"type": "conversation.item.added", "item": {"id": "i", "type": "message", "x": deep}}
            ),
            json.dumps({"type": "response.done", "response": deep}),
            json.dumps({**pe.audio("", "", 20), **nameless}),
            pe.done("resp_1"),
            *spoken("resp_2", "item_b", 20, "Good day"),
        )
        await heard.first(
            lambda event: isinstance(event, ev.RealtimeTranscriptDone) and event.text == "Good day"
        )
    await heard.end()
    assert_whole(heard.events)
    for event in heard.events:
        jsonrpc.encode(event)
    assert isinstance(heard.events[-1], ev.RealtimeClosed)
    assert heard.events[-1].reason == "stopped"
