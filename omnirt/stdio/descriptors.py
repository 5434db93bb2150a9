"""File descriptors: the private copies of stdin and stdout, and descriptions of our own."""

from __future__ import annotations

import fcntl
import os
import sys

_FIRST_PRIVATE_FD = 10


def claim() -> tuple[int, int]:
    """Takes stdin and stdout away from everything else, and returns private copies of them.

    Afterwards fd 0 is the null device and fd 1 is stderr, for this process and its children, so that no print
    of a tool, a library or a child process ever mixes with the protocol.
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
    if sys.stderr is None:  # fd 2 was closed when Python started
        sys.stderr = os.fdopen(2, "w", closefd=False)
    sys.stdout = sys.stderr
    return private_in, private_out


def own_description(fd: int, flags: int) -> int | None:
    """`fd` (a pipe) opened anew, not blocking, or None where the system has no way to do it."""
    try:
        return os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
