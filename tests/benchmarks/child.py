"""Processes under test: spawned, kept to one core, spoken to line by line; what they use of the machine."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

LIMIT_S = 60
TESTED_CORE, LOAD_CORE = 0, 1
"""What is measured runs on one core, and what loads it (the host's and the provider's end) on another."""
PYTHON = sys.executable


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, all threads, to the nanosecond (its CPU clock, Linux)."""
    return time.clock_gettime((~pid << 3) | 2)


def rss_mb(pid: int) -> float:
    """Resident memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def pin(core: int, pid: int = 0) -> None:
    """Keeps a process (and what it starts from now on) to one core, where there are several."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def unpin() -> None:
    """Lets this process, and what it starts, run anywhere: for what has nobody to share with."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


class Child(asyncio.SubprocessProtocol):
    """A child that speaks lines."""

    def __init__(self) -> None:
        self.on_line: Callable[[bytes], None] | None = None
        self.lines: deque[bytes] = deque()
        self._rest = b""
        self._more = asyncio.Event()
        self._exited = asyncio.Event()
        self._transport: asyncio.SubprocessTransport
        self._in: asyncio.WriteTransport

    @classmethod
    async def spawn(cls, *argv: str, core: int | None = LOAD_CORE, stderr: int | None = None) -> Child:
        """Start `python …` on a core, or wherever the system likes."""
        loop = asyncio.get_running_loop()
        transport, child = await loop.subprocess_exec(cls, PYTHON, *argv, stderr=stderr)
        if core is not None:
            pin(core, transport.get_pid())
        return child

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._transport.get_pid()

    @property
    def cpu_s(self) -> float:
        """CPU time so far."""
        return cpu_s(self.pid)

    @property
    def rss_mb(self) -> float:
        """Memory now."""
        return rss_mb(self.pid)

    def send(self, line: bytes) -> None:
        """Write one line at once; what the pipe does not take waits here."""
        self._in.write(line + b"\n")

    def pause(self) -> None:
        """Read nothing for now."""
        self._pipe(1).pause_reading()

    def resume(self) -> None:
        """Read on."""
        self._pipe(1).resume_reading()

    async def until(self, word: bytes) -> bytes:
        """The next line with this word; those before it are dropped."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                while self.lines:
                    line = self.lines.popleft()
                    if word in line:
                        return line
                if self._exited.is_set():
                    raise RuntimeError(f"the child ended before it said {word!r}")
                self._more.clear()
                await self._more.wait()

    def end(self) -> None:
        """End of stdin."""
        self._in.close()

    async def close(self) -> None:
        """End of stdin, and wait."""
        self.on_line = None
        self.end()
        async with asyncio.timeout(LIMIT_S):
            await self._exited.wait()
        self._transport.close()

    async def kill(self) -> None:
        """Without the end of stdin."""
        self._transport.kill()
        async with asyncio.timeout(LIMIT_S):
            await self._exited.wait()
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._in = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Of asyncio."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self.on_line is None:
            self.lines += lines
            self._more.set()
            return
        for line in lines:
            self.on_line(line)

    def process_exited(self) -> None:
        """Of asyncio."""
        self._exited.set()
        self._more.set()

    def _pipe(self, fd: int) -> asyncio.ReadTransport:
        return cast("asyncio.ReadTransport", self._transport.get_pipe_transport(fd))
