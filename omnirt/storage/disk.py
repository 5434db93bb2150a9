"""What the writer thread does: files and rows of all runs, their failures, and their locks."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from omnirt.errors import NO_FILES, OmnirtError, out_of_files
from omnirt.storage import locks, mending, paths, rows
from omnirt.storage.audio import FORMATS
from omnirt.storage.database import Row
from omnirt.storage.parts import Part, Run
from omnirt.storage.saver import RowSaver
from omnirt.storage.writer import Chunk, EndPart

logger = logging.getLogger(__name__)

_MAX_OPEN_FILES = 64  # a part that is written again is opened again
_RETRY_S = 1.0
# What may be over in a while: writing goes on then. All else costs the file that met it.
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_MEND_S = 0.02  # for this long at a time, as audio waits meanwhile


class Disk:
    """All that is open on a data directory. Every method runs in the writer thread."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._runs: dict[str, Run] = {}
        self._saver = RowSaver(paths.database_path(data_dir), self._live_rows, self._tell_all)
        self._unfinished: dict[Part, None] = {}
        self._open: dict[Part, None] = {}
        """Parts with an open file, the one written last at the end."""
        self._retry_at = 0.0
        self._tidied = False
        self._to_mend: list[mending.OpenRun] | None = None

    @property
    def open_runs(self) -> int:
        """How many runs go on; may be read from any thread."""
        return len(self._runs)

    @property
    def unsaved(self) -> bool:
        """Whether rows wait for the database to work again."""
        return self._saver.unsaved

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
            self.end(run)
            raise
        try:
            paths.make_private_dir(run.folder.parent)
            run.prefix = paths.run_prefix(run.folder, run.info.run_id)
        except OSError as error:
            run.prefix = paths.safe_name(run.info.run_id)
            run.no_audio = run.no_audio or error.errno not in _PASSING
            run.fail(self._words(error))

    def end(self, run: Run) -> None:
        """Let go of a run whose parts and rows were stored before."""
        if self._runs.get(run.info.run_id) is run:
            del self._runs[run.info.run_id]
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
        self._saver.save(rows.discard_rows(run.info))
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
                    part.heard = entry.heard or part.heard
                    if entry.heard or part in self._unfinished:
                        self._finish(part, to_save)
                case Row():
                    to_save.append(entry)
        for part, chunks in waiting.items():
            self._write(part, chunks, to_save)
        self._saver.save(to_save)

    def mend(self) -> bool:
        """Mend some of the runs that a crash cut short; True when there are more."""
        import sqlite3

        until = time.monotonic() + _MEND_S
        try:
            database = self._saver.database()
            if self._to_mend is None:
                self._to_mend = mending.open_runs(database)
            while self._to_mend and time.monotonic() < until:
                run = self._to_mend.pop()
                if run.run_id not in self._runs:
                    mending.mend_run(database, self.data_dir, run)
        except (OSError, sqlite3.Error, OmnirtError) as error:
            logger.warning("what a crash left open could not be mended: %s", self._words(error))
        return bool(self._to_mend)

    def close(self) -> None:
        """Make all files final, save what can be saved, let go of everything."""
        to_save: list[Row] = []
        for part in list(self._unfinished):
            self._finish(part, to_save)
        self._saver.save(to_save)
        self._saver.close()
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

        self._runs.setdefault(run.info.run_id, run)
        try:
            database = self._saver.database()
            stored = database.query(rows.run_exists(run.info.run_id))
            # Ended, before there is a run after it; nobody else can, as the lock of the session is taken.
            for cut_short in mending.open_runs(database, run.info.session_id) if run.lock else ():
                mending.mend_locked(database, self.data_dir, cut_short.run_id)
        except (OSError, sqlite3.Error) as error:
            self._saver.failed(error)
        else:
            if stored or self._runs[run.info.run_id] is not run:
                raise OmnirtError("storage_failed", "A run with this id is stored already.")
        self._saver.save(rows.start_rows(run.info))

    def _live_rows(self) -> list[Row]:
        return [row for run in self._runs.values() for row in rows.start_rows(run.info)]

    def _write(self, part: Part, chunks: list[bytes], to_save: list[Row]) -> None:
        if part.failed or not chunks:
            return
        data = b"".join(chunks)
        if part.owed and not self._repay(part):
            part.owed += len(data)
            part.lost += len(data)
            return
        self._append(part, data, to_save)

    def _append(self, part: Part, data: bytes, to_save: list[Row]) -> None:
        before = part.wav.size
        try:
            if not before:
                paths.make_private_dir(part.path.parent)
            part.wav.write(data)
        except OSError as error:
            if error.errno not in _PASSING:
                self._fail(part, error)
                return
            self._retry_at = time.monotonic() + _RETRY_S
            missing = len(data) - (part.wav.size - before)
            part.owed += missing
            part.lost += missing
            part.run.fail(self._words(error))
        self._unfinished[part] = None
        self._open.pop(part, None)
        self._open[part] = None
        if len(self._open) > _MAX_OPEN_FILES:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.wav.release()
        if part.wav.size and not part.listed:
            part.listed = True
            to_save.append(part.row(self.data_dir, final=False))

    def _repay(self, part: Part) -> bool:
        """Put silence in the place of what a full disk did not take; False while it takes nothing."""
        if time.monotonic() < self._retry_at:
            return False
        before = part.wav.size
        try:
            paths.make_private_dir(part.path.parent)
            part.wav.silence(part.owed)
        except OSError:
            self._retry_at = time.monotonic() + _RETRY_S
        part.owed -= part.wav.size - before
        return not part.owed

    def _fill(self, part: Part, gap: int, to_save: list[Row]) -> None:
        silence = FORMATS[part.format].silence
        block = silence * min(gap, 1 << 16)
        while gap > 0 and not part.failed:
            self._write(part, [block[:gap]], to_save)
            gap -= len(block)

    def _finish(self, part: Part, to_save: list[Row]) -> None:
        self._open.pop(part, None)
        if part in self._unfinished:
            del self._unfinished[part]
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

    def _tell_all(self, problem: Exception | str) -> None:
        words = problem if isinstance(problem, str) else self._words(problem)
        for run in self._runs.values():
            run.fail(words)
        if not self._runs:  # nobody else is there to be told
            logger.warning("%s", words)

    def _words(self, error: Exception) -> str:
        """What went wrong, for people: the system's own words, no repr."""
        if isinstance(error, OmnirtError):
            return error.message
        if out_of_files(error):
            reason = NO_FILES
        else:
            reason = (error.strerror or "unknown error") if isinstance(error, OSError) else str(error)
        return (
            f"The conversation could not be stored in {self.data_dir}: {reason}. It goes on, and what "
            "follows may be missing from its history and its audio files. Check the disk and its permissions."
        )
