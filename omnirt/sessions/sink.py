"""Where a session's events go: the shape a sink has, and the bounded queue for use without the daemon."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

from omnirt.protocol.events import RealtimeAudio, RealtimeClosed
from omnirt.protocol.types import Event

MAX_QUEUED_AUDIO_BYTES = 32 * 1024 * 1024
"""The same bound as the daemon's output queue: over it, audio events are dropped, the oldest first."""


class EventSink(Protocol):
    """Takes a session's events in order; in the daemon a lane of the one writer.

    `seq` is stamped by the sink as an event leaves, so that what is dropped leaves no hole.
    """

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
    """A bounded in-process sink with one reader: `async for event in sink.events()`."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._seq = 0
        self._changed = asyncio.Event()

    def put(self, event: Event) -> None:
        """Queue an event; over the bound the oldest audio goes first."""
        self._events.append(event)
        self._bytes += _size(event)
        while self._bytes > MAX_QUEUED_AUDIO_BYTES and self._drop_oldest_audio():
            pass
        self._changed.set()

    def interrupt(self, item_ids: Collection[str], events: Sequence[Event]) -> None:
        """Drop the queued audio of these items and put `events` first."""
        kept = [e for e in self._events if not (isinstance(e, RealtimeAudio) and e.item_id in item_ids)]
        self._events = deque([*events, *kept])
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

    async def events(self) -> AsyncIterator[Event]:
        """The events in order, up to and including `realtime.closed`."""
        while True:
            while self._events:
                event = self._events.popleft()
                self._bytes -= _size(event)
                self._seq += 1
                event.seq = self._seq
                yield event
                if isinstance(event, RealtimeClosed):
                    return
            self._changed.clear()
            await self._changed.wait()

    def _drop_oldest_audio(self) -> bool:
        for index, event in enumerate(self._events):
            if isinstance(event, RealtimeAudio):
                self._bytes -= _size(event)
                del self._events[index]
                return True
        return False


def _size(event: Event) -> int:
    return len(event.audio) if isinstance(event, RealtimeAudio) else 0
