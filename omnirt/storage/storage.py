"""`AudioStorage`: the recordings of all sessions on one data directory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from omnirt.errors import OmnirtError
from omnirt.storage.archive import Archive
from omnirt.storage.disk import Disk
from omnirt.storage.parts import Run
from omnirt.storage.paths import default_data_dir
from omnirt.storage.recorder import RunRecorder
from omnirt.storage.records import RunInfo, StorageProblem, StorageStats
from omnirt.storage.writer import MAX_QUEUE_BYTES, MAX_QUEUE_ENTRIES, Writer

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A disk that has not answered by then is not going to.
START_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
# Readers wait no longer for audio that waits for the disk.
SETTLE_S = 0.2


class AudioStorage:
    """Records runs: audio of both sides as WAV files, and their rows in SQLite.

    It works without the daemon, in any asyncio program. Nothing is opened, and no thread started, before the
    first run; with that one, what a crash left open is mended. Several storages, in one process or more, may
    share a data directory.

    ```python
    storage = AudioStorage(Path("recordings"))
    recorder = await storage.start_run(run_info)
    recorder.audio("item_1", 0, pcm, at_ms=120)
    files = await recorder.finish("stopped", ended_at, duration_ms=4200)
    await storage.close()
    ```

    Args:
        data_dir: Where everything goes; the user's data folder when None.
        on_problem: Told, on the loop, of what could not be stored; without it, the log is.
        max_queue_bytes: How much may wait for the disk; audio beyond it is dropped, and told.
        max_queue_entries: The same, counted in chunks and rows.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        on_problem: Callable[[StorageProblem], None] | None = None,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
        max_queue_entries: int = MAX_QUEUE_ENTRIES,
    ) -> None:
        self._data_dir = data_dir
        self._on_problem = on_problem
        self._limits = (max_queue_bytes, max_queue_entries)
        self._opened: tuple[Disk, Writer] | None = None
        self._closed = False
        self._mending = False
        self._dropped_ms = 0
        self._archive: Archive | None = None

    @property
    def data_dir(self) -> Path:
        """Where everything is."""
        return (self._data_dir or default_data_dir()).absolute()

    @property
    def archive(self) -> Archive:
        """What is stored of all sessions, to be read, deleted and exported."""
        if self._archive is None:
            self._archive = Archive(self.data_dir)
        return self._archive

    async def start_run(
        self, run: RunInfo, *, on_problem: Callable[[StorageProblem], None] | None = None
    ) -> RunRecorder:
        """Begin to record a run: takes the lock of its session, and stores that it began.

        A disk that fails (full, read-only, a database that is broken) does not fail the start: it is told
        to `on_problem`, after this has returned.

        Args:
            run: What is to be recorded.
            on_problem: Told of this run's problems in place of the storage's own `on_problem`.

        Raises:
            OmnirtError: `session_exists`: the session is live in some daemon on the data directory.
                `storage_failed`: a newer omnirt made the database, the run id was used before, the disk
                does not answer, or the storage is closed. Nothing is left behind.
        """
        disk, writer = self._open()
        loop = asyncio.get_running_loop()
        early: list[str] = []
        started = False

        def tell(problem: StorageProblem) -> None:
            self._tell(problem, on_problem or self._on_problem)

        def deliver(message: str) -> None:
            if started:
                tell(_failure(run, message))
            else:
                early.append(message)

        def report(message: str) -> None:
            try:
                loop.call_soon_threadsafe(deliver, message)
            except RuntimeError:
                logger.warning("%s", message)  # the loop has ended: nobody else is there to be told

        state = Run(run, disk.data_dir, report)
        starting = writer.call(lambda: disk.start(state))
        try:
            await _bounded(starting, START_TIMEOUT_S)
        except BaseException:
            starting.cancel()
            if not self._closed:
                # It may succeed yet, with nobody there to end it.
                writer.call(lambda: disk.discard(state, ()))
            raise
        for message in early:
            loop.call_soon(tell, _failure(run, message))
        started = True
        if not self._mending:
            self._mending = True
            self._mend(disk, writer)
        return RunRecorder(state, disk, writer, tell)

    async def flush(self) -> None:
        """Wait until all that was handed over is on disk.

        Raises:
            OmnirtError: `storage_failed`: it takes longer than 5 s.
        """
        if self._opened is not None and not self._closed:
            await _bounded(self._opened[1].call(lambda: None), CLOSE_TIMEOUT_S)

    async def settle(self) -> None:
        """Let what was handed over reach the disk before somebody reads; a slow disk is not waited for."""
        if self._opened is not None and not self._closed:
            await asyncio.wait([self._opened[1].call(lambda: None)], timeout=SETTLE_S)

    async def close(self) -> None:
        """Make everything final and end the thread; runs that go on are let go of. Takes 5 s at most."""
        self._closed = True
        if self._opened is None:
            return
        closing = self._opened[1].close()
        done, _ = await asyncio.wait([closing], timeout=CLOSE_TIMEOUT_S)
        if not done:
            logger.warning("the disk is too slow: the last audio may be missing from its files")

    def stats(self) -> StorageStats:
        """How much waits for the disk, and how much it was too slow for."""
        if self._opened is None:
            return StorageStats(0, 0, 0, 0)
        disk, writer = self._opened
        return StorageStats(writer.queued_bytes, writer.queued_entries, self._dropped_ms, disk.open_runs)

    def _open(self) -> tuple[Disk, Writer]:
        if self._closed:
            raise OmnirtError("storage_failed", "The storage is closed.")
        if self._opened is None:
            disk = Disk(self.data_dir)
            self._opened = disk, Writer(disk, *self._limits)
        return self._opened

    def _mend(self, disk: Disk, writer: Writer) -> None:
        """Mend what a crash left, in steps between which audio is written."""

        def go_on(step: asyncio.Future[bool]) -> None:
            if not step.cancelled() and step.exception() is None and step.result():
                self._mend(disk, writer)

        if not self._closed:
            writer.call(disk.mend).add_done_callback(go_on)

    def _tell(self, problem: StorageProblem, on_problem: Callable[[StorageProblem], None] | None) -> None:
        self._dropped_ms += problem.dropped_ms
        if on_problem is not None:
            on_problem(problem)
        else:
            logger.warning("%s", problem.message)


def _failure(run: RunInfo, message: str) -> StorageProblem:
    return StorageProblem("storage_failed", message, run.session_id, run.run_id)


async def _bounded(future: asyncio.Future[T], seconds: float) -> T:
    done, _ = await asyncio.wait([future], timeout=seconds)
    if not done:
        future.cancel()
        raise OmnirtError("storage_failed", "The disk does not answer. Check it, and try again.")
    return future.result()
