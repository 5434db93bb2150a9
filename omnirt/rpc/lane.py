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
from omnirt.rpc.entry import ENVELOPE_BYTES, Entry, encode_body

if TYPE_CHECKING:
    from omnirt.rpc.lanes import OutputQueue


class Lane:
    """A session's place in the output queue; what the session layer knows as its event sink.

    Made by `OutputQueue.open_lane`. Nothing leaves before `release`, which is called when the reply to
    `session.start` is on its way.
    """

    def __init__(self, queue: OutputQueue, *, audio_stored: bool) -> None:
        self._queue = queue
        self._audio_stored = audio_stored
        self._entries: deque[Entry] = deque()
        """The first is never one that is nothing any more."""
        self._audio: deque[Entry] = deque()
        """Those of them that are audio."""
        self._ids = ("", "")
        """Of the session and the run, once there was audio."""
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
    def has_audio(self) -> bool:
        """Whether audio waits in this lane."""
        return bool(self._audio)

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
            if entry.size and (entry.audio_of is None or entry.audio_of not in item_ids):
                kept.append(entry)
                continue
            self._grow(-entry.size)
            if kept:
                kept[-1].marks += entry.marks
            else:
                entry.resolve()
        self._entries = kept
        self._audio = deque(entry for entry in kept if entry.audio_of is not None)
        self._open_flow = None
        if not kept:
            self._emptied()

    def shed(self) -> None:
        """Gives up the latest audio that waits here, for a session that has less."""
        entry = self._audio.pop()
        assert entry.audio_of is not None, "it is audio"
        self._grow(-entry.size)
        flow = self._lost(entry.audio_of, entry.offset_ms, entry.audio_ms, entry.at_ms)
        entry.become(flow)
        self._grow(entry.size)
        if flow is not None:
            self._open_flow = entry
        self._skip()
        if not self._entries:
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
        if entry.audio_of is not None:
            self._audio.popleft()
        self._skip(entry)
        if entry.flow is not None:
            entry.body = encode_body(entry.flow)
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
        if entry.audio_of is not None:
            self._audio.appendleft(entry)

    def left(self, entry: Entry) -> None:
        """The event is on its way."""
        self._grow(-entry.size)
        entry.resolve()
        if not self._entries:
            self._emptied()

    def abandon(self) -> None:
        """Nobody reads any more."""
        self._closed = True
        for entry in self._entries:
            entry.resolve()
        self._entries.clear()
        self._audio.clear()
        self._grow(-self._bytes)
        self._emptied()

    def _put_audio(self, event: RealtimeAudio) -> None:
        queue = self._queue
        size = len(event.audio) * 4 // 3 + ENVELOPE_BYTES
        self._ids = event.session_id, event.run_id
        if queue.lane_bytes + size <= queue.limit_bytes or queue.make_room(self, size):
            self._open_flow = None
            entry = Entry(event)
            self._audio.append(entry)
            self._append(entry)
            return
        flow = self._lost(event.item_id, event.offset_ms, event.delta_ms, event.at_ms)
        if flow is not None:
            self._open_flow = entry = Entry(flow)
            self._append(entry)

    def _lost(self, item_id: str, from_ms: int, lost_ms: int, at_ms: int) -> RealtimeFlow | None:
        """Counts audio that is dropped; what tells of it, unless the flow beside it can, or nobody asks."""
        self._queue.dropped_audio_ms += lost_ms
        self.dropped_ms += lost_ms
        flow = None if self._open_flow is None else self._open_flow.flow
        if flow is not None and flow.item_id == item_id and _adjoins(flow, from_ms, lost_ms):
            flow.from_ms = from_ms if flow.from_ms is UNSET else min(flow.from_ms, from_ms)
            flow.dropped_ms += lost_ms
            flow.queued_bytes = self._bytes
            return None
        if RealtimeFlow.METHOD in self._queue.opted_out:
            return None
        session_id, run_id = self._ids
        return RealtimeFlow(
            session_id=session_id,
            run_id=run_id,
            at_ms=at_ms,
            direction="output",
            lost=not self._audio_stored,
            dropped_ms=lost_ms,
            queued_bytes=self._bytes,
            item_id=item_id,
            from_ms=from_ms,
        )

    def _skip(self, before: Entry | None = None) -> None:
        """Takes away what is nothing any more, up to the next that is something."""
        while self._entries and not self._entries[0].size:
            gone = self._entries.popleft()
            if before is None:
                gone.resolve()
            else:
                before.marks += gone.marks

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


def _adjoins(flow: RealtimeFlow, from_ms: int, lost_ms: int) -> bool:
    """Whether audio is just before or just behind what `flow` tells of: there may be other flows between."""
    start_ms = 0 if flow.from_ms is UNSET else flow.from_ms
    return start_ms in (from_ms + lost_ms, from_ms - flow.dropped_ms)
