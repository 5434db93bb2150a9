"""Saves rows, however the database fares: locked, full, broken or taken away. For the writer thread alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.storage.database import BUSY_S, Database, Row

logger = logging.getLogger(__name__)

_MAX_UNSAVED_ROWS = 10_000
_MAX_UNSAVED_BYTES = 32 << 20
_RETRY_S = 1.0  # a database that fails is not tried in each batch: audio goes first
# Another daemon's transaction takes milliseconds, as a rule. Audio waits behind a try, so that it is short.
_TRY_S = 0.1
_BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


class RowSaver:
    """Rows on their way to the database; what can't be saved now waits here, up to a bound.

    Args:
        path: Of the database, which is opened when it is first needed.
        live_rows: Rows of the runs that go on, for a database begun anew.
        told: Gets the failures: an exception, or a sentence.
    """

    def __init__(
        self, path: Path, live_rows: Callable[[], Iterable[Row]], told: Callable[[Exception | str], None]
    ) -> None:
        self._path = path
        self._live_rows = live_rows
        self._told = told
        self._database: Database | None = None
        self._identity: tuple[int, int] | None = None
        self._unsaved: list[Row] = []
        self._retry_at = 0.0
        self._busy_since: float | None = None

    @property
    def unsaved(self) -> bool:
        """Whether rows wait for the database to work again."""
        return bool(self._unsaved)

    def database(self) -> Database:
        """The database, opened; a broken one is set aside, and one that was taken away is made anew.

        Raises:
            OmnirtError: `storage_failed`: a newer omnirt made it.
            OSError, sqlite3.Error: It can't be opened.
        """
        import sqlite3

        if self._database is not None and _identity(self._path) != self._identity:
            self._let_go()
        if self._database is None:
            identity = _identity(self._path)
            try:
                self._database = Database(self._path)
            except sqlite3.DatabaseError as error:
                if not _name(error).startswith(_BROKEN):
                    raise
                self._set_aside(identity)
                self._database = Database(self._path)
            self._identity = _identity(self._path)
            self._unsaved[:0] = self._live_rows()
            self._be_patient(_TRY_S)
        return self._database

    def save(self, new: Iterable[Row]) -> None:
        """Save rows, after those that wait; failures are told, and tried again later."""
        import sqlite3

        self._unsaved.extend(new)
        if not self._unsaved or time.monotonic() < self._retry_at:
            self._limit()
            return
        try:
            database = self.database()
            refused = database.save(self._unsaved)
        except (OSError, sqlite3.Error, OmnirtError) as error:
            self.failed(error)
            return
        self._busy_since = None
        self._unsaved.clear()
        if refused:
            logger.warning("the database refused %d rows", refused)

    def failed(self, error: Exception) -> None:
        """The database failed: it is tried again later. One that is only locked may be so for a while."""
        now = time.monotonic()
        self._retry_at = now + _RETRY_S
        self._limit()
        if _name(error).startswith(_BROKEN) and self._database is not None:
            self._let_go()
            self._retry_at = now
            try:
                self._set_aside(self._identity)
            except OSError as problem:
                self._told(problem)
            return
        if _name(error).startswith(_BUSY):
            self._retry_at = now + _TRY_S
            self._busy_since = now if self._busy_since is None else self._busy_since
            if now - self._busy_since < BUSY_S:
                return
        self._told(error)

    def close(self) -> None:
        """Save what can be saved, and let go; a locked database is waited for once more."""
        self._retry_at = 0.0
        if self._database is not None:
            self._be_patient(BUSY_S)
        self.save(())
        self._let_go()

    def _be_patient(self, seconds: float) -> None:
        assert self._database is not None
        self._database.query(Row(f"PRAGMA busy_timeout = {round(seconds * 1000)}", ()))

    def _let_go(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _set_aside(self, identity: tuple[int, int] | None) -> None:
        """Give the broken database another name; never one that another daemon put in its place meanwhile."""
        if identity is None or _identity(self._path) != identity:
            return
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        aside = self._path.with_name(f"{self._path.name}.broken-{stamp}")
        for suffix in ("-wal", "-shm", ""):  # in this order: no log is left to a database that it is not of
            part = self._path.with_name(self._path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        self._told(
            f"The database was damaged. It is kept as {aside}, and a new one was begun: this conversation "
            "goes on, and what was stored before is missing from the history until the old one is repaired."
        )

    def _limit(self) -> None:
        """Drop the newest rows beyond the bound; that something is not stored was told before."""
        size = 0
        for index, row in enumerate(self._unsaved):
            size += row.size()
            if index >= _MAX_UNSAVED_ROWS or size > _MAX_UNSAVED_BYTES:
                del self._unsaved[index:]
                return


def _name(error: Exception) -> str:
    """SQLite's own name of an error; empty for what is none of its."""
    name = getattr(error, "sqlite_errorname", "")
    return name if isinstance(name, str) else ""


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
