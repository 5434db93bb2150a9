"""The SQLite database: opening, migrating, and saving rows in one transaction at a time.

Used from the writer thread alone. `sqlite3` is imported there too, so that an idle daemon is without it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from omnirt.errors import OmnirtError
from omnirt.storage.migrations import MIGRATIONS as MIGRATIONS
from omnirt.storage.paths import create_private, make_private_dir

if TYPE_CHECKING:
    import sqlite3

# How long another daemon's transaction (milliseconds, as a rule) is waited for. Audio waits behind it.
BUSY_S = 2.0
_WAL_PAUSE_S = 0.02

Value = str | int | None


class Row(NamedTuple):
    """One statement with its values."""

    sql: str
    values: tuple[Value, ...]

    def size(self) -> int:
        """How much it weighs in a queue, in bytes: about the length of its text."""
        return sum(len(value) for value in self.values if isinstance(value, str))


class Database:
    """An open database of this version."""

    def __init__(self, path: Path) -> None:
        """Open the database, making or migrating it as needed.

        Raises:
            OmnirtError: `storage_failed`: a newer omnirt made it. It is left untouched.
            OSError: The file can't be made.
            sqlite3.Error: It can't be opened, or is no database.
        """
        import sqlite3

        make_private_dir(path.parent)
        _make_file(path)
        # Read-only first: a newer database is not even tidied up after a crash.
        probe = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
        try:
            check_version(probe)
        finally:
            probe.close()
        self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            self._use_wal()
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except BaseException:
            self._connection.close()
            raise

    def save(self, rows: Iterable[Row]) -> int:
        """Run the statements in one transaction.

        Returns:
            How many were left out because they broke a rule of the schema; the others stand.

        Raises:
            sqlite3.Error: None was saved; trying again may help.
        """
        import sqlite3

        refused = 0
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                try:
                    self._connection.execute(row.sql, row.values)
                except sqlite3.IntegrityError:
                    refused += 1
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return refused

    def query(self, row: Row) -> list[tuple[Value, ...]]:
        """All results of one statement."""
        return self._connection.execute(row.sql, row.values).fetchall()

    def close(self) -> None:
        """Close the connection; the last one to close puts the log into the database."""
        self._connection.close()

    def _use_wal(self) -> None:
        import sqlite3

        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:  # several daemons on a new database: SQLite may not wait here
                if time.monotonic() > deadline:
                    raise
                time.sleep(_WAL_PAUSE_S)

    def _migrate(self) -> None:
        if _version(self._connection) == len(MIGRATIONS):
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(self._connection)  # another daemon may have been first
            _refuse_newer(version)
            for migration in MIGRATIONS[version:]:
                for statement in migration:
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _make_file(path: Path) -> None:
    """Make an empty database file for the user alone; SQLite gives its other files the same mode.

    Never by opening `path` itself: to close a file drops all locks that this process has on it, and with
    them those of another daemon in this process that has the database open.
    """
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    os.close(create_private(draft, os.O_RDWR))
    try:
        os.link(draft, path)
    except OSError:
        pass  # another daemon was first; or there are no hard links here, nor modes: SQLite makes the file
    finally:
        draft.unlink()


def check_version(connection: sqlite3.Connection) -> bool:
    """Whether a database is of this version; an older one is to be migrated (`Database` does).

    Raises:
        OmnirtError: `storage_failed`: a newer omnirt made it.
    """
    version = _version(connection)
    _refuse_newer(version)
    return version == len(MIGRATIONS)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _refuse_newer(version: int) -> None:
    if version > len(MIGRATIONS):
        raise OmnirtError(
            "storage_failed",
            "The database in the data directory was made by a newer omnirt. Update omnirt, or choose "
            "another data directory (--data-dir).",
        )
