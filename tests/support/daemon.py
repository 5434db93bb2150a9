"""The real daemon as a child process: what a host sends and reads, with every wait bounded.

@driven
async def test_…() -> None:
    async with Daemon.spawn() as daemon:
        reply = await daemon.request("ping")
        daemon.send({"method": "session.sendText", "params": {...}})
        event = await daemon.wait_for(lambda message: message.get("method") == "realtime.closed")
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, ParamSpec

Message = dict[str, Any]
Framing = Literal["lines", "headers"]

WAIT_S = 30.0
"""Every wait ends by then: long for a busy machine, and only ever used up by a failure."""

TEST_S = 60.0
"""And every test."""

P = ParamSpec("P")

_COVERAGE = {"COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"}

COMMAND = (sys.executable, "-m", "omnirt", "serve")


def driven(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Runs an `async def` test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), TEST_S))

    return run


def _environment(more: Mapping[str, str], measured: bool) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if measured or name not in _COVERAGE}
    return {**ours, **more}


class Daemon:
    """One daemon. Made by `spawn`; killed at the end of the block, whatever happened."""

    def __init__(self, process: asyncio.subprocess.Process, framing: Framing) -> None:
        self._process = process
        self._framing = framing
        self._count = 0
        self.seen: list[Any] = []
        """Every message read so far, in order; a batch's array is one."""
        self._readers: list[asyncio.Task[None]] = []
        self._unread: asyncio.Queue[Any] = asyncio.Queue()
        self._set_aside: list[Any] = []
        self.stdout = b""
        """Everything on stdout so far, as it came."""
        self.stderr = b""
        self._stderr_grew = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def spawn(
        cls,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        framing: Framing = "lines",
        command: Sequence[str] = COMMAND,
        measured: bool = False,
    ) -> AsyncIterator[Daemon]:
        """Starts the daemon.

        Args:
            args: Behind the command.
            env: Added to this process's environment.
            framing: How the host frames; the daemon finds out by itself.
            command: Another program in the daemon's place.
            measured: Whether coverage is measured in it, which doubles the seconds of its first session.
        """
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, *args, stdin=pipe, stdout=pipe, stderr=pipe, env=_environment(env or {}, measured)
        )
        daemon = cls(process, framing)
        daemon._readers = readers = [
            asyncio.create_task(daemon._read_stdout()),
            asyncio.create_task(daemon._read_stderr()),
        ]
        try:
            yield daemon
        finally:
            if process.returncode is None:
                process.kill()
            await asyncio.wait_for(process.wait(), WAIT_S)
            await asyncio.wait(readers, timeout=WAIT_S)
            for reader in readers:
                reader.cancel()
            transport = process._transport  # type: ignore[attr-defined] # closes the pipes; nothing public does
            transport.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: object) -> None:
        """Sends a message (any JSON value), or bytes just as they are."""
        assert self._process.stdin is not None
        self._process.stdin.write(message if isinstance(message, bytes) else frame(self._framing, message))

    async def send_slowly(self, data: bytes) -> None:
        """Sends bytes one at a time, each in a write of its own."""
        assert self._process.stdin is not None
        for byte in data:
            self._process.stdin.write(bytes([byte]))
            await asyncio.wait_for(self._process.stdin.drain(), WAIT_S)

    async def request(self, method: str, params: object = None, request_id: object = None) -> Message:
        """Sends a request and returns its reply, with `result` or `error`."""
        if request_id is None:
            self._count += 1
            request_id = f"t{self._count}"
        message: Message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        if params is not None:
            message["params"] = params
        self.send(message)
        return await self.reply(request_id)

    async def result(self, method: str, params: object = None) -> Message:
        """As `request`, for what must succeed: the result."""
        reply = await self.request(method, params)
        assert "result" in reply, reply
        result: Message = reply["result"]
        return result

    async def reply(self, request_id: object) -> Message:
        """The reply to this id, now or earlier; others are kept for later."""
        return await self.wait_for(
            lambda message: "method" not in message and message.get("id") == request_id and "id" in message
        )

    async def recv(self) -> Any:
        """The next message that nobody has taken."""
        if self._set_aside:
            return self._set_aside.pop(0)
        return await self._next()

    async def wait_for(self, matches: Callable[[Message], bool]) -> Message:
        """The first message that matches and was not taken yet; those before it stay, in order, for later."""
        for index, message in enumerate(self._set_aside):
            if isinstance(message, dict) and matches(message):
                del self._set_aside[index]
                return message
        while True:
            message = await self._next()
            if isinstance(message, dict) and matches(message):
                return message
            self._set_aside.append(message)

    async def wait_stderr(self, matches: Callable[[bytes], bool]) -> None:
        """Returns once everything written to stderr so far matches."""
        async with asyncio.timeout(WAIT_S):
            while not matches(self.stderr):
                self._stderr_grew.clear()
                await self._stderr_grew.wait()

    def close_stdin(self) -> None:
        """The host has nothing more to say."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def pause_reading(self) -> None:
        """Leaves stdout alone from now on, as a host does that is busy."""
        self._stdout_transport().pause_reading()

    def resume_reading(self) -> None:
        """Reads on."""
        self._stdout_transport().resume_reading()

    def _stdout_transport(self) -> asyncio.ReadTransport:
        transport = self._process._transport  # type: ignore[attr-defined] # nothing public stops the reading
        stdout = transport.get_pipe_transport(1)
        assert isinstance(stdout, asyncio.ReadTransport)
        return stdout

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    async def wait_exit(self) -> int:
        """The exit code. Everything it wrote has been read then, see `seen` and `stderr`."""
        code = await asyncio.wait_for(self._process.wait(), WAIT_S)
        await asyncio.wait_for(asyncio.gather(*self._readers), WAIT_S)
        return code

    async def rest(self) -> list[Any]:
        """The messages that nobody has taken, up to the end of stdout."""
        messages = self._set_aside
        self._set_aside = []
        while (message := await asyncio.wait_for(self._unread.get(), WAIT_S)) is not _END:
            messages.append(message)
        self._unread.put_nowait(_END)
        return messages

    async def _next(self) -> Any:
        message = await asyncio.wait_for(self._unread.get(), WAIT_S)
        if message is _END:
            self._unread.put_nowait(_END)
            raise EOFError(f"stdout ended; stderr: {self.stderr.decode(errors='replace')[-2000:]}")
        return message

    async def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        buffer = b""
        while data := await self._process.stdout.read(65536):
            self.stdout += data
            buffer += data
            messages, buffer = split(self._framing, buffer)
            for message in messages:
                self.seen.append(message)
                self._unread.put_nowait(message)
        if buffer:
            self._unread.put_nowait({"unreadable": buffer})
        self._unread.put_nowait(_END)

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(65536):
            self.stderr += data
            self._stderr_grew.set()


_END = object()


def frame(framing: Framing, message: object) -> bytes:
    """A message as a host frames it."""
    body = json.dumps(message, ensure_ascii=False).encode()
    return body + b"\n" if framing == "lines" else b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def split(framing: Framing, data: bytes) -> tuple[list[Any], bytes]:
    """The whole messages at the start of `data`, and what is behind them; strict, as a test should be."""
    messages: list[Any] = []
    while True:
        if framing == "lines":
            line, newline, rest = data.partition(b"\n")
            if not newline:
                return messages, data
            body, data = line, rest
        else:
            header, end, rest = data.partition(b"\r\n\r\n")
            if not end:
                return messages, data
            name, _, length = header.partition(b": ")
            assert name == b"Content-Length", header
            if len(rest) < int(length):
                return messages, data
            body, data = rest[: int(length)], rest[int(length) :]
        messages.append(json.loads(body))
