"""A data directory that can't be written: a mount for reading, or another user's."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.stored_methods import HistoryGetParams, HistoryListParams
from omnirt.storage.database import Database
from omnirt.storage.history import get_session, list_sessions
from omnirt.storage.paths import database_path
from omnirt.storage.patience import Patience
from omnirt.storage.verify import verify
from tests.unit.storage.archives import store

pytestmark = pytest.mark.anyio


@contextlib.contextmanager
def only_read(folder: Path) -> Iterator[None]:
    """Within it nobody may write there, whoever runs the tests."""
    root = os.geteuid() == 0
    folder.chmod(0o555)
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose parents everybody may pass, unlike those of `tmp_path`."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "data"
        folder.mkdir()
        yield folder


def readable(folder: Path) -> None:
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


async def test_what_is_stored_is_read(folder: Path) -> None:
    await store(folder, "s1", "Hello", "Hi")
    readable(folder)
    with only_read(folder):
        [session] = list_sessions(folder, HistoryListParams(), Patience()).sessions
        assert session.session_id == "s1"
        assert len(get_session(folder, HistoryGetParams(session_id="s1"), Patience()).items) == 2


async def test_beside_a_daemon_that_may_write_its_last_words_are_read(folder: Path) -> None:
    await store(folder, "s1", "Hello", "Hi")
    daemon = Database(database_path(folder))
    await store(folder, "s2", "Hello", "Hi")
    readable(folder)
    with only_read(folder):
        assert len(list_sessions(folder, HistoryListParams(), Patience()).sessions) == 2
    daemon.close()


async def test_a_log_that_can_not_be_taken_in_is_told_and_not_left_out(folder: Path) -> None:
    await store(folder, "s1", "Hello", "Hi")
    daemon = Database(database_path(folder))
    await store(folder, "s2", "Hello", "Hi")
    copy = folder.parent / "copy"
    copy.mkdir()
    for end in ("", "-wal"):
        shutil.copy(f"{database_path(folder)}{end}", f"{database_path(copy)}{end}")
    daemon.close()
    readable(copy)
    with only_read(copy), pytest.raises(OmnirtError, match="The folder can't be written"):
        list_sessions(copy, HistoryListParams(), Patience())


async def test_verify_says_that_it_has_to_write_and_does_not_name_itself(folder: Path) -> None:
    await store(folder, "s1", "Hello", "Hi")
    readable(folder)
    with only_read(folder), pytest.raises(OmnirtError, match="The folder can't be written") as caught:
        list(verify(folder, repair=False))
    assert "storage verify" not in caught.value.message
