"""What the writer thread does: files and rows of all runs, their failures, and their locks."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.storage import locks, paths, rows
from omnirt.storage.audio import FORMATS
from omnirt.storage.database import Database, Row
from omnirt.storage.parts import Part, Run
from omnirt.storage.writer import Chunk, EndPart

logger = logging.getLogger(__name__)

_MAX_OPEN_FILES = 64  # a part that is written again is opened again
_MAX_UNSAVED_ROWS = 10_000
_MAX_UNSAVED_BYTES = 32 << 20
_RETRY_S = 1.0  # a database that fails is not waited for in each batch: audio goes first


class Disk:
    """All that is open on a data directory. Every method runs in the writer thread."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._database: Database | None = None
        self._runs: dict[str, Run] = {}
        self._unfinished: dict[Part, None] = {}
        self._open: dict[Part, None] = {}
        """Parts with an open file, the one written last at the end."""
        self._unsaved: list[Row] = []
        self._retry_at = 0.0
        self._tidied = False

    @property
    def open_runs(self) -> int:
        """How many runs go on; may be read from any thread."""
        return len(self._runs)

    @property
    def unsaved(self) -> bool:
        """Whether rows wait for the database to work again."""
        return bool(self._unsaved)

    def start(self, run: Run) -> None:
        """Take the lock of the session and store the run.

        What can't be stored otherwise is a failure of the run, not of its start.

        Raises:
            OmnirtError: `session_exists`, or `storage_failed` for a newer database or a run id used before.
        """
        run.lock = self._take_lock(run)
        try:
            self._store_run(run)
        except BaseException:
            if run.lock is not None:
                run.lock.release()
            raise
        self._runs[run.info.run_id] = run
        try:
            paths.make_private_dir(run.folder.parent)
            run.prefix = paths.run_prefix(run.folder, run.info.run_id)
        except OSError as error:
            run.no_audio = True
            run.fail(self._words(error))

    def end(self, run: Run) -> None:
        """Let go of a run whose parts and rows were stored before."""
        self._runs.pop(run.info.run_id, None)
        if run.lock is not None:
            run.lock.release()

    def discard(self, run: Run, parts: Iterable[Part]) -> None:
        """Leave nothing of a run behind; harmless when its start failed."""
        if self._runs.get(run.info.run_id) is not run:
            return
        try:
            for part in parts:
                self._unfinished.pop(part, None)
                self._open.pop(part, None)
                part.wav.release()
                part.path.unlink(missing_ok=True)
            if run.folder.is_dir() and not any(run.folder.iterdir()):
                run.folder.rmdir()
        except OSError as error:
            run.fail(self._words(error))
        self._save(rows.discard_rows(run.info))
        self.end(run)

    def store(self, batch: Sequence[Chunk | EndPart | Row]) -> None:
        """Write a batch: the audio first, then the rows that speak of it, in one transaction."""
        waiting: dict[Part, list[bytes]] = {}
        to_save: list[Row] = []
        for entry in batch:
            match entry:
                case Chunk(part=part):
                    if entry.gap:
                        self._write(part, waiting.pop(part, []), to_save)
                        self._fill(part, entry.gap, to_save)
                    waiting.setdefault(part, []).append(entry.data)
                case EndPart(part=part):
                    self._write(part, waiting.pop(part, []), to_save)
                    part.heard_ms = part.heard_ms if entry.heard_ms is None else entry.heard_ms
                    part.interrupted |= entry.interrupted
                    self._finish(part, to_save)
                case Row():
                    to_save.append(entry)
        for part, chunks in waiting.items():
            self._write(part, chunks, to_save)
        self._save(to_save)

    def close(self) -> None:
        """Make all files final, save what can be saved, let go of everything."""
        to_save: list[Row] = []
        for part in list(self._unfinished):
            self._finish(part, to_save)
        self._retry_at = 0.0
        self._save(to_save)
        if self._database is not None:
            self._database.close()
            self._database = None
        for run in list(self._runs.values()):
            self.end(run)

    def _take_lock(self, run: Run) -> locks.SessionLock | None:
        folder = paths.locks_dir(self.data_dir)
        try:
            lock = locks.acquire(folder, run.info.session_id)
            if not self._tidied:
                self._tidied = True
                locks.tidy(folder)
        except OSError as error:
            run.fail(self._words(error))
            return None
        return lock

    def _store_run(self, run: Run) -> None:
        import sqlite3

        try:
            if self._database is None:
                self._database = Database(paths.database_path(self.data_dir))
            if self._database.query(rows.run_exists(run.info.run_id)):
                raise OmnirtError("storage_failed", "A run with this id is stored already.")
        except (OSError, sqlite3.Error) as error:
            self._retry_at = time.monotonic() + _RETRY_S
            run.fail(self._words(error))
        self._save(rows.start_rows(run.info))

    def _write(self, part: Part, chunks: list[bytes], to_save: list[Row]) -> None:
        if part.failed or not chunks:
            return
        new = not part.wav.size
        try:
            if new:
                paths.make_private_dir(part.path.parent)
            part.wav.write(b"".join(chunks))
        except OSError as error:
            self._fail(part, error)
            return
        self._unfinished[part] = None
        self._open.pop(part, None)
        self._open[part] = None
        if len(self._open) > _MAX_OPEN_FILES:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.wav.release()
        if new:
            to_save.append(part.row(self.data_dir, final=False))

    def _fill(self, part: Part, gap: int, to_save: list[Row]) -> None:
        silence = FORMATS[part.run.info.output_format].silence
        block = silence * min(gap, 1 << 16)
        while gap > 0 and not part.failed:
            self._write(part, [block[:gap]], to_save)
            gap -= len(block)

    def _finish(self, part: Part, to_save: list[Row]) -> None:
        self._unfinished.pop(part, None)
        self._open.pop(part, None)
        try:
            part.wav.close()
        except OSError as error:
            self._fail(part, error)
        if part.wav.size:
            to_save.append(part.row(self.data_dir, final=True))

    def _fail(self, part: Part, error: OSError) -> None:
        """Give a file up: what is written of it stays, nothing is added. Other files are tried again."""
        part.failed = True
        try:
            part.wav.close()
        except OSError:
            part.wav.release()
        part.run.fail(self._words(error))

    def _save(self, new: Iterable[Row]) -> None:
        import sqlite3

        self._unsaved.extend(new)
        if not self._unsaved or time.monotonic() < self._retry_at:
            self._limit_unsaved()
            return
        try:
            if self._database is None:
                self._database = Database(paths.database_path(self.data_dir))
            refused = self._database.save(self._unsaved)
        except (OSError, sqlite3.Error, OmnirtError) as error:
            self._retry_at = time.monotonic() + _RETRY_S
            self._limit_unsaved()
            for run in self._runs.values():
                run.fail(self._words(error))
            return
        self._unsaved.clear()
        if refused:
            logger.warning("the database refused %d rows", refused)

    def _limit_unsaved(self) -> None:
        """Drop the newest rows beyond the bound; that something is not stored was told before."""
        size = 0
        for index, row in enumerate(self._unsaved):
            size += row.size()
            if index >= _MAX_UNSAVED_ROWS or size > _MAX_UNSAVED_BYTES:
                del self._unsaved[index:]
                return

    def _words(self, error: Exception) -> str:
        """What went wrong, for people: the system's own words, no repr."""
        if isinstance(error, OmnirtError):
            return error.message
        reason = (error.strerror or "unknown error") if isinstance(error, OSError) else str(error)
        return (
            f"The conversation could not be stored in {self.data_dir}: {reason}. It goes on, and what "
            "follows may be missing from its history and its audio files. Check the disk and its permissions."
        )
