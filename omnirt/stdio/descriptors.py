"""File descriptors: the private copies of stdin and stdout, and descriptions of our own."""

from __future__ import annotations

import fcntl
import io
import os
import stat
import sys

from omnirt.stdio.unread import Unread

_FIRST_PRIVATE_FD = 10


class _Lasting(io.TextIOWrapper):
    """A stream that a tool's `close` leaves open: whoever prints after it would fail."""

    def close(self) -> None:
        """Write what waits, and stay open."""
        if not self.buffer.closed:
            self.flush()


def claim() -> tuple[int, int]:
    """Takes stdin and stdout away from everything else, and returns private copies of them.

    Afterwards fd 0 is the null device and fd 1 is stderr, for this process and its children, so that no print
    of a tool, a library or a child process ever mixes with the protocol. What this process prints or logs
    goes to stderr without ever waiting for a reader.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is `fd`
    private_in = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE_FD)
    private_out = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE_FD)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    is_pipe = stat.S_ISFIFO(os.fstat(2).st_mode)
    unread = Unread(2, own_description(2, os.O_WRONLY) if is_pipe else None)
    sys.stdout, sys.stderr = (
        _Lasting(unread, "utf-8", "backslashreplace", line_buffering=True) for _ in "oe"
    )
    return private_in, private_out


def own_description(fd: int, flags: int) -> int | None:
    """`fd` (a pipe) opened anew, not blocking, or None where the system has no way to do it."""
    try:
        return os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
