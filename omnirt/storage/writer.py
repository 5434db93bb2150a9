"""The one thread that touches the disk, and the bounded queue in front of it.

The loop hands entries over without waiting (a deque and two counters); the thread takes all that is there,
some twenty times a second at most, so that a transaction and a thread switch serve many chunks.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from omnirt.errors import OmnirtError
from omnirt.storage.database import Row
from omnirt.storage.parts import Part
from omnirt.storage.records import Heard

logger = logging.getLogger(__name__)

T = TypeVar("T")

# 11 minutes of PCM16 at 24 kHz: long enough for a disk that wakes up, small beside what a host holds.
MAX_QUEUE_BYTES = 32 << 20
MAX_QUEUE_ENTRIES = 50_000
# Rows may go this far beyond the limit that stops audio: words are worth more than sound, and smaller.
_ROWS_BEYOND = 2
# How long a batch gathers. With the 200 ms that a crash may cost, there is room for a slow write.
_GATHER_S = 0.05
# How often what could not be saved is tried again.
_RETRY_S = 1.0


class Chunk:
    """Audio for a part, after `gap` bytes of it that were lost."""

    __slots__ = ("data", "gap", "part")

    def __init__(self, part: Part, data: bytes, gap: int) -> None:
        self.part = part
        self.data = data
        self.gap = gap


class EndPart:
    """A part has ended (again, when more is known about it): its file becomes final."""

    __slots__ = ("heard", "part")

    def __init__(self, part: Part, heard: Heard | None) -> None:
        self.part = part
        self.heard = heard


class Call:
    """Something to run in the thread when all that was put before it is on disk."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run


Entry = Chunk | EndPart | Row | Call


class Sink(Protocol):
    """What the thread feeds (`disk.Disk`); used from the thread alone."""

    def store(self, batch: Sequence[Chunk | EndPart | Row]) -> None:
        """Write a batch; failures are reported, not raised. Empty: try again what failed."""

    @property
    def unsaved(self) -> bool:
        """Whether something waits to be tried again."""

    def close(self) -> None:
        """Make all final and let go of everything."""


class Writer:
    """The queue and its thread, which starts with the first entry.

    All methods are for one thread, the loop's: it alone counts what goes in, the writer thread alone what
    came out, so that handing over takes no lock.
    """

    def __init__(self, sink: Sink, max_bytes: int, max_entries: int) -> None:
        self._sink = sink
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._queue: deque[Entry] = deque()
        self._bytes_in = self._bytes_out = 0
        self._entries_in = self._entries_out = 0
        self._full = False
        self._closed = False
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def queued_bytes(self) -> int:
        """Bytes of audio and rows that are not on disk yet."""
        return self._bytes_in - self._bytes_out

    @property
    def queued_entries(self) -> int:
        """Entries that are not on disk yet."""
        return self._entries_in - self._entries_out

    @property
    def is_behind(self) -> bool:
        """Whether half of what may wait is waiting: the disk is slower than the audio."""
        return self.queued_bytes * 2 > self._max_bytes or self.queued_entries * 2 > self._max_entries

    @property
    def has_caught_up(self) -> bool:
        """Whether little waits again."""
        return self.queued_bytes * 8 <= self._max_bytes and self.queued_entries * 8 <= self._max_entries

    def put_audio(self, part: Part, data: bytes, gap: int) -> bool:
        """Hand over a chunk; False: the queue is full, it was not taken.

        Once full, nothing is taken until half of it has gone: one long gap is heard less than many short.
        """
        waiting, entries = self.queued_bytes, self.queued_entries
        if self._full and (waiting * 2 > self._max_bytes or entries * 2 > self._max_entries):
            return False
        self._full = waiting + len(data) > self._max_bytes or entries >= self._max_entries
        if self._full or self._closed:
            return False
        self._bytes_in += len(data)
        self._put(Chunk(part, data, gap))
        return True

    def put_row(self, row: Row) -> bool:
        """Hand over a row; False: the queue is full far beyond what stops audio, it was not taken."""
        size = row.size()
        if self._closed or self.queued_entries >= self._max_entries * _ROWS_BEYOND:
            return False
        if self.queued_bytes + size > self._max_bytes * _ROWS_BEYOND:
            return False
        self._bytes_in += size
        self._put(row)
        return True

    def put_end(self, end: EndPart) -> None:
        """Hand over the end of a part, and write at once: hosts open the file when they are told of it."""
        if not self._closed:
            self._put(end)
            self._hurry.set()

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run `function` in the thread when all that was put before is on disk.

        Audio waits while it runs: what takes longer than some 20 ms is cut into several calls. It runs even
        if the future is cancelled, so that what it lets go of is let go.

        Raises:
            OmnirtError: `storage_failed`: the storage is closed.
        """
        if self._closed:
            raise OmnirtError("storage_failed", "The storage is closed.")
        return self._submit(function)

    def close(self) -> asyncio.Future[None]:
        """Take nothing more; the future is done when all is on disk and final, and the thread is ending."""
        if self._closed or self._thread is None:
            self._closed = True
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        self._closed = True
        return self._submit(self._sink.close)

    def _submit(self, function: Callable[[], T]) -> asyncio.Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            wanted = future.set_running_or_notify_cancel()
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - whoever awaits the call gets it
                if wanted:
                    future.set_exception(error)
            else:
                if wanted:
                    future.set_result(result)

        self._put(Call(run))
        self._hurry.set()
        return asyncio.wrap_future(future)

    def _put(self, entry: Entry) -> None:
        self._entries_in += 1
        self._queue.append(entry)
        if not self._wake.is_set():
            self._wake.set()
        if self._thread is None:
            # A daemon thread: the process can end even when a disk hangs.
            self._thread = threading.Thread(target=self._work, name="omnirt-storage", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not (self._closed and not self._queue):
            self._wake.wait(_RETRY_S if self._sink.unsaved else None)
            self._hurry.wait(_GATHER_S)
            # Cleared before the queue is emptied: what is put from now on wakes the thread again.
            self._hurry.clear()
            self._wake.clear()
            batch: list[Chunk | EndPart | Row] = []
            for _ in range(len(self._queue)):
                entry = self._queue.popleft()
                if isinstance(entry, Call):
                    self._store(batch)
                    batch = []
                    self._entries_out += 1
                    entry.run()
                else:
                    batch.append(entry)
            self._store(batch)

    def _store(self, batch: list[Chunk | EndPart | Row]) -> None:
        try:
            self._sink.store(batch)
        except Exception:  # the thread must outlive a fault of ours: others record too
            logger.exception("storing a batch failed")
        self._entries_out += len(batch)
        for entry in batch:
            if isinstance(entry, Chunk):
                self._bytes_out += len(entry.data)
            elif isinstance(entry, Row):
                self._bytes_out += entry.size()
