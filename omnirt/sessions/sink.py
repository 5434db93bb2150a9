"""Where a session's events go: the shape a sink has, and the bounded queue for use without the daemon."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

from omnirt.protocol.events import RealtimeAudio, RealtimeClosed, RealtimeFlow, RealtimeRaw
from omnirt.protocol.types import Event

MAX_QUEUED_AUDIO_BYTES = 32 * 1024 * 1024
"""The same bound as the daemon's output queue: over it, audio events are dropped, the oldest first."""
MAX_QUEUED_EVENTS = 65_536
"""Hours of talk that nobody reads; the audio of so long is gone by then."""
_RAW_BYTES = 500
"""What a raw event has besides its texts; measured, rounded up."""


class EventSink(Protocol):
    """Takes a session's events in order; in the daemon a lane of the one writer.

    `seq` is stamped by the sink as an event leaves, so that what is dropped leaves no hole.
    """

    @property
    def dropped_ms(self) -> int:
        """Audio that was dropped so far because nobody took it."""

    def put(self, event: Event) -> None:
        """Queue one event; never blocks."""

    def interrupt(self, item_ids: Collection[str], events: Sequence[Event]) -> None:
        """Drop the queued audio of these items and put `events` before all else of this session."""

    def unsent_ms(self, item_id: str, content_index: int) -> int:
        """How much audio of this part still waits here, in ms."""

    async def flushed(self) -> None:
        """Return when everything put so far has left."""

    def queued_bytes(self) -> int:
        """An estimate of the bytes that wait."""


class QueueSink:
    """A bounded in-process sink with one reader: `async for event in sink.events()`.

    Over `limit_bytes` the oldest audio goes, and one `realtime.flow` in its place tells how much; over
    `MAX_QUEUED_EVENTS` of all else, the oldest does.

    Args:
        limit_bytes: Of audio, and of raw events.
        audio_stored: Whether audio that is dropped here is kept in storage.
    """

    def __init__(self, limit_bytes: int = MAX_QUEUED_AUDIO_BYTES, *, audio_stored: bool = True) -> None:
        self._limit_bytes = limit_bytes
        self._audio_stored = audio_stored
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._seq = 0
        self._at_ms = 0
        self._closed = False
        self.dropped_ms = 0
        self._changed = asyncio.Event()

    def put(self, event: Event) -> None:
        """Queue an event; over the bounds the oldest goes first."""
        self._events.append(event)
        self._bytes += _size(event)
        while self._bytes > self._limit_bytes and self._drop_oldest_audio():
            pass
        if len(self._events) > MAX_QUEUED_EVENTS:
            self._bytes -= _size(self._events.popleft())
        self._changed.set()

    def interrupt(self, item_ids: Collection[str], events: Sequence[Event]) -> None:
        """Drop the queued audio of these items and put `events` first, but behind the first of the run."""
        kept = [e for e in self._events if not (isinstance(e, RealtimeAudio) and e.item_id in item_ids)]
        first = kept[:1] if self._seq == 0 else []
        self._events = deque([*first, *events, *kept[len(first) :]])
        self._bytes = sum(map(_size, self._events))
        self._changed.set()

    def unsent_ms(self, item_id: str, content_index: int) -> int:
        """Audio of this part that the reader has not taken, in ms."""
        part = (item_id, content_index)
        audio = (e for e in self._events if isinstance(e, RealtimeAudio))
        return sum(e.delta_ms for e in audio if (e.item_id, e.content_index) == part)

    async def flushed(self) -> None:
        """Nothing to wait for: the reader is in the same process."""

    def queued_bytes(self) -> int:
        """Bytes of audio that wait."""
        return self._bytes

    def close(self) -> None:
        """No event comes any more: the reader ends when it has read what there is."""
        self._closed = True
        self._changed.set()

    async def events(self) -> AsyncIterator[Event]:
        """The events in order, up to the end."""
        while True:
            while self._events:
                event = self._events.popleft()
                self._bytes -= _size(event)
                self._seq += 1
                event.seq = self._seq
                # What an interrupt overtook was earlier; `atMs` only rises.
                event.at_ms = self._at_ms = max(self._at_ms, event.at_ms)
                yield event
                if isinstance(event, RealtimeClosed):
                    return
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()

    def _drop_oldest_audio(self) -> bool:
        for index, event in enumerate(self._events):
            if isinstance(event, RealtimeRaw):
                self._bytes -= _size(event)
                del self._events[index]
                return True
            if isinstance(event, RealtimeAudio):
                self._bytes -= _size(event)
                self._tell_dropped(index, event)
                return True
        return False

    def _tell_dropped(self, index: int, audio: RealtimeAudio) -> None:
        self.dropped_ms += audio.delta_ms
        before = self._events[index - 1] if index else None
        if isinstance(before, RealtimeFlow) and before.item_id == audio.item_id:
            before.dropped_ms += audio.delta_ms
            del self._events[index]
            return
        self._events[index] = RealtimeFlow(
            session_id=audio.session_id,
            run_id=audio.run_id,
            at_ms=audio.at_ms,
            direction="output",
            lost=not self._audio_stored,
            dropped_ms=audio.delta_ms,
            queued_bytes=self._bytes,
            item_id=audio.item_id,
            from_ms=audio.offset_ms,
        )


def _size(event: Event) -> int:
    match event:
        case RealtimeAudio():
            return len(event.audio)
        case RealtimeRaw():
            # Nearly all of its size is the base64 of audio, or else an image's.
            return _RAW_BYTES + sum(len(value) for value in event.event.values() if isinstance(value, str))
        case _:
            return 0
