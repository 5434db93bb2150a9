"""Connections of those who read, and change, what is stored, beside the writer thread: each has its own."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from omnirt.errors import NO_FILES, OmnirtError, out_of_files
from omnirt.storage import mending
from omnirt.storage.database import BUSY_S, Database, check_version
from omnirt.storage.paths import database_path
from omnirt.storage.patience import Patience

logger = logging.getLogger(__name__)

VERIFY = "`omnirt storage verify` tells more."
"""What is advised when the storage can't be used, by all but itself."""

_CHECK_EVERY = 10_000
"""Steps of SQLite's machine, some 100 µs, between two looks at the clock."""


@contextlib.contextmanager
def reading(data_dir: Path, patience: Patience) -> Iterator[sqlite3.Connection | None]:
    """A read-only connection, whose statements see one state of the database; None when there is none yet.

    An older database is migrated first, and runs that a crash cut short are mended.

    Raises:
        OmnirtError: `storage_failed`, `timed_out`.
    """
    path = database_path(data_dir)
    if not path.exists():
        yield None
        return
    with told(data_dir, patience), contextlib.closing(_connect(path, "ro")) as connection:
        if not check_version(connection):
            Database(path).close()
        _mend(data_dir, connection)
        _bound(connection, patience)
        connection.execute("BEGIN")
        yield connection


@contextlib.contextmanager
def changing(data_dir: Path, patience: Patience, advice: str = VERIFY) -> Iterator[sqlite3.Connection]:
    """A connection that may write, in transactions of its user's; it overwrites what it deletes.

    Raises:
        OmnirtError: `storage_failed`, `timed_out`, `not_found` when there is no database.
    """
    path = database_path(data_dir)
    if not path.exists():
        raise OmnirtError("not_found", "Nothing is stored yet.")
    with told(data_dir, patience, advice), contextlib.closing(_connect(path, "rw")) as connection:
        if not check_version(connection):
            Database(path).close()
        _bound(connection, patience)
        connection.execute("PRAGMA foreign_keys = ON")
        # What somebody wanted gone is not to be found in the file by who looks closely.
        connection.execute("PRAGMA secure_delete = ON")
        yield connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block's statements, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def told(data_dir: Path, patience: Patience, advice: str = VERIFY) -> Iterator[None]:
    """Failures of the disk and of the database become words.

    Raises:
        OmnirtError: `storage_failed`, or `timed_out` when it was the patience that ended it.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        patience.check()
        if out_of_files(error):
            message = f"The storage in {data_dir} can't be used now: {NO_FILES}."
            raise OmnirtError("storage_failed", message, retryable=True) from None
        reason = (error.strerror or "unknown error") if isinstance(error, OSError) else str(error)
        if data_dir.is_dir() and not os.access(data_dir, os.W_OK):
            advice = "The folder can't be written, and has to be for this: copy it to where it can."
        message = f"The storage in {data_dir} can't be used: {reason}. {advice}".rstrip()
        raise OmnirtError("storage_failed", message) from None


def _mend(data_dir: Path, connection: sqlite3.Connection) -> None:
    """Give an end to what a crash cut short; what is live, or can't be written, is read as it is."""
    if not connection.execute("SELECT EXISTS (SELECT 1 FROM runs WHERE ended_at IS NULL)").fetchone()[0]:
        return
    try:
        with contextlib.closing(Database(database_path(data_dir))) as database:
            for run in mending.open_runs(database):
                mending.mend_run(database, data_dir, run)
    except (OSError, sqlite3.Error) as error:
        logger.warning("what a crash left open could not be mended: %s", error)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    frozen = "&immutable=1" if mode == "ro" and _frozen(path) else ""
    uri = f"{path.absolute().as_uri()}?mode={mode}{frozen}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    # A lone surrogate can stand in a string of JSON, and nowhere else.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _frozen(path: Path) -> bool:
    """Whether the database can't change here, where SQLite can't make the files beside it that it reads by.

    With those of a daemon that may write it reads as ever; a log alone holds what is not in the database yet.
    """
    log, shared = (path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))
    if os.access(path.parent, os.W_OK):
        return False
    return not (log.exists() and (shared.exists() or log.stat().st_size))


def _bound(connection: sqlite3.Connection, patience: Patience) -> None:
    connection.set_progress_handler(lambda: int(patience.over), _CHECK_EVERY)
