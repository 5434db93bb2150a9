"""The database is made, migrated and shared safely, and a newer one is left alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.storage.database import MIGRATIONS, Database, Row
from omnirt.storage.rows import discard_rows, start_rows
from tests.unit.storage.helpers import LIMIT_S, query, run_info

OPEN = "import sys; from pathlib import Path; from omnirt.storage.database import Database; " + (
    "sys.stdin.readline(); Database(Path(sys.argv[1])).close()"
)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Database]:
    database = Database(path)
    try:
        yield database
    finally:
        database.close()


def test_a_new_database_has_the_tables_of_this_version_and_is_for_the_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(tmp_path / "data" / "omnirt.db") as database:
            database.save(start_rows(run_info()))
            modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "data").iterdir()}
            assert modes == dict.fromkeys(("omnirt.db", "omnirt.db-wal", "omnirt.db-shm"), 0o600)
    finally:
        os.umask(before)
    assert query(tmp_path / "data", "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert query(tmp_path / "data", "PRAGMA journal_mode") == [("wal",)]
    assert query(tmp_path / "data", "PRAGMA integrity_check") == [("ok",)]


def test_opening_again_keeps_what_is_there(tmp_path: Path) -> None:
    with opened(tmp_path / "omnirt.db") as database:
        database.save(start_rows(run_info()))
    with opened(tmp_path / "omnirt.db") as database:
        assert database.query(Row("SELECT session_id FROM sessions", ())) == [("s1",)]


def test_a_newer_database_is_refused_and_untouched(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db")) as newer:
        newer.execute("PRAGMA journal_mode = WAL")
        newer.execute("CREATE TABLE of_the_future (x)")
        newer.execute("PRAGMA user_version = 99")
    before = (tmp_path / "omnirt.db").read_bytes()
    with pytest.raises(OmnirtError, match="newer omnirt") as caught:
        Database(tmp_path / "omnirt.db")
    assert caught.value.kind == "storage_failed"
    assert (tmp_path / "omnirt.db").read_bytes() == before


def test_a_newer_database_whose_version_is_still_in_its_log_is_refused(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db")) as newer:
        newer.execute("PRAGMA journal_mode = WAL")
        newer.execute("PRAGMA user_version = 99")
        before = (tmp_path / "omnirt.db").read_bytes(), (tmp_path / "omnirt.db-wal").read_bytes()
        with pytest.raises(OmnirtError, match="newer omnirt"):
            Database(tmp_path / "omnirt.db")
        after = (tmp_path / "omnirt.db").read_bytes(), (tmp_path / "omnirt.db-wal").read_bytes()
    assert after == before


def test_a_newer_database_that_a_crash_left_with_its_log_is_not_tidied_up(tmp_path: Path) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db", isolation_level=None)) as newer:
        newer.execute("PRAGMA journal_mode = WAL")
        newer.execute("PRAGMA user_version = 99")
        for name in ("omnirt.db", "omnirt.db-wal"):
            shutil.copy(tmp_path / name, crashed / name)
    before = {file.name: file.read_bytes() for file in crashed.iterdir()}
    with pytest.raises(OmnirtError, match="newer omnirt"):
        Database(crashed / "omnirt.db")
    assert {name: (crashed / name).read_bytes() for name in before} == before


def test_what_is_no_database_is_an_error_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "omnirt.db").write_bytes(b"these are my notes, not a database. " * 100)
    before = (tmp_path / "omnirt.db").read_bytes()
    with pytest.raises(sqlite3.DatabaseError):
        Database(tmp_path / "omnirt.db")
    assert (tmp_path / "omnirt.db").read_bytes() == before


def test_a_row_that_breaks_a_rule_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    with opened(tmp_path / "omnirt.db") as database:
        of_no_run = Row("INSERT INTO usage (run_id, json) VALUES (?, ?)", ("none", "{}"))
        assert database.save([of_no_run, *start_rows(run_info())]) == 1
    assert query(tmp_path, "SELECT count(*) FROM runs") == [(1,)]
    assert query(tmp_path, "SELECT count(*) FROM usage") == [(0,)]


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    with opened(tmp_path / "omnirt.db") as database:
        with pytest.raises(sqlite3.OperationalError):
            database.save([*start_rows(run_info()), Row("INSERT INTO nothing VALUES (1)", ())])
        assert database.query(Row("SELECT 1 FROM sessions", ())) == []
        assert database.save(start_rows(run_info())) == 0


def test_a_discarded_run_takes_its_rows_and_a_session_of_no_other_run_along(tmp_path: Path) -> None:
    with opened(tmp_path / "omnirt.db") as database:
        database.save([*start_rows(run_info(run_id="one")), *start_rows(run_info(run_id="two"))])
        database.save([Row("INSERT INTO usage (run_id, json) VALUES (?, ?)", ("two", "{}"))])
        database.save(discard_rows(run_info(run_id="two")))
        assert database.query(Row("SELECT run_id FROM runs", ())) == [("one",)]
        assert database.query(Row("SELECT 1 FROM usage", ())) == []
        assert database.query(Row("SELECT 1 FROM sessions", ())) == [(1,)]
        database.save(discard_rows(run_info(run_id="one")))
        assert database.query(Row("SELECT 1 FROM sessions", ())) == []


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db")) as connection:
        connection.execute("CREATE TABLE usage (mine)")  # in the way of the first migration's last step
    with pytest.raises(sqlite3.OperationalError):
        Database(tmp_path / "omnirt.db")
    assert query(tmp_path, "SELECT name FROM sqlite_master") == [("usage",)]
    assert query(tmp_path, "PRAGMA user_version") == [(0,)]


def test_many_daemons_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path / "omnirt.db")], stdin=subprocess.PIPE)
        for _ in range(5)
    ]
    for child in children:  # all are started before the first is let go
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.close()
    assert [child.wait(3 * LIMIT_S) for child in children] == [0] * len(children)
    assert query(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert [file.name for file in tmp_path.glob("*.new")] == []


def test_opening_a_second_time_in_one_process_keeps_the_locks_of_the_first(tmp_path: Path) -> None:
    with opened(tmp_path / "omnirt.db") as database:
        database.save(start_rows(run_info()))
        with opened(tmp_path / "omnirt.db"):
            pass
        # Were its locks gone, the other process would take itself for the last, and remove the log.
        subprocess.run(
            [sys.executable, "-c", OPEN, str(tmp_path / "omnirt.db")],
            input=b"\n",
            check=True,
            timeout=3 * LIMIT_S,
        )
        assert (tmp_path / "omnirt.db-wal").exists()
        database.save(start_rows(run_info("s2", "run2")))
    assert query(tmp_path, "SELECT count(*) FROM runs") == [(2,)]
