"""Finds what a crash, a disk or a hand left in the data directory that does not fit together, and mends it.

Sessions that are live in any daemon are left alone: what looks unfinished there is about to be finished.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.storage import locks, mending
from omnirt.storage.adopting import adopt
from omnirt.storage.audio import recover
from omnirt.storage.database import Database
from omnirt.storage.deleting import finish_deletions, forget_words
from omnirt.storage.findings import Finding
from omnirt.storage.history import stored_item
from omnirt.storage.paths import database_path, locks_dir, make_private_dir, recording_path, safe_name
from omnirt.storage.patience import Patience
from omnirt.storage.reading import changing, told, transaction
from omnirt.storage.sound import Recording

_RECORDINGS = "*/*/*/*.wav"
_FILES = "SELECT id, session_id, path FROM audio JOIN runs USING (run_id)"
_ITEMS = "SELECT id, session_id, json FROM items JOIN runs USING (run_id)"
_UNINDEXED = """SELECT count(*) FROM item_words LEFT JOIN words ON words.rowid = item_words.id
    WHERE item_words.text <> coalesce(words.text, '')"""
_INDEX_ANEW = ("DELETE FROM words", "INSERT INTO words (rowid, text) SELECT id, text FROM item_words")


_ASIDE = {True: ": it was set aside", False: ""}


Progress = Callable[[int, int], None]
"""Told how many files of how many were looked at."""


def verify(
    data_dir: Path, *, repair: bool, progress: Progress = lambda done, total: None
) -> Iterator[Finding]:
    """All that does not fit together, as it is found, and mended if that is asked for.

    Raises:
        OmnirtError: `storage_failed`: a newer omnirt made the database, or it can't be used at all.
    """
    if not database_path(data_dir).exists():
        if not any((data_dir / "audio").glob(_RECORDINGS)):
            return
        yield Finding(kind="database", message="There are recordings, but no database.", repaired=repair)
        if not repair:
            return
        with told(data_dir, Patience(), advice=""):
            Database(database_path(data_dir)).close()
    if (problem := _unreadable(database_path(data_dir))) is not None:
        yield _damaged(problem)
        return
    with changing(data_dir, Patience(), advice="") as connection:
        broken = list(_database(connection))
        yield from broken
        if broken:
            return  # what such a database says of all else is not to be relied on
        yield from _deletions(connection, data_dir, repair=repair)
        yield from _runs(data_dir, repair=repair)
        yield from _items(connection, repair=repair)
        yield from _files(connection, data_dir, progress, repair=repair)
        yield from _search(connection, repair=repair)


def _database(connection: sqlite3.Connection) -> Iterator[Finding]:
    try:
        problems = [str(text) for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
    except sqlite3.DatabaseError as error:
        problems = [str(error)]
    if not problems:
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        problems = [f"A row of {table} belongs to nothing." for table, *_ in orphans]
    yield from map(_damaged, problems)


def _unreadable(path: Path) -> str | None:
    """Why this is no database at all; None when it is one."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError:
        return None  # locked, or not to be opened: told by whoever uses it
    except sqlite3.DatabaseError as error:
        return str(error)
    return None


def _damaged(problem: str) -> Finding:
    hint = "the next daemon that meets this sets the database aside and begins a new one"
    return Finding(kind="database", message=f"The database is damaged: {problem} ({hint}).")


def _deletions(connection: sqlite3.Connection, data_dir: Path, *, repair: bool) -> Iterator[Finding]:
    ids = [session_id for (session_id,) in connection.execute("SELECT session_id FROM deletions")]
    finished = finish_deletions(connection, data_dir) if repair and ids else 0
    for session_id in ids:
        yield Finding(
            kind="deletion",
            message=f"The deletion of the session {session_id} is half done: its files may be there still.",
            session_id=session_id,
            repaired=finished == len(ids),
        )


def _runs(data_dir: Path, *, repair: bool) -> Iterator[Finding]:
    with contextlib.closing(Database(database_path(data_dir))) as database:
        for run in mending.open_runs(database):
            with _unless_live(data_dir, run.session_id) as free:
                pass  # it is taken again for the mending
            if free:
                yield Finding(
                    kind="run",
                    message=f"A run of the session {run.session_id} was cut short and has no end.",
                    session_id=run.session_id,
                    repaired=repair and mending.mend_run(database, data_dir, run),
                )


def _items(connection: sqlite3.Connection, *, repair: bool) -> Iterator[Finding]:
    broken = [row[:2] for row in connection.execute(_ITEMS) if not _is_item(row[2])]
    for row_id, session_id in broken:
        if repair:
            connection.execute("DELETE FROM items WHERE id = ?", (row_id,))
        message = f"An item of the session {session_id} can't be read."
        yield Finding(kind="item", message=message, session_id=session_id, repaired=repair)


def _is_item(text: str) -> bool:
    try:
        stored_item("", text)
    except OmnirtError:
        return False
    return True


def _files(
    connection: sqlite3.Connection, data_dir: Path, progress: Progress, *, repair: bool
) -> Iterator[Finding]:
    rows = {
        recording_path(data_dir, path): (row_id, session_id)
        for row_id, session_id, path in connection.execute(_FILES)
    }
    going = {
        name for (names,) in connection.execute("SELECT files FROM deletions") for name in json.loads(names)
    }
    every = sorted((data_dir / "audio").glob(_RECORDINGS))
    on_disk = [path for path in every if path.relative_to(data_dir).as_posix() not in going]
    total = len(rows.keys() | set(on_disk))
    done = 0
    for path, (row_id, session_id) in rows.items():
        with _unless_live(data_dir, session_id) as free:
            if free:
                try:
                    finding = _file(connection, data_dir, path, row_id, session_id, repair=repair)
                except OSError as error:
                    finding = _unusable(path, error)
                if finding is not None:
                    yield finding
        progress(done := done + 1, total)
    for path in on_disk:
        if path in rows:
            continue
        with _unless_live(data_dir, path.parent.name, is_folder=True) as free:
            if free and os.path.lexists(path):
                try:
                    yield _stray(connection, data_dir, path, repair=repair)
                except OSError as error:
                    yield _unusable(path, error)
        progress(done := done + 1, total)


def _file(
    connection: sqlite3.Connection, data_dir: Path, path: Path, row_id: int, session_id: str, *, repair: bool
) -> Finding | None:
    """What is wrong with a file that a row tells of."""
    facts = {"session_id": session_id, "path": str(path)}
    if not os.path.lexists(path):
        if repair:
            connection.execute("DELETE FROM audio WHERE id = ?", (row_id,))
        return Finding(kind="missingFile", message="A recording is gone.", repaired=repair, **facts)
    try:
        with Recording(path) as recording:
            if recording.closed:
                return None
        if repair:
            recover(path)
            with Recording(path) as recording:
                ms = recording.total_ms
            sql = "UPDATE audio SET duration_ms = ?, final = 1 WHERE id = ?"
            connection.execute(sql, (ms, row_id))
    except (OmnirtError, OSError):
        if repair:
            facts["path"] = str(_set_aside(data_dir, path))
            connection.execute("DELETE FROM audio WHERE id = ?", (row_id,))
        return Finding(
            kind="brokenFile", message=f"A recording can't be read{_ASIDE[repair]}.", repaired=repair, **facts
        )
    return Finding(kind="unfinishedFile", message="A recording was cut short.", repaired=repair, **facts)


def _stray(connection: sqlite3.Connection, data_dir: Path, path: Path, *, repair: bool) -> Finding:
    """A recording that no row tells of comes into the history; one that can't be read is set aside."""
    try:
        with Recording(path) as recording:
            empty = recording.size == 0
    except (OmnirtError, OSError):
        empty = True
    if empty:
        if repair:
            path = _set_aside(data_dir, path)
        message = f"A file that no row tells of is no recording{_ASIDE[repair]}."
        return Finding(kind="strayFile", message=message, path=str(path), repaired=repair)
    session_id = None
    if repair:
        recover(path)
        with transaction(connection):
            session_id = adopt(connection, data_dir, path)
    return Finding(
        kind="strayFile",
        message="No row tells of a recording" + (": it is in the history now." if repair else "."),
        session_id=session_id,
        path=str(path),
        repaired=repair,
    )


def _unusable(path: Path, error: OSError) -> Finding:
    message = f"A recording can't be used: {error.strerror or 'unknown error'}."
    return Finding(kind="brokenFile", message=message, path=str(path))


def _set_aside(data_dir: Path, path: Path) -> Path:
    """Nothing is deleted that somebody may make something of."""
    aside = data_dir / "stray" / path.relative_to(data_dir / "audio")
    make_private_dir(aside.parent)
    return path.rename(aside)


def _search(connection: sqlite3.Connection, *, repair: bool) -> Iterator[Finding]:
    try:
        connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        (missing,) = connection.execute(_UNINDEXED).fetchone()
    except sqlite3.DatabaseError:
        missing = -1
    if missing:
        if repair:
            with transaction(connection):
                for statement in _INDEX_ANEW:
                    connection.execute(statement)
            forget_words(connection)
        message = "The index of the search is not that of the items."
        yield Finding(kind="search", message=message, repaired=repair)


@contextlib.contextmanager
def _unless_live(data_dir: Path, session: str, *, is_folder: bool = False) -> Iterator[bool]:
    """Whether the session is not live; it does not become so within the block."""
    name = session if is_folder else safe_name(session)
    lock = locks.try_named(locks_dir(data_dir), name)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()
