"""One live session per id, whoever runs it and however they end."""

from __future__ import annotations

import fcntl
import itertools
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.storage import locks
from tests.unit.storage.helpers import LIMIT_S

HOLD = """
import sys
from pathlib import Path
from omnirt.storage import locks
held = locks.acquire(Path(sys.argv[1]), "s1")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_session_that_is_live_is_refused_until_it_is_let_go(tmp_path: Path) -> None:
    held = locks.acquire(tmp_path / "locks", "s1")
    with pytest.raises(OmnirtError) as caught:
        locks.acquire(tmp_path / "locks", "s1")
    assert caught.value.kind == "session_exists"
    locks.acquire(tmp_path / "locks", "s2").release()
    held.release()
    held.release()
    locks.acquire(tmp_path / "locks", "s1").release()
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(OmnirtError):
            locks.acquire(tmp_path, "s1")
        child.kill()
        child.wait(LIMIT_S)
    locks.acquire(tmp_path, "s1").release()


def test_tidying_removes_what_dead_processes_left_and_nothing_that_is_held(tmp_path: Path) -> None:
    held = locks.acquire(tmp_path, "s1")
    (tmp_path / "stale.lock").touch()
    (tmp_path / "other.txt").touch()
    (tmp_path / "link.lock").symlink_to(tmp_path / "other.txt")
    locks.tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.lock", "other.txt", "s1.lock"]
    with pytest.raises(OmnirtError):
        locks.acquire(tmp_path, "s1")
    held.release()


def test_of_many_who_want_one_session_at_once_never_two_have_it(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def run(number: int) -> None:
        for _ in range(30):
            try:
                lock = locks.acquire(tmp_path, "s1")
            except OmnirtError:
                continue
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)
            lock.release()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * LIMIT_S)
    assert most
    assert max(most) == 1


def test_a_file_that_its_holder_removed_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = locks.acquire(tmp_path, "s1")
    others: list[locks.SessionLock] = []
    flock, opened = fcntl.flock, itertools.count()

    def flock_late(fd: int, how: int) -> None:
        if next(opened) == 0:  # between our open and our lock: it is let go, and taken by another
            held.release()
            others.append(locks.acquire(tmp_path, "s1"))
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock_late)
    with pytest.raises(OmnirtError) as caught:
        locks.acquire(tmp_path, "s1")
    assert caught.value.kind == "session_exists"
    others[0].release()


def test_a_lock_whose_file_was_removed_by_hand_is_let_go_quietly(tmp_path: Path) -> None:
    held = locks.acquire(tmp_path, "s1")
    (tmp_path / "s1.lock").unlink()
    held.release()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "locks").touch()
    with pytest.raises(OSError):
        locks.acquire(tmp_path / "locks", "s1")
