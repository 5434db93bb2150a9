"""The client: one daemon, its requests and their replies, its notifications and its calls."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

from omnirt.client.methods import REQUEST_TIMEOUT_S, Methods
from omnirt.client.process import EXIT_GRACE_S, DaemonGone, DaemonProcess, default_argv
from omnirt.client.session import Session
from omnirt.client.streams import EventStream
from omnirt.client.tools import ApproveHandler, ToolHandler, ToolRunner
from omnirt.client.wire import Message, as_error, members
from omnirt.errors import OmnirtError
from omnirt.protocol.events import EVENTS, RealtimeClosed
from omnirt.protocol.methods import (
    CancelParams,
    ClientInfo,
    InitializeParams,
    InitializeResult,
    NoParams,
    SessionStartParams,
)
from omnirt.protocol.types import PROTOCOL_VERSION, Empty, Event

logger = logging.getLogger(__name__)

R = TypeVar("R")


class Client(Methods):
    """Spawns a daemon, and ends it when the `async with` block does. One client is for one daemon.

    When the daemon ends without having been asked to, that is `DaemonGone` for all who wait; nothing is
    started anew, since the sessions are gone.

    Args:
        argv: The command; by default `omnirt serve` with this Python, and `args` after it.
        args: Flags for the default command, for example `["--data-dir", "somewhere"]`.
        env: The daemon's environment, by default this process's.
        cwd: Its working directory.
        stderr: Where its log goes, as for `subprocess`; by default to this process's stderr.
        name: Told to the daemon as `clientInfo.name`.
        opt_out_notifications: Names of notifications that are not wanted.
        exit_grace_s: How long the daemon may take for each step of its end before it is pushed.
    """

    def __init__(
        self,
        argv: Sequence[str] | None = None,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stderr: int | IO[bytes] | None = None,
        name: str = "omnirt.client",
        opt_out_notifications: Sequence[str] = (),
        exit_grace_s: float = EXIT_GRACE_S,
    ) -> None:
        self._argv = list(argv) if argv is not None else default_argv(args)
        self._env, self._cwd, self._stderr = env, cwd, stderr
        self._name = name
        self._opt_out = list(opt_out_notifications)
        self._grace_s = exit_grace_s
        self._process: DaemonProcess | None = None
        self._reader: asyncio.Task[None] | None = None
        self._tools = ToolRunner(self._write)
        self._waiting: dict[int | str | None, asyncio.Future[Raw]] = {}
        self._streams: list[EventStream] = []
        self._session_streams: dict[str, EventStream] = {}
        self._next_id = 0
        self._gone: DaemonGone | None = None
        self._ending = False
        self.server: InitializeResult | None = None
        """What the daemon said of itself at the start."""

    async def __aenter__(self) -> Client:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> InitializeResult:
        """Spawns the daemon and says hello. Tools are registered before: it is then that hosts name them.

        Raises:
            DaemonGone: It cannot be started, or ends at once.
            OmnirtError: It was started before.
        """
        if self._process is not None:
            raise OmnirtError("invalid_request", "This client had its daemon: make another Client.")
        self._process = await DaemonProcess.spawn(
            self._argv, env=self._env, cwd=self._cwd, stderr=self._stderr
        )
        self._reader = asyncio.create_task(self._read(self._process), name="omnirt client")
        params = InitializeParams(
            protocol_version=PROTOCOL_VERSION,
            client_info=ClientInfo(name=self._name),
            process_id=os.getpid(),
            capabilities=self._tools.announce(),
            opt_out_notifications=self._opt_out,
        )
        try:
            self.server = await self.initialize(params)
        except BaseException:
            await self.close()
            raise
        return self.server

    async def close(self) -> int | None:
        """Ends sessions and daemon within bounds, and returns the daemon's exit code; harmless twice."""
        self._ending = True
        if self._process is None or self._reader is None:
            return None
        if self._process.returncode is None and self._gone is None:
            try:
                await self.request("shutdown", NoParams(), Empty, timeout_s=self._grace_s)
                await self.exit()
            except (OmnirtError, DaemonGone) as error:
                logger.debug("shutdown was not answered: %s", error)
        await self._tools.close(self._grace_s)
        code = await self._process.end(self._grace_s)
        # Something the daemon started may hold stdout open: then the reader would wait for ever.
        await asyncio.wait([self._reader], timeout=self._grace_s)
        self._reader.cancel()
        return code

    @property
    def pid(self) -> int | None:
        """The process id of the daemon."""
        return self._process.pid if self._process else None

    @property
    def returncode(self) -> int | None:
        """The exit code of the daemon, None while it runs."""
        return self._process.returncode if self._process else None

    def tool(self, name: str) -> Callable[[ToolHandler], ToolHandler]:
        """Decorates the coroutine function that answers `tool.call` for the host tool `name`."""

        def register(handler: ToolHandler) -> ToolHandler:
            self._tools.add(name, handler)
            return handler

        return register

    def approve(self, handler: ApproveHandler) -> ApproveHandler:
        """Decorates the coroutine function that decides whether a tool may run (`tool.approve`)."""
        self._tools.ask(handler)
        return handler

    def notifications(self) -> EventStream:
        """A stream of every notification from now on; EventStream says what happens when nobody reads it."""
        stream = EventStream()
        self._streams.append(stream)
        if self._gone is not None:
            stream.end(self._gone)
        return stream

    async def start_session(self, params: SessionStartParams) -> Session:
        """Starts a session whose stream has every event from the first."""
        session_id = params.session_id or str(uuid.uuid4())
        if session_id in self._session_streams:
            raise OmnirtError("session_exists", f"This client has a live session {session_id} already.")
        stream = self._session_streams[session_id] = EventStream()
        try:
            started = await self.session_start(msgspec.structs.replace(params, session_id=session_id))
        except BaseException:
            self._session_streams.pop(session_id, None)
            raise
        return Session(self, started, stream)

    async def request(
        self, method: str, params: Struct, result_type: type[R], *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> R:
        """Sends a request and waits for its reply; cancelling the wait cancels the request.

        Raises:
            OmnirtError: The daemon's error, with its `kind`; or `timed_out`.
            DaemonGone: The daemon ended before it answered.
        """
        if self._gone is not None:
            raise self._gone
        self._next_id += 1
        request_id = self._next_id
        reply = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._send({"id": request_id, "method": method, "params": members(params)})
                result = await reply
        except TimeoutError:
            self._forget(request_id)
            raise OmnirtError(
                "timed_out", f"The daemon did not answer {method} in {timeout_s:g} s."
            ) from None
        except asyncio.CancelledError:
            self._forget(request_id)
            raise
        finally:
            self._waiting.pop(request_id, None)
        return msgspec.json.decode(result, type=result_type)

    async def notify(self, method: str, params: Struct) -> None:
        """Sends a notification."""
        if self._gone is not None:
            raise self._gone
        self._ending = self._ending or method == "exit"
        await self._send({"method": method, "params": members(params)})

    def _forget(self, request_id: int) -> None:
        cancel = {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": CancelParams(id=request_id)}
        self._write(msgspec.json.encode(cancel))

    async def _send(self, message: dict[str, object]) -> None:
        process = self._write(msgspec.json.encode({"jsonrpc": "2.0", **message}))
        await process.drain()

    def _write(self, line: bytes) -> DaemonProcess:
        if self._process is None:
            raise DaemonGone("The daemon is not started: use `async with Client() as client`.")
        self._process.write(line)
        return self._process

    async def _read(self, process: DaemonProcess) -> None:
        """Hands out every message until stdout ends, and then tells everybody who still waits."""
        gone: DaemonGone | None = None
        try:
            async for line in process.lines():
                self._receive(line)
        except DaemonGone as error:
            gone = error
        except msgspec.MsgspecError as error:
            gone = DaemonGone(f"The daemon wrote something that is no message: {error}")
        finally:
            process.end_input()
            code = await process.wait(self._grace_s)
            self._fail(gone or DaemonGone(f"The daemon ended with exit code {code}.", code))

    def _fail(self, gone: DaemonGone) -> None:
        """Ends every wait: requests with `gone`, streams too unless the daemon ended as it was asked to."""
        self._gone = gone
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(gone)
        asked = self._ending and gone.returncode == 0
        for stream in [*self._streams, *self._session_streams.values()]:
            stream.end(None if asked else gone)

    def _receive(self, line: bytes) -> None:
        message = msgspec.json.decode(line, type=Message)
        if message.method is UNSET:
            reply = self._waiting.get(None if message.id is UNSET else message.id)
            if reply is not None and not reply.done():
                if message.error is UNSET:
                    reply.set_result(message.result)
                else:
                    reply.set_exception(as_error(message.error))
        elif message.id is not UNSET:
            self._tools.call(str(message.id), message.method, message.params)
        elif message.method == "$/cancelRequest":
            self._tools.cancel(str(msgspec.json.decode(message.params, type=CancelParams).id))
        else:
            self._notification(message.method, message.params, len(line))

    def _notification(self, method: str, params: Raw, size: int) -> None:
        event_type = EVENTS.get(method)
        if event_type is None:
            return  # hosts ignore notifications they do not know: a newer daemon has more
        try:
            event = msgspec.json.decode(params, type=event_type)
        except msgspec.ValidationError as error:
            logger.debug("%s of a shape this client does not know: %s", method, error)
            return
        for stream in self._streams:
            stream.push(event, size)
        if isinstance(event, Event) and event.session_id in self._session_streams:
            self._session_streams[event.session_id].push(event, size)
            if isinstance(event, RealtimeClosed):
                self._session_streams.pop(event.session_id).end()
