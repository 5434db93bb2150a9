"""The demo's host: talks to the daemon as a voice application would, with a microphone that is a file."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from omnirt.client import Client, Session
from omnirt.client.streams import EventStream
from omnirt.demo.events import Facts, Follower, Timeline
from omnirt.demo.provider import Provider, settings_of
from omnirt.demo.sound import CHUNK_MS, Clip, Speaker, chunk_bytes, level, load_clip, waveform
from omnirt.demo.view import View
from omnirt.errors import OmnirtError
from omnirt.protocol.calls import ToolCallParams
from omnirt.protocol.events import LogMessage
from omnirt.protocol.methods import SessionStartParams, SessionStopResult
from omnirt.protocol.types import Event

HERE = Path(__file__).parent
STEP_TIMEOUT_S = 40.0
"""No step takes longer than the longest answer (10 s) and what comes before it."""

INTERRUPT_AFTER_MS = 2500
PLAYBACK_EVERY_MS = 100

WEATHER = {"city": "Lisbon", "celsius": 21, "sky": "sunny"}

AGENT: dict[str, object] = {
    "name": "concierge",
    "instructions": "You are a friendly concierge. Be brief.",
    "tools": [
        {
            "name": "get_weather",
            "description": "The weather in a city right now.",
            "run": "host",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        }
    ],
}


@dataclass
class Result:
    """What the conversation left."""

    facts: Facts
    stopped: SessionStopResult
    received_ms: int
    chunk_ms: list[float] = field(default_factory=list)
    interrupt_ms: float = 0.0


class Conversation:
    """One demo talk over one client.

    Args:
        client: A started client.
        timeline: Where what happens is told.
        view: Where the meter moves.
        speed: How much faster than real time; both sides must go at the same.
        provider: Whom the daemon connects to.
    """

    def __init__(
        self, client: Client, timeline: Timeline, view: View, speed: float, provider: Provider
    ) -> None:
        self._client = client
        self._timeline = timeline
        self._view = view
        self._speed = speed
        self._provider: Provider = provider
        self._speaker = Speaker(24_000)
        self._changed = asyncio.Event()
        self._follower = Follower(timeline, self._speaker, self._changed.set)
        self._microphone: deque[bytes] = deque()  # bounded by the clips that are put in
        self._levels = (0.0, 0.0)
        self._chunk_ms: list[float] = []

    async def hold(self, session_id: str) -> Result:
        """Has the whole conversation."""
        session = await self._start(session_id)
        async with asyncio.TaskGroup() as tasks:
            follow = tasks.create_task(self._follow(session), name="follow events")
            devices = [
                tasks.create_task(self._stream_microphone(session), name="microphone"),
                tasks.create_task(self._play(session), name="speaker"),
            ]
            await self._ask_about_the_weather()
            interrupt_ms = await self._interrupt_a_story(session)
            await self._say_goodbye(session)
            for device in devices:
                device.cancel()
            stopped = await session.stop()
            await self._until(lambda: follow.done(), "the session's last event")
        received = sum(self._speaker.received_ms(part) for part in self._speaker.parts)
        return Result(self._follower.facts, stopped, round(received), self._chunk_ms, interrupt_ms)

    async def _start(self, session_id: str) -> Session:
        began = time.monotonic()
        telling = asyncio.create_task(self._tell_messages(self._client.notifications()))
        try:
            params = SessionStartParams(
                agent=AGENT, session_id=session_id, settings=settings_of(self._provider, self._speed)
            )
            session = await self._client.start_session(params)
        finally:
            telling.cancel()
        said = session.started
        form = f"{said.output_audio.format}, {said.output_audio.sample_rate} Hz"
        self._timeline.add(
            "host",
            "connected",
            f"session.start: {said.agent} on {said.provider}, {form}",
            latency_ms=(time.monotonic() - began) * 1000,
            sessionId=said.session_id,
            runId=said.run_id,
            provider=said.provider,
            model=said.model,
        )
        return session

    async def _tell_messages(self, stream: EventStream) -> None:
        """What the daemon tells the user while it starts a session, such as which models it loads."""
        async for message in stream:
            if isinstance(message, LogMessage):
                self._timeline.add("daemon", "message", message.message, level=message.level)

    async def _ask_about_the_weather(self) -> None:
        self._speak(load_clip(HERE / "audio" / "weather.wav"))
        facts = self._follower.facts
        await self._until(lambda: "completed" in facts.tools_ended, "the tool call")
        # One answer before the tool ("let me look that up"), one with what it gave.
        await self._until(lambda: facts.answers >= 2 and self._speaker.is_silent(), "the weather")

    async def _interrupt_a_story(self, session: Session) -> float:
        parts = len(self._speaker.parts)
        self._speak(load_clip(HERE / "audio" / "story.wav"))
        await self._until(
            lambda: (
                len(self._speaker.parts) > parts and self._speaker.parts[-1].played_ms >= INTERRUPT_AFTER_MS
            ),
            "the story",
        )
        part = self._speaker.parts[-1]
        self._timeline.add("you", "interrupt", "press Stop (session.interrupt)")
        began = time.monotonic()
        result = await session.interrupt(part.item_id, part.content_index, round(part.played_ms))
        took_ms = (time.monotonic() - began) * 1000
        self._timeline.add(
            "daemon",
            "interruptReply",
            "the response is cancelled" if result.interrupted else "there was nothing to interrupt",
            latency_ms=took_ms,
            interrupted=result.interrupted,
        )
        await self._until(lambda: self._follower.facts.interrupted is not None, "the end of the story")
        return took_ms

    async def _say_goodbye(self, session: Session) -> None:
        answers = self._follower.facts.answers
        text = "Thank you, goodbye."
        self._timeline.add("you", "text", f"“{text}” (session.sendText)")
        self._follower.asked_at_ms = self._timeline.now_ms()
        await session.send_text(text)
        await self._until(
            lambda: self._follower.facts.answers > answers and self._speaker.is_silent(), "a goodbye"
        )

    def _speak(self, clip: Clip) -> None:
        self._microphone.extend(clip.chunks())
        self._timeline.add(
            "you",
            "speak",
            f"speak: {clip.name}, {clip.duration_ms / 1000:.1f} s in chunks of {CHUNK_MS} ms",
            wave=waveform(clip.data),
            durationMs=clip.duration_ms,
        )

    async def _follow(self, session: Session) -> None:
        async for event in session.events:
            assert isinstance(event, Event)
            self._follower.take(event)

    async def _stream_microphone(self, session: Session) -> None:
        """Sends 20 ms every 20 ms: the clip when somebody speaks, else silence, as microphones do."""
        silence = bytes(chunk_bytes(24_000))
        due = time.monotonic()
        while True:
            chunk = self._microphone.popleft() if self._microphone else silence
            began = time.monotonic()
            await session.send_audio(chunk)
            self._chunk_ms.append((time.monotonic() - began) * 1000)
            self._levels = (level(chunk), self._levels[1])
            due += CHUNK_MS / 1000 / self._speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _play(self, session: Session) -> None:
        """Plays by the clock, and tells the daemon every 100 ms how far the speaker is."""
        last = time.monotonic()
        unreported_ms = 0.0
        while True:
            await asyncio.sleep(CHUNK_MS / 1000 / self._speed)
            now = time.monotonic()
            ms = (now - last) * 1000 * self._speed
            last = now
            part = self._speaker.advance(ms)
            unreported_ms += ms
            if part is not None and (unreported_ms >= PLAYBACK_EVERY_MS or self._speaker.is_silent()):
                unreported_ms = 0.0
                await session.playback(part.item_id, part.content_index, round(part.played_ms))
            self._view.meter(self._levels[0], self._speaker.level(), self._follower.saying)
            self._changed.set()

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise OmnirtError("timed_out", f"Waited {STEP_TIMEOUT_S:g} s for {what}.") from None


def register_weather(client: Client, timeline: Timeline) -> None:
    """Makes the demo answer `tool.call` for get_weather."""

    @client.tool("get_weather")
    async def get_weather(call: ToolCallParams) -> object:
        arguments = ", ".join(f"{name}: {value}" for name, value in call.arguments.items())
        timeline.add(
            "tool",
            "toolCall",
            f"get_weather({arguments}) answered by this demo: {WEATHER['celsius']} degrees, {WEATHER['sky']}",
            toolCallId=call.tool_call_id,
            arguments=call.arguments,
            output=WEATHER,
        )
        return WEATHER
