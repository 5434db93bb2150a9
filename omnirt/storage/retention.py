"""Retention: which stored sessions go when they are too old, or when the recordings take too much room."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from omnirt.errors import OmnirtError
from omnirt.storage.deleting import Deleted, delete_from, finish_deletions, forget_words, hold
from omnirt.storage.paths import recording_path
from omnirt.storage.patience import Patience
from omnirt.storage.reading import changing

# Ended or not is for the lock to say: a crash may have left a run without its end.
_SESSIONS = """SELECT session_id, max(coalesce(ended_at, started_at)) AS last FROM runs
    GROUP BY session_id ORDER BY last, session_id"""
_PATHS = "SELECT path FROM audio JOIN runs USING (run_id) WHERE session_id = ?"

MAX_DAYS = 36_500.0
"""More are as many: nothing is older, and no calendar begins so early."""


@dataclass(frozen=True)
class Policy:
    """What is kept: of the last so many days, and so many bytes of recordings; all of it by default."""

    days: float | None = None
    max_bytes: int | None = None

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is ever deleted."""
        return self.days is None and self.max_bytes is None

    def is_due(self, ended_at: str, size: int, kept: int) -> bool:
        """Whether a session of `size` bytes goes while all that is kept takes `kept`."""
        if self.days is not None:
            days = self.days if self.days < MAX_DAYS else MAX_DAYS
            if ended_at < _wall_time(datetime.now(UTC) - timedelta(days=days)):
                return True
        return self.max_bytes is not None and kept > self.max_bytes and size > 0


class Pruned(NamedTuple):
    """What retention did."""

    sessions: list[str]
    rows: int
    files: int
    bytes: int
    left: Sequence[str] = ()
    """Recordings that can't be removed now: that is tried again the next time."""

    def plus(self, session_id: str, deleted: Deleted, size: int) -> Pruned:
        """And one session more."""
        return Pruned(
            [*self.sessions, session_id],
            self.rows + deleted.rows,
            self.files + deleted.files,
            self.bytes + size,
            [*self.left, *deleted.left],
        )


Progress = Callable[[int, int], None]
"""Told how many sessions of how many are done."""


def prune(
    data_dir: Path,
    policy: Policy,
    patience: Patience,
    *,
    dry_run: bool = False,
    progress: Progress = lambda done, total: None,
) -> Pruned:
    """Finish what deletions are half done, then delete the sessions that ended first; never a live one.

    Raises:
        OmnirtError: `storage_failed`, `timed_out`.
    """
    pruned = Pruned([], 0, 0, 0)
    try:
        with changing(data_dir, patience) as connection:
            if not dry_run:
                finish_deletions(connection, data_dir)
            if policy.keeps_all:
                return pruned
            sessions = [
                (session_id, last, _bytes(connection, data_dir, session_id))
                for session_id, last in connection.execute(_SESSIONS).fetchall()
            ]
            kept = sum(size for *_, size in sessions)
            for done, (session_id, last, size) in enumerate(sessions, 1):
                patience.check()
                if policy.is_due(last, size, kept):
                    result = _delete(connection, data_dir, session_id, dry_run=dry_run)
                    if result is not None:
                        kept -= size
                        pruned = pruned.plus(session_id, result, size)
                progress(done, len(sessions))
            if pruned.rows:
                forget_words(connection)
    except OmnirtError as error:
        if error.kind != "not_found":  # nothing was ever stored
            raise
    return pruned


def _bytes(connection: sqlite3.Connection, data_dir: Path, session_id: str) -> int:
    size = 0
    for (path,) in connection.execute(_PATHS, (session_id,)):
        try:
            size += recording_path(data_dir, path).stat().st_size
        except OSError:
            pass  # a file that is gone takes no room
    return size


def _delete(
    connection: sqlite3.Connection, data_dir: Path, session_id: str, *, dry_run: bool
) -> Deleted | None:
    """None when the session is live, or when somebody else deleted it."""
    try:
        if dry_run:
            hold(data_dir, session_id).release()
            return Deleted(0, 0, [])
        return delete_from(connection, data_dir, session_id)
    except OmnirtError as error:
        if error.kind not in ("session_state", "not_found"):
            raise
        return None


def _wall_time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
