"""MCP servers that are child processes: guarded, so that nothing of them outlives us, and heard on stderr."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from agents.mcp import MCPServerStdio
from mcp.client.stdio import stdio_client

from omnirt.errors import OmnirtError
from omnirt.providers.settings import HEADER_KEYS
from omnirt.specs.parts import StdioServer

log = logging.getLogger(__name__)

# A shell that becomes the server, after it left a guard behind: the guard reads from stderr, which is a
# socket whose other end is ours alone. When that is closed, by us or by a SIGKILL of us, it kills the whole
# group. It belongs to the group, so that its number can't be anybody else's by then; and it is not a child of
# the server, which may be surprised by one.
_GUARD: Final = '({ read -r _; kill -s KILL -- -$$; } <&2 >/dev/null 2>&1 &); exec "$@"'

_MAX_LINE: Final = 1000
_LINES: Final = 100
_PERIOD_S: Final = 10.0
"""So many lines of so many characters go to the log in that time; more are only counted."""

_KEYS: Final = frozenset(
    {"OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_CLIENT_SECRET", *(key.upper() for key in HEADER_KEYS)}
)
"""Variables with keys of providers, which are none of a server's business."""


Environ = Mapping[str, str]


class GuardedStdio(MCPServerStdio):
    """The SDK's server over stdio, with a guard, its stderr in our log, and word of its end.

    Args:
        server: As the spec declares it.
        environ: The daemon's environment.
        timeout_s: Of one request.
        gone: Called when the server closed its stdout, or ended.
    """

    def __init__(
        self,
        server: StdioServer,
        environ: Environ,
        timeout_s: float,
        gone: Callable[[], None],
    ) -> None:
        env = {name: value for name, value in environ.items() if name not in _KEYS} | server.env
        program = _program(server, env)
        params: Any = {
            "command": "/bin/sh",
            "args": ["-c", _GUARD, "sh", program, *server.args],
            "env": env,
            "cwd": server.cwd,
        }
        super().__init__(params, name=server.name, client_session_timeout_seconds=timeout_s)
        self.last_words = ""
        """The last line on stderr."""
        self._gone = gone
        self._socket: socket.socket | None = None

    def kill(self) -> None:
        """End the server and all that it started, at once."""
        if self._socket is not None:
            # Not `close`: the logging task reads from it.
            self._socket.shutdown(socket.SHUT_RDWR)

    @asynccontextmanager
    async def create_streams(self) -> AsyncIterator[Any]:
        """Spawn the server; its streams."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            self._socket = ours
            listening = asyncio.create_task(self._listen(ours))
            try:
                with theirs, theirs.makefile("w") as stderr:
                    transport = stdio_client(self.params, errlog=stderr)
                    read, write = await transport.__aenter__()
                try:
                    yield _Watched(read, self._gone), write
                finally:
                    await transport.__aexit__(None, None, None)
            finally:
                self._socket = None
                listening.cancel()

    async def _listen(self, stderr: socket.socket) -> None:
        """Log what the server says on stderr, within bounds."""
        loop = asyncio.get_running_loop()
        rest, since, count = b"", time.monotonic(), 0
        while data := await loop.sock_recv(stderr, 65536):
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > _MAX_LINE:
                lines, rest = [*lines, rest], b""
            if time.monotonic() - since > _PERIOD_S:
                if count > _LINES:
                    log.info("MCP server %s: … %d more lines", self.name, count - _LINES)
                since, count = time.monotonic(), 0
            for line in filter(None, (line.strip() for line in lines)):
                self.last_words = line[:_MAX_LINE].decode(errors="replace")
                count += 1
                if count <= _LINES:
                    log.info("MCP server %s: %s", self.name, self.last_words)


class _Watched:
    """A stream of the server's messages that tells of its end."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def receive(self) -> Any:
        """The next message."""
        import anyio

        try:
            return await self._stream.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._ended()
            raise

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise

    async def __aenter__(self) -> _Watched:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *details: Any) -> bool | None:
        return bool(await self._stream.__aexit__(*details))


def _program(server: StdioServer, env: Mapping[str, str]) -> str:
    """Where the program is.

    Raises:
        OmnirtError: `mcp_server_failed`: nowhere.
    """
    folder = Path(server.cwd) if server.cwd is not None else Path.cwd()
    if not folder.is_dir():
        raise OmnirtError("mcp_server_failed", f"The folder `{server.cwd}` does not exist.")
    if os.sep in server.command:
        found = folder / server.command
        if found.is_file() and os.access(found, os.X_OK):
            return str(found)
    elif (path := shutil.which(server.command, path=env.get("PATH"))) is not None:
        return str(Path(path).absolute())
    message = f"There is no program `{server.command}`; install it, or check PATH."
    raise OmnirtError("mcp_server_failed", message)
