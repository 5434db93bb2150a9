"""The connection to one MCP server, in a task of its own: connect, list, serve, close, each within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from agents.exceptions import UserError
from agents.mcp import MCPServer, MCPServerManager
from mcp import ClientSession
from mcp.shared.exceptions import MCPError
from msgspec import UNSET, UnsetType

from omnirt.errors import OmnirtError
from omnirt.protocol.agent_events import McpStatus
from omnirt.protocol.types import ErrorInfo
from omnirt.sessions.mcp_http import http_server
from omnirt.sessions.mcp_stdio import Environ, GuardedStdio
from omnirt.sessions.tool_outputs import of_server
from omnirt.specs.mcp import ServerTool, allowed
from omnirt.specs.parts import AnyServer, StdioServer
from omnirt.specs.tools import ToolFailedError

log = logging.getLogger(__name__)


class Tell(Protocol):
    """Told each status, with the names of the tools or an error."""

    def __call__(
        self, status: McpStatus, *, tools: list[str] | UnsetType = UNSET, error: ErrorInfo | UnsetType = UNSET
    ) -> None: ...


REQUEST_GRACE_S: Final = 5.0
"""Beyond a tool's own limit: who waits for the tool gives up first."""
CLOSE_S: Final = 0.7
"""What a server has for a clean end: a Python one needs 0.3 s."""
KILL_S: Final = 0.5
"""And what we take to see that it is dead."""
MAX_TOOLS: Final = 1000
_MAX_WORDS: Final = 500


class McpLink:
    """One server, from its start to its end.

    A plain task of asyncio's does all that the MCP library must not do inside a cancel scope of anyio's: one
    that fires while it connects spins for ever.

    Args:
        server: As the specs declare it, all agents together.
        environ: Of the daemon.
        tell: Told each status.
        mask: Hides secrets in what the server says.
    """

    def __init__(self, server: AnyServer, environ: Environ, tell: Tell, mask: Callable[[str], str]) -> None:
        self.server = server
        self.tools: list[ServerTool] = []
        self.problem: str | None = None
        """Why it can't be used."""
        self._environ = environ
        self._tell = tell
        self._mask = mask
        self._sdk: MCPServer | None = None
        self._killed = False
        self._status: int | None = None
        """The last error that an HTTP server answered with."""
        self._over = False
        self._wanted = False
        self._turn = asyncio.Event()
        self._settled = asyncio.Event()
        self._task = asyncio.create_task(self._live(), name=f"omnirt-mcp-{server.name}")

    async def settled(self) -> None:
        """Return when it is ready, or failed."""
        await self._settled.wait()

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """The output of a tool. A server that was lost is started again for it.

        Raises:
            ToolFailedError: The tool's own error.
            OmnirtError: `mcp_server_failed`: the server is gone, or does not speak as it should.
        """
        session = await self._session()
        # Past the SDK's own `call_tool`, which lets an HTTP server run one tool at a time.
        running = asyncio.ensure_future(session.call_tool(name, arguments))
        running.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may come too late
        try:
            # Not awaited: a cancellation must not wait for what the library does about it.
            await asyncio.wait({running})
        finally:
            running.cancel()
        problem = None if running.cancelled() else running.exception()
        if problem is not None:
            raise self._call_problem(problem)
        return of_server(running.result())

    async def close(self) -> None:
        """End it; returns within a bound, and no process of it is left."""
        self._over = True
        self._turn.set()
        if not self._settled.is_set():
            self._kill()
            self._task.cancel()
        await asyncio.wait({self._task}, timeout=CLOSE_S + 3 * KILL_S)
        if not self._task.done():
            log.warning("MCP server %s did not end in time", self.server.name)

    # -- the life of it ----------------------------------------------------------------------------------

    async def _session(self) -> ClientSession:
        if self.problem is not None and self._settled.is_set():
            self._settled.clear()
            self._wanted = True
            self._turn.set()
        await self._settled.wait()
        session: ClientSession | None = getattr(self._sdk, "session", None)
        if self.problem is not None or session is None:
            raise self._gone()
        return session

    async def _live(self) -> None:
        while not self._over:
            self.problem, self._killed, self._status, self._wanted = None, False, None, False
            await self._serve()
            await self._until(lambda: self._over or self._wanted)
        self._settled.set()
        if self.problem is None:
            self._tell("closed")

    async def _until(self, due: Callable[[], bool]) -> None:
        while not due():
            self._turn.clear()
            await self._turn.wait()

    async def _serve(self) -> None:
        """One connection, from its start to its end."""
        self._tell("starting")
        manager: MCPServerManager | None = None
        try:
            self._sdk = self._make()
            manager = MCPServerManager(
                [self._sdk],
                connect_timeout_seconds=None,
                suppress_cancelled_error=False,
            )
            await self._connect(manager, self._sdk)
        except asyncio.CancelledError:
            if not self._over:
                raise
        except Exception as problem:  # noqa: BLE001 - whatever a server can do wrong
            self._failed(self._explained(problem))
        else:
            self._tell("ready", tools=[tool.name for tool in allowed(self.server, self.tools)])
            self._settled.set()
            await self._until(lambda: self._over or self.problem is not None)
        finally:
            self._settled.set()
            if manager is not None:
                await self._cleanup(manager)

    async def _connect(self, manager: MCPServerManager, sdk: MCPServer) -> None:
        try:
            async with self._limit(self.server.connect_timeout_s):
                await manager.connect_all()
                if sdk in manager.errors:
                    raise manager.errors[sdk]
                tools = await sdk.list_tools()
        except Exception:
            if self._killed:
                raise TimeoutError from None
            raise
        self.tools = [
            ServerTool(tool.name, tool.description or "", dict(tool.input_schema))
            for tool in tools[:MAX_TOOLS]
        ]

    async def _cleanup(self, manager: MCPServerManager) -> None:
        try:
            async with self._limit(CLOSE_S):
                await manager.cleanup_all()
        except Exception as problem:  # noqa: BLE001 - it is gone in any case
            log.debug("closing MCP server %s: %s", self.server.name, type(problem).__name__)

    @asynccontextmanager
    async def _limit(self, limit_s: float) -> AsyncIterator[None]:
        """A time limit that kills first. The library is polite to a process for four seconds, and waits for
        ever for one that lives when it is cancelled meanwhile.
        """
        too_late = asyncio.get_running_loop().call_later(limit_s, self._kill)
        try:
            async with asyncio.timeout(limit_s + KILL_S):
                yield
        finally:
            too_late.cancel()

    def _kill(self) -> None:
        """End a child process at once; what is behind a URL is just left."""
        self._killed = True
        if isinstance(self._sdk, GuardedStdio):
            self._sdk.kill()

    def _refused(self, status: int) -> None:
        self._status = status

    def _lost(self) -> None:
        """The server closed its side."""
        if self._settled.is_set() and not self._over:
            self._failed(f"The MCP server {self.server.name} ended by itself{self._last_words()}")

    def _failed(self, reason: str) -> None:
        if self.problem is None:
            self.problem = self._mask(reason)
            log.warning("%s", self.problem)
            self._tell("failed", error=ErrorInfo(kind="mcp_server_failed", message=self.problem))
            self._turn.set()

    # -- the SDK -----------------------------------------------------------------------------------------

    def _make(self) -> MCPServer:
        limit_s = self.server.timeout_s + REQUEST_GRACE_S
        if isinstance(self.server, StdioServer):
            return GuardedStdio(self.server, self._environ, limit_s, self._lost)
        return http_server(self.server, limit_s, self._refused)

    # -- words -------------------------------------------------------------------------------------------

    def _gone(self) -> OmnirtError:
        reason = self.problem or f"The MCP server {self.server.name} is closed."
        return OmnirtError("mcp_server_failed", reason)

    def _explained(self, problem: BaseException) -> str:
        """Why it can't be used, in words."""
        name, first = self.server.name, next(_leaves(problem))
        match first:
            case OmnirtError():
                return f"MCP server {name}: {first.message}"
            case TimeoutError():
                return (
                    f"The MCP server {name} was not ready within {self.server.connect_timeout_s:g} s"
                    f"{self._last_words()}"
                )
            case _ if self._status is not None:
                hint = "; check its headers" if self._status in (401, 403) else ""
                return f"The MCP server {name} answered with HTTP status {self._status}{hint}."
            case UserError():
                return f"{str(first)[:_MAX_WORDS].rstrip('.')}."
            case MCPError() if not _is_closed(first):
                return f"The MCP server {name} refused: {first.message[:_MAX_WORDS]}"
            case MCPError():
                return f"The MCP server {name} ended before it was ready{self._last_words()}"
            case _:
                return f"The MCP server {name} cannot be used ({type(first).__name__}){self._last_words()}"

    def _call_problem(self, problem: BaseException) -> Exception:
        """The tool's own error, or the loss of the connection."""
        first = next(_leaves(problem))
        # A server that was started anew behind its URL does not know us any more.
        if isinstance(first, MCPError) and not _is_closed(first) and self._status != 404:
            return ToolFailedError(first.message, str(first.code))
        if isinstance(first, MCPError) and _is_closed(first):
            self._lost()
        else:
            self._failed(self._explained(problem))
        return self._gone()

    def _last_words(self) -> str:
        words = self._sdk.last_words if isinstance(self._sdk, GuardedStdio) else ""
        return f"; it said last: {words[:_MAX_WORDS]}" if words else "."


def _is_closed(error: MCPError) -> bool:
    from mcp_types import CONNECTION_CLOSED

    return error.code == CONNECTION_CLOSED


def _leaves(problem: BaseException) -> Iterator[BaseException]:
    if isinstance(problem, BaseExceptionGroup):
        for part in problem.exceptions:
            yield from _leaves(part)
    else:
        yield problem
