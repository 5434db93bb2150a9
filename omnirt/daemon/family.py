"""The processes around the daemon: the host whose death ends it, the children that must not outlive it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from pathlib import Path

_POLL_S = 1.0
"""Where the system cannot tell of a death: a third of what the protocol allows."""
_READINGS = 20
"""Of the children, while threads end in between: more than a process has threads that end at once."""

_DYING_S = 0.5
"""How long what was killed is waited for: the system takes a moment, longer where the machine is busy."""


async def wait_for_death(pid: int) -> None:
    """Returns when the process is no more, or never was."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # not Linux, or forbidden in this container
        await _poll(pid)
        return
    dead = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, dead.set)
    try:
        await dead.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _poll(pid: int) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        except PermissionError:
            pass  # it lives, as another user
        await asyncio.sleep(_POLL_S)


def children() -> set[int]:
    """The children of this process (Linux only)."""
    return set(_children_of(os.getpid()))


def kill_children(spared: set[int]) -> None:
    """Kills what is left of the processes that this one started, and those they started (Linux only).

    Each is stopped first, so that none starts another while the tree is walked. Returns when they are dead.

    Args:
        spared: Children it had from the start, of a shell that became this process.
    """
    waiting = list(children() - spared)
    doomed: list[int] = []
    while waiting:
        pid = waiting.pop()
        _send(pid, signal.SIGSTOP)
        doomed.append(pid)
        waiting += _children_of(pid)
    for pid in doomed:
        _send(pid, signal.SIGKILL)
    _wait_for_deaths(doomed)


def _wait_for_deaths(pids: list[int]) -> None:
    until = time.monotonic() + _DYING_S
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except (AttributeError, OSError):  # it is dead; or not Linux, or forbidden in this container
            continue
        dying = select.poll()
        dying.register(descriptor, select.POLLIN)
        dying.poll(max(0, until - time.monotonic()) * 1000)
        os.close(descriptor)


def _children_of(pid: int) -> list[int]:
    """Its children, which Linux lists by thread.

    A thread that ends hands its own to another, maybe to one that was read before: then they are read anew.
    """
    found: set[int] = set()
    for _ in range(_READINGS):
        threads = _threads_of(pid)
        for thread in threads:
            try:
                text = (thread / "children").read_text()
            except OSError:
                continue  # it ended
            found.update(map(int, text.split()))
        if _threads_of(pid) == threads:
            break
    return list(found)


def _threads_of(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []  # the process is gone, or this is not Linux


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
