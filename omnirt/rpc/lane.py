"""The notifications of one run of a session on their way to stdout, in order and numbered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from msgspec import UNSET

from omnirt.protocol import jsonrpc
from omnirt.protocol.events import RealtimeAudio, RealtimeFlow
from omnirt.protocol.types import Event

if TYPE_CHECKING:
    from omnirt.rpc.lanes import OutputQueue

_ENVELOPE_BYTES = 300
"""What an audio event has besides its audio, for the bound: measured, rounded up."""
_STAMP_BYTES = 20
"""`seq` and `atMs`, which an event gets as it leaves."""


class Entry:
    """One event that waits. `flow` is what it says while it may still change; else `body` is its JSON."""

    __slots__ = ("at_ms", "audio_ms", "audio_of", "body", "content_index", "flow", "marks", "method", "size")

    def __init__(self, event: Event) -> None:
        self.method = event.METHOD
        self.at_ms = event.at_ms
        self.body = _body(event)
        self.audio_of: str | None = None
        if isinstance(event, RealtimeAudio):
            self.audio_of = event.item_id
            self.content_index = event.content_index
            self.audio_ms = event.delta_ms
        self.flow: RealtimeFlow | None = None
        self.size = len(self.body) + _STAMP_BYTES
        self.marks: list[asyncio.Future[None]] = []


class Lane:
    """A session's place in the output queue; what the session layer knows as its event sink.

    Made by `OutputQueue.open_lane`. Nothing leaves before `release`, which is called when the reply to
    `session.start` is on its way.
    """

    def __init__(self, queue: OutputQueue, *, audio_stored: bool) -> None:
        self._queue = queue
        self._audio_stored = audio_stored
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._seq = 0
        self._at_ms = 0
        self._held = True
        self._closed = False
        self._open_flow: Entry | None = None
        self.has_turn = False
        self.dropped_ms = 0

    def queued_bytes(self) -> int:
        """Bytes that wait in this lane."""
        return self._bytes

    def unsent_ms(self, item_id: str, content_index: int) -> int:
        """How much audio of this part still waits here, in ms."""
        audio = (entry for entry in self._entries if entry.audio_of == item_id)
        return sum(entry.audio_ms for entry in audio if entry.content_index == content_index)

    @property
    def waiting(self) -> bool:
        """Whether something may leave."""
        return bool(self._entries) and not self._held

    def put(self, event: Event) -> None:
        """Queues an event; never blocks. Audio that the host is too slow for becomes a `realtime.flow`."""
        if self._closed or self._queue.closed or event.METHOD in self._queue.opted_out:
            return
        if isinstance(event, RealtimeAudio):
            self._put_audio(event)
        else:
            self._append(Entry(event))

    def interrupt(self, item_ids: Collection[str], events: Iterable[Event]) -> None:
        """Drops the audio of these items that has not left, and puts `events` before all that waits.

        The first event of a run stays the first.
        """
        self.drop_audio(item_ids)
        if self._closed or self._queue.closed:
            return
        place = 1 if self._seq == 0 and self._entries else 0
        for event in events:
            if event.METHOD not in self._queue.opted_out:
                entry = Entry(event)
                self._entries.insert(place, entry)
                self._grow(entry.size)
                place += 1
        self._wake()

    def drop_audio(self, item_ids: Collection[str]) -> None:
        """Removes queued, unsent `realtime.audio` of these items."""
        kept: deque[Entry] = deque()
        for entry in self._entries:
            if entry.audio_of is None or entry.audio_of not in item_ids:
                kept.append(entry)
                continue
            self._grow(-entry.size)
            if kept:
                kept[-1].marks += entry.marks
            else:
                _resolve(entry)
        self._entries = kept
        self._open_flow = None
        if not kept:
            self._emptied()

    async def flushed(self) -> None:
        """Returns when everything put so far is on its way, or nobody reads any more."""
        if self._entries:
            mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._entries[-1].marks.append(mark)
            await mark

    def release(self) -> None:
        """From now on events leave."""
        self._held = False
        self._wake()

    def close(self) -> None:
        """Takes no more events. What waits still leaves, unless the lane was never released."""
        self._closed = True
        if self._held:
            self.abandon()
        elif not self._entries:
            self._queue.forget(self)

    def take(self) -> tuple[Entry, bytes]:
        """The next event, numbered; for the queue, which settles it by `left` or `give_back`."""
        entry = self._entries.popleft()
        if entry.flow is not None:
            entry.body = _body(entry.flow)
        if entry is self._open_flow:
            self._open_flow = None
        self._seq += 1
        # What an interrupt overtook was earlier; `atMs` only rises.
        self._at_ms = max(self._at_ms, entry.at_ms)
        return entry, jsonrpc.encode_numbered(entry.method, self._seq, self._at_ms, entry.body)

    def give_back(self, entry: Entry) -> None:
        """The event did not fit into the write: it is the next one again, under the same number."""
        self._seq -= 1
        self._entries.appendleft(entry)

    def left(self, entry: Entry) -> None:
        """The event is on its way."""
        self._grow(-entry.size)
        _resolve(entry)
        if not self._entries:
            self._emptied()

    def abandon(self) -> None:
        """Nobody reads any more."""
        self._closed = True
        for entry in self._entries:
            _resolve(entry)
        self._entries.clear()
        self._grow(-self._bytes)
        self._emptied()

    def _put_audio(self, event: RealtimeAudio) -> None:
        size = len(event.audio) * 4 // 3 + _ENVELOPE_BYTES
        if self._is_full(size):
            self._drop(event)
            return
        self._open_flow = None
        self._append(Entry(event))

    def _is_full(self, size: int) -> bool:
        """Whether `size` bytes are beyond the bound; a lane within its share may exceed the whole."""
        queue = self._queue
        total = queue.lane_bytes + size
        share = queue.limit_bytes // max(1, queue.open_lanes)
        return (total > queue.limit_bytes and self._bytes + size > share) or total > 2 * queue.limit_bytes

    def _drop(self, event: RealtimeAudio) -> None:
        self._queue.dropped_audio_ms += event.delta_ms
        self.dropped_ms += event.delta_ms
        entry = self._open_flow
        if entry is not None and entry.flow is not None and entry.flow.item_id == event.item_id:
            entry.flow.dropped_ms += event.delta_ms
            entry.flow.queued_bytes = self._bytes
            return
        flow = RealtimeFlow(
            session_id=event.session_id,
            run_id=event.run_id,
            at_ms=event.at_ms,
            direction="output",
            lost=not self._audio_stored,
            dropped_ms=event.delta_ms,
            queued_bytes=self._bytes,
            item_id=event.item_id,
            from_ms=event.offset_ms,
        )
        if flow.METHOD not in self._queue.opted_out:
            self._open_flow = entry = Entry(flow)
            entry.flow = flow
            self._append(entry)

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._grow(entry.size)
        self._wake()

    def _grow(self, size: int) -> None:
        self._bytes += size
        self._queue.grew(size)

    def _wake(self) -> None:
        if self.waiting:
            self._queue.give_turn(self)
            self._queue.wake()

    def _emptied(self) -> None:
        self._queue.take_turn(self)
        if self._closed:
            self._queue.forget(self)


def _body(event: Event) -> bytes:
    """The event's JSON without `seq` and `atMs`, which it gets as it leaves."""
    at_ms = event.at_ms
    event.at_ms = UNSET  # type: ignore[assignment] # for the time of the encoding, so that it is left out
    try:
        return _audio_body(event) if isinstance(event, RealtimeAudio) else jsonrpc.encode(event)
    finally:
        event.at_ms = at_ms


def _audio_body(event: RealtimeAudio) -> bytes:
    """The same of audio, whose base64 is put in afterwards: msgspec's own is ten times as slow."""
    from pybase64 import b64encode  # late: nothing of it is needed for the reply to `initialize`

    data, event.audio = event.audio, b""
    try:
        head, empty, tail = jsonrpc.encode(event).partition(b'"audio":""')
    finally:
        event.audio = data
    return b'%b"audio":"%b"%b' % (head, b64encode(data), tail) if empty else head


def _resolve(entry: Entry) -> None:
    for mark in entry.marks:
        if not mark.done():
            mark.set_result(None)
