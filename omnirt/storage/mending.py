"""Mends what a crash left open: files get exact headers, runs an end. By itself, never by hand.

A run that never ended and whose session no daemon holds the lock of was cut short. All of this runs in the
writer thread or in a reader's own, in steps of a run each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from omnirt.errors import OmnirtError
from omnirt.storage import locks, paths, rows
from omnirt.storage.audio import FORMATS, duration_ms, recover
from omnirt.storage.database import Database, Row

logger = logging.getLogger(__name__)

MEND_AT_MOST = 1000
"""Runs that one daemon mends after its start; the next one goes on."""
REASON = "error"
"""Why a run ended that nobody ended."""

_RUN = """SELECT started_at, input_format, input_rate, output_format, output_rate FROM runs
    WHERE run_id = ? AND ended_at IS NULL"""
_FILES = "SELECT id, path, side, at_ms, duration_ms, final FROM audio WHERE run_id = ?"
_FILE_MENDED = "UPDATE audio SET duration_ms = ?, final = 1 WHERE id = ?"
_FILE_GONE = "DELETE FROM audio WHERE id = ?"
_LAST_ITEM = "SELECT coalesce(max(at_ms), 0) FROM items WHERE run_id = ?"
_ITEMS = """UPDATE items SET status = 'incomplete', json = json_set(json, '$.status', 'incomplete')
    WHERE run_id = ? AND status = 'inProgress'"""
_RUN_ENDED = "UPDATE runs SET ended_at = ?, reason = ?, duration_ms = ? WHERE run_id = ? AND ended_at IS NULL"


class OpenRun(NamedTuple):
    """A run without an end: live, or cut short."""

    run_id: str
    session_id: str


def open_runs(database: Database, session_id: str | None = None) -> list[OpenRun]:
    """Runs without an end, of all sessions or of one.

    Raises:
        sqlite3.Error: The database can't be read.
    """
    found = database.query(rows.open_runs(session_id, MEND_AT_MOST))
    return [OpenRun(str(run_id), str(session)) for run_id, session in found]


def mend_run(database: Database, data_dir: Path, run: OpenRun) -> bool:
    """Give a run that was cut short exact files and an end; False when it is live or has an end.

    Its end is where what is stored of it ends.

    Raises:
        OSError: A file or the lock can't be used.
        sqlite3.Error: The database can't be used; nothing is changed in it.
    """
    lock = locks.try_acquire(paths.locks_dir(data_dir), run.session_id)
    if lock is None:
        return False
    try:
        return mend_locked(database, data_dir, run.run_id)
    finally:
        lock.release()


def mend_locked(database: Database, data_dir: Path, run_id: str) -> bool:
    """The same for a run of a session whose lock the caller holds.

    Raises:
        OSError, sqlite3.Error: As for `mend_run`.
    """
    known = database.query(Row(_RUN, (run_id,)))
    if not known:
        return False
    started_at, *formats = known[0]
    [(last_ms,)] = database.query(Row(_LAST_ITEM, (run_id,)))
    to_save: list[Row] = []
    length_ms = int(last_ms or 0)
    for changes, end_ms in _mend_files(database, data_dir, run_id, formats):
        length_ms = max(length_ms, end_ms)
        to_save += changes
    to_save.append(Row(_ITEMS, (run_id,)))
    to_save.append(Row(_RUN_ENDED, (_later(str(started_at), length_ms), REASON, length_ms, run_id)))
    database.save(to_save)
    return True


def _mend_files(
    database: Database, data_dir: Path, run_id: str, formats: list[str | int | None]
) -> Iterator[tuple[list[Row], int]]:
    """What is to be said of each file of a run, and where in time it ends."""
    audio_dir = (data_dir / "audio").resolve()
    for id_, name, side, at_ms, told_ms, final in database.query(Row(_FILES, (run_id,))):
        start_ms = int(at_ms or 0)
        if final:
            yield [], start_ms + int(told_ms or 0)
            continue
        path = data_dir / str(name)
        if path.is_symlink():  # none of ours: `verify` tells of it
            yield [], start_ms
            continue
        if not path.resolve().is_relative_to(audio_dir) or not path.exists():
            yield [Row(_FILE_GONE, (id_,))], 0
            continue
        try:
            recover(path)
        except OmnirtError as error:  # left as it is: whoever looks may make something of it
            logger.warning("a recording that was cut short can't be mended: %s", error.message)
        audio_format, rate = formats[:2] if side == "host" else formats[2:]
        length_ms = _length_ms(path, audio_format, rate)
        yield [Row(_FILE_MENDED, (length_ms, id_))], start_ms + length_ms


def _length_ms(path: Path, audio_format: str | int | None, rate: str | int | None) -> int:
    for name, wav in FORMATS.items():
        if name == audio_format and isinstance(rate, int):
            size = path.stat().st_size - wav.header_bytes
            return duration_ms(name, rate, max(0, size - size % wav.sample_bytes))
    return 0


def _later(started_at: str, length_ms: int) -> str:
    """The time so much later; RFC 3339, UTC."""
    started = datetime.fromisoformat(started_at).astimezone(UTC)
    ended = started + timedelta(milliseconds=length_ms)
    return ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")
