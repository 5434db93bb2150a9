"""The host's inputs on their way upstream: one at a time, in order, each waited for where it must be."""

from __future__ import annotations

import asyncio
import itertools
import time

from omnirt.protocol.methods import SessionWaitResult
from omnirt.sessions.engine import Engine
from omnirt.sessions.inbox import AudioEntry, CaughtUpEntry, Entry, EventsEntry, Inbox, UpdateEntry, WaitEntry

SLICE_MS = 1000
"""Audio goes upstream in events of at most this much, however long the host's chunks are."""
REST_S = 0.25
"""After so much time without audio, what a converter has kept of it goes upstream."""
YIELD_EVERY = 16
"""The SDK's send does not yield while the socket has room; the pump does after so many chunks."""


class InputPump:
    """Carries what is in the inbox of a session upstream.

    Args:
        engine: Of the session.
        box: Its inputs.
        bytes_per_ms: Of the provider's audio.
    """

    def __init__(self, engine: Engine, box: Inbox, bytes_per_ms: int) -> None:
        self._engine = engine
        self._talk = engine.talk
        self._box = box
        self._slice_bytes = SLICE_MS * bytes_per_ms
        self._heard_at = 0.0
        """When a microphone of ours last gave audio: while it does, nothing is flushed but by a commit."""
        box.forward = self._forward

    async def work(self) -> None:
        """Carry inputs upstream, in order, until cancelled."""
        try:
            await self._carry()
        finally:
            if self._engine.incoming is not None:
                self._engine.incoming.reset()

    async def _carry(self) -> None:
        for count in itertools.count(1):
            await self._engine.link.up.wait()
            entry = await self._next()
            if not self._engine.link.up.is_set():
                self._box.put_back(entry)  # what was lost goes first
                continue
            match entry:
                case AudioEntry():
                    await self._audio(entry)
                case EventsEntry():
                    await self._events(entry)
                case UpdateEntry():
                    await self._rest()
                    await entry.apply()
                case CaughtUpEntry():
                    self._box.caught_up.set()
                case WaitEntry():
                    if await self._wait_for_idle(entry):
                        self._box.answer()
                    else:
                        self._box.put_back(entry)
                case Entry():
                    raise AssertionError(type(entry).__name__)
            self._engine.changed.notify()
            if count % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _forward(self, entry: AudioEntry) -> bool:
        """A chunk with nothing before it goes upstream at once: to wake a task for it costs as much again."""
        engine = self._engine
        if entry.commit or not 0 < len(entry.data) <= self._slice_bytes or engine.incoming is not None:
            return False
        if not engine.link.post_audio(entry.data):
            return False
        now = time.monotonic()
        if engine.kept is not None:
            engine.kept.audio(entry, now)
        self._talk.turns.audio_sent(now)
        engine.changed.notify()
        return True

    async def _next(self) -> Entry:
        incoming = self._engine.incoming
        while incoming is not None and incoming.pending and not len(self._box):
            # Nobody waits for more: a microphone that stopped must not keep the end of a word.
            try:
                async with asyncio.timeout(REST_S):
                    return await self._box.next()
            except TimeoutError:
                await self._rest()
        return await self._box.next()

    async def _audio(self, entry: AudioEntry) -> None:
        if self._engine.kept is not None:
            self._engine.kept.audio(entry, time.monotonic())
        data, incoming = entry.data, self._engine.incoming
        if incoming is not None:
            data = incoming.convert(data) + (incoming.flush() if entry.commit else b"")
        await self._append(data)
        now = time.monotonic()
        self._box.sent(entry.duration_ms)
        if entry.data:
            self._talk.turns.audio_sent(now)
        if entry.commit:
            event_id = self._talk.turns.event_id("commit")
            await self._engine.link.send_event({"type": "input_audio_buffer.commit", "event_id": event_id})
            self._talk.turns.inputs += 1
            self._talk.tool_turns.restart()
            self._talk.turns.commit_sent(event_id, now)
            self._talk.speech_ended_at = now
            self._talk.pump(now)
            await self._engine.carry_up()

    async def hear(self, data: bytes, duration_ms: int) -> None:
        """Carry audio of a microphone of ours upstream: it waits for nothing, and nothing waits for it."""
        self._heard_at = time.monotonic()
        self._engine.host_audio(data)
        while not (self._engine.link.up.is_set() and self._box.caught_up.is_set()):
            await self._engine.link.up.wait()
            await self._box.caught_up.wait()  # what was lost goes first
        if self._engine.kept is not None:
            self._engine.kept.audio(AudioEntry(data, duration_ms, commit=False), time.monotonic())
        incoming = self._engine.incoming
        await self._append(data if incoming is None else incoming.convert(data))
        self._engine.changed.notify()

    async def _append(self, data: bytes) -> None:
        for start in range(0, len(data), self._slice_bytes):
            await self._engine.link.send_audio(data[start : start + self._slice_bytes])

    async def _rest(self) -> None:
        """The end of what was said, kept by the converter until more comes: it goes before what follows."""
        if self._engine.incoming is not None and time.monotonic() - self._heard_at >= REST_S:
            await self._append(self._engine.incoming.flush())

    async def _events(self, entry: EventsEntry) -> None:
        self._talk.turns.inputs += 1
        self._talk.tool_turns.restart()
        if self._engine.kept is not None:
            self._engine.kept.events(entry)
        await self._rest()
        for event in entry.events:
            if event["type"] == "input_audio_buffer.clear":
                self._talk.turns.cleared()
                if self._engine.incoming is not None:
                    self._engine.incoming.reset()
            await self._engine.link.send_event(event)
        if entry.ask:
            self._talk.ask(time.monotonic(), entry.instructions)
            await self._engine.carry_up()

    async def _wait_for_idle(self, entry: WaitEntry) -> bool:
        """Answer a wait, unless the connection is lost before: what is sent again goes before it."""
        reply = entry.reply
        assert reply is not None, "a wait is always answered later"
        await self._rest()
        reply.add_done_callback(lambda _: self._engine.changed.notify())
        while not reply.done():
            if not self._engine.link.up.is_set():
                return False
            now = time.monotonic()
            if self._talk.turns.idle(now):
                break
            await self._engine.changed.wait(self._talk.turns.idle_at(now))
        if reply.done():
            return True
        responses = self._talk.responses.take_ended()
        await self._engine.sink.flushed()
        if not reply.done():
            reply.set_result(SessionWaitResult(state="idle", responses=responses))
        else:
            self._talk.responses.put_back(responses)
        return True
