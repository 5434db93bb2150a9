"""Deleting stored sessions: rows and files go together, also when the process dies in between.

First the rows go and the files' names are written into `deletions`, in one transaction; then the files go;
then their names. Whatever happens in between, `finish_deletions` takes it up again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from omnirt.errors import OmnirtError
from omnirt.protocol.stored_methods import HistoryDeleteResult
from omnirt.storage import locks
from omnirt.storage.paths import locks_dir, recording_path, session_audio_dir
from omnirt.storage.patience import Patience
from omnirt.storage.reading import changing, transaction

_MERGE_PAGES = 50
"""Some 30 ms of work: no other writer is kept waiting for longer."""
_COUNT = """SELECT 1 + (SELECT count(*) FROM runs WHERE session_id = ?1)
    + (SELECT count(*) FROM items JOIN runs USING (run_id) WHERE session_id = ?1)
    + (SELECT count(*) FROM audio JOIN runs USING (run_id) WHERE session_id = ?1)
    + (SELECT count(*) FROM usage JOIN runs USING (run_id) WHERE session_id = ?1)"""
_PATHS = "SELECT path FROM audio JOIN runs USING (run_id) WHERE session_id = ?"
_SESSION = "SELECT project_slug, agent_slug FROM sessions WHERE session_id = ?"


class Deleted(NamedTuple):
    """What is gone of a session, and which of its files could not be removed yet."""

    rows: int
    files: int
    left: list[str]


def delete_session(data_dir: Path, session_id: str, patience: Patience) -> HistoryDeleteResult:
    """Delete all that is stored of a session.

    Raises:
        OmnirtError: `not_found`; `session_state` when it is live in any daemon; `storage_failed`, also when
            recordings are left that can't be removed now; `timed_out`.
    """
    with changing(data_dir, patience) as connection:
        deleted = delete_from(connection, data_dir, session_id)
        forget_words(connection)
    if deleted.left:
        raise OmnirtError("storage_failed", still_there(data_dir, deleted.left))
    return HistoryDeleteResult(deleted_rows=deleted.rows, deleted_files=deleted.files)


def still_there(data_dir: Path, left: Sequence[str]) -> str:
    """What is said of recordings that could not be removed."""
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    return (
        f"The history is deleted, but {data_dir / left[0]}{more} can't be removed now. That is tried again "
        "whenever retention is applied, and by `omnirt storage verify --repair`."
    )


def delete_from(connection: sqlite3.Connection, data_dir: Path, session_id: str) -> Deleted:
    """The same on an open connection; `forget_words` is to follow, after the last of several."""
    row = connection.execute(_SESSION, (session_id,)).fetchone()
    if row is None:
        raise OmnirtError("not_found", f"No session with the id {session_id[:128]!r} is stored.")
    lock = hold(data_dir, session_id)
    try:
        project_slug, agent_slug = row
        folder = session_audio_dir(data_dir, project_slug, agent_slug, session_id)
        # Nobody can add to it now. A crash may have left files that no row tells of.
        files = {str(path.relative_to(data_dir)) for path in folder.glob("*.wav")}
        with transaction(connection):
            files.update(path for (path,) in connection.execute(_PATHS, (session_id,)))
            (rows,) = connection.execute(_COUNT, (session_id,)).fetchone()
            connection.execute("DELETE FROM sessions WHERE session_id = ?", (session_id,))
            deletion = connection.execute(
                "INSERT INTO deletions (session_id, files) VALUES (?, ?)",
                (session_id, json.dumps(sorted(files))),
            ).lastrowid
        removed, left = _remove_files(data_dir, sorted(files))
        _note(connection, deletion, left)
    finally:
        lock.release()
    return Deleted(rows, removed, left)


def finish_deletions(connection: sqlite3.Connection, data_dir: Path) -> int:
    """Remove the files of deletions that a crash, or a disk that failed, left half done.

    Returns:
        How many deletions were finished; one of a session that is live again is left for later, and so is
        one with a file that can't be removed.
    """
    finished = 0
    pending = connection.execute("SELECT id, session_id, files FROM deletions").fetchall()
    for deletion, session_id, files in pending:
        try:
            lock = hold(data_dir, session_id)
        except (OmnirtError, OSError):
            continue
        try:
            _, left = _remove_files(data_dir, json.loads(files))
            _note(connection, deletion, left)
            finished += not left
        finally:
            lock.release()
    if finished:
        forget_words(connection)
    return finished


def forget_words(connection: sqlite3.Connection) -> None:
    """Take the words of what was deleted out of the search's index and the database's log as well."""
    pages = -_MERGE_PAGES  # all of the index; then so many pages at a time, between which others write
    while True:
        before = connection.total_changes
        connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
        if connection.total_changes - before < 2:  # SQLite's word for: nothing is left to be merged
            break
        pages = _MERGE_PAGES
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def hold(data_dir: Path, session_id: str) -> locks.SessionLock:
    """The lock of a session that is not live.

    Raises:
        OmnirtError: `session_state` when it is.
        OSError: The lock file can't be made.
    """
    try:
        return locks.acquire(locks_dir(data_dir), session_id)
    except OmnirtError as error:
        if error.kind != "session_exists":
            raise
        message = f"The session {session_id[:128]} is live; stop it first."
        raise OmnirtError("session_state", message) from None


def _note(connection: sqlite3.Connection, deletion: int | None, left: Sequence[str]) -> None:
    """A deletion is done, but for these files."""
    if left:
        connection.execute("UPDATE deletions SET files = ? WHERE id = ?", (json.dumps(left), deletion))
    else:
        connection.execute("DELETE FROM deletions WHERE id = ?", (deletion,))


def _remove_files(data_dir: Path, files: Iterable[str]) -> tuple[int, list[str]]:
    """Remove recordings, and their folders if they are empty then; how many, and which can't be removed."""
    count = 0
    left = []
    folders = set()
    for name in files:
        path = recording_path(data_dir, name)
        folders.add(path.parent)
        try:
            path.unlink()
            count += 1
        except FileNotFoundError:
            pass
        except OSError:
            left.append(name)
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # not empty, or gone
            pass
    return count, left
