"""A daemon process with raw pipes, for transcripts: bytes in, in one framing, and messages out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from omnirt.protocol.framing import Framing
from omnirt.tapes.patterns import Json

MAX_LINE_BYTES = 1024 * 1024
"""Enough for all that is recorded, and little enough for a host that stalls."""

STALL_TIMEOUT_S = 60.0


class Daemon:
    """A daemon process with raw pipes, spoken to in one framing."""

    def __init__(self, process: asyncio.subprocess.Process, framing: Framing, folder: Path) -> None:
        self._process = process
        self._framing = framing
        self._folder = folder
        self.reading = asyncio.Event()
        self.reading.set()
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._stdout = process.stdout

    @classmethod
    async def spawn(cls, args: Sequence[str], framing: Framing, folder: Path) -> Daemon:
        """Starts `omnirt serve` with its data and its log in `folder`."""
        errors = folder / "stderr"
        # Unmeasured, a daemon imports the voice SDK in half the time; other tests cover the same.
        foreign = ("OMNIRT_", "OPENAI_", "COVERAGE_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        with errors.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "omnirt", "serve", "--data-dir", str(folder / "data"), *args),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=env,
                limit=MAX_LINE_BYTES,
            )
        return cls(process, framing, folder)

    def frame(self, text: str) -> bytes:
        """The bytes of one message."""
        body = text.encode()
        if self._framing == "lines":
            return body + b"\n"
        return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)

    async def send(self, data: bytes, *, byte_by_byte: bool = False) -> None:
        """Writes bytes; one system call for each of them if asked to."""
        pieces = [data[i : i + 1] for i in range(len(data))] if byte_by_byte else [data]
        try:
            for piece in pieces:
                self._stdin.write(piece)
                await self._stdin.drain()
        except ConnectionError:
            return  # the daemon is gone: the expectations say whether it should be

    def end(self) -> None:
        """Closes stdin."""
        self._stdin.close()

    async def messages(self) -> AsyncIterator[Json]:
        """What the daemon writes, until it closes stdout."""
        while True:
            await self.reading.wait()
            line = await self._stdout.readline()
            if not line:
                return
            if self._framing == "lines":
                yield json.loads(line)
                continue
            name, _, length = line.partition(b":")
            assert name == b"Content-Length", f"no header: {line[:80]!r}"
            assert await self._stdout.readexactly(2) == b"\r\n"
            yield json.loads(await self._stdout.readexactly(int(length)))

    async def wait(self) -> int:
        """The exit code."""
        return await self._process.wait()

    async def kill(self) -> None:
        """Ends it if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def log(self) -> str:
        """The end of its stderr."""
        return (self._folder / "stderr").read_text(errors="replace")[-2000:]

    async def stall(self, stored_bytes: int) -> None:
        """Leaves stdout alone until the daemon's files hold so many bytes of audio."""
        self.reading.clear()
        async with asyncio.timeout(STALL_TIMEOUT_S):
            while sum(path.stat().st_size for path in self._folder.rglob("*.wav")) < stored_bytes:
                await asyncio.sleep(0.05)  # a file has no event to wait for
        self.reading.set()
