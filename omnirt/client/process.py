"""The daemon as a child process: spawn it, write and read lines, end it within bounds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import IO

MAX_LINE_BYTES = 16 * 1024 * 1024
"""No message of the daemon is longer: results end at 8 MiB, and that is the largest there is."""

EXIT_GRACE_S = 6.0
"""The daemon promises to be gone 5 s after a signal or a shutdown."""


class DaemonGone(ConnectionError):
    """The daemon ended while something was still expected of it.

    Attributes:
        returncode: The exit code, negative for a signal; None when it could not be started or still runs.
    """

    def __init__(self, message: str, returncode: int | None = None) -> None:
        super().__init__(message)
        self.returncode = returncode


class DaemonProcess:
    """One daemon and its pipes. stdout is read by one reader only, see `lines`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._stdout = process.stdout

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> DaemonProcess:
        """Starts the daemon.

        Raises:
            DaemonGone: The command cannot be run.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=env,
                cwd=cwd,
                limit=MAX_LINE_BYTES,
                # Ctrl-C in a terminal is for the host, which then ends the daemon; so is Ctrl-Z.
                start_new_session=True,
            )
        except OSError as error:
            raise DaemonGone(f"Cannot start the daemon with {argv[0]}: {error.strerror}.") from error
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id of the daemon."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.returncode

    def write(self, line: bytes) -> None:
        """Queues one message without waiting; what a dead daemon would have got is dropped."""
        if not self._stdin.is_closing():
            self._stdin.write(line + b"\n")

    async def drain(self) -> None:
        """Waits until the pipe has room again."""
        try:
            await self._stdin.drain()
        except ConnectionError:
            return  # the reader of stdout tells everybody who waits

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of stdout until it ends.

        Raises:
            DaemonGone: A line is longer than any message may be.
        """
        while True:
            try:
                line = await self._stdout.readline()
            except ValueError:
                raise DaemonGone(f"The daemon sent more than {MAX_LINE_BYTES} bytes in one line.") from None
            except ConnectionError:
                return
            if not line:
                return
            if line.strip():
                yield line

    def end_input(self) -> None:
        """Closes stdin: the daemon finishes what is in flight and ends."""
        self._stdin.close()

    async def wait(self, timeout_s: float) -> int | None:
        """The exit code, or None when it still runs after `timeout_s`."""
        try:
            return await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            return None

    async def end(self, grace_s: float) -> int | None:
        """Waits for the end, helps with SIGTERM and then SIGKILL, and returns the exit code."""
        self.end_input()
        for push in (self._process.terminate, self._process.kill):
            code = await self.wait(grace_s)
            if code is not None:
                return code
            try:
                push()
            except ProcessLookupError:  # it went in between
                pass
        return await self.wait(grace_s)


def default_argv(args: Sequence[str] = ()) -> list[str]:
    """`omnirt serve` with this very Python, so that host and daemon are of one version."""
    return [sys.executable, "-m", "omnirt", "serve", *args]
