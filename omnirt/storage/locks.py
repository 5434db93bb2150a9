"""Locks on session ids: one live session per id in all daemons on a data directory.

A lock is an advisory lock (flock) on an open file, which the system drops when the process dies, however it
dies; two daemons in one process exclude each other as well. The file itself says nothing.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.storage.paths import create_private, make_private_dir, safe_name

_TRIES = 5
_PAUSE_S = 0.01  # a tidying daemon holds a file for microseconds
_TIDY_AT_MOST = 1000


class SessionLock:
    """The right to run a session; given back by `release` or by the end of the process."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd: int | None = fd

    def release(self) -> None:
        """Remove the lock file and let go of it; harmless when done before."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            # While it is still held: who opened it meanwhile sees that it is gone, and opens a new one.
            self._path.unlink(missing_ok=True)
        except OSError:
            pass  # a file that stays holds nobody up
        finally:
            os.close(fd)


def acquire(folder: Path, session_id: str) -> SessionLock:
    """Take the lock of a session. Blocks for some 50 ms at most.

    Raises:
        OmnirtError: `session_exists`: the session is live, here or in another daemon.
        OSError: The lock file can't be made.
    """
    make_private_dir(folder)
    path = folder / f"{safe_name(session_id)}.lock"
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_S)  # in the writer thread, never on the loop
        if (lock := _try(path)) is not None:
            return lock
    raise OmnirtError(
        "session_exists", "A session with this id is live already. Stop it first, or choose another id."
    )


def try_acquire(folder: Path, session_id: str) -> SessionLock | None:
    """Take the lock of a session if it is free, without waiting.

    Raises:
        OSError: The lock file can't be made.
    """
    return try_named(folder, safe_name(session_id))


def try_named(folder: Path, name: str) -> SessionLock | None:
    """The same for a session of which only the name of its folder is known.

    Raises:
        OSError: The lock file can't be made.
    """
    make_private_dir(folder)
    return _try(folder / f"{name}.lock")


def tidy(folder: Path) -> None:
    """Remove lock files that processes which died left behind; a bounded number of them.

    Raises:
        OSError: The folder can't be read.
    """
    for path in itertools.islice(folder.glob("*.lock"), _TIDY_AT_MOST):
        try:
            lock = _try(path)
        except OSError:
            continue  # not ours to remove
        if lock is not None:
            lock.release()


def _try(path: Path) -> SessionLock | None:
    fd = create_private(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before us may have removed the file after we opened it: then we hold nothing.
        if os.path.samestat(os.fstat(fd), path.stat()):
            return SessionLock(path, fd)
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return None
