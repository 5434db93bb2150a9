"""One daemon: wires everything, and sees to it that the process ends as the protocol says."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Coroutine, Mapping
from typing import TYPE_CHECKING, Literal, cast, get_args

from omnirt import __version__
from omnirt.methods.app import App
from omnirt.protocol.calls import CALLS
from omnirt.protocol.events import EVENTS
from omnirt.protocol.methods import (
    METHODS,
    InitializeParams,
    InitializeResult,
    Limits,
    ServerCapabilities,
    ServerInfo,
)
from omnirt.protocol.types import PROTOCOL_VERSION, CloseReason, ProviderName
from omnirt.rpc.boundary import Handler
from omnirt.rpc.calls import HostCalls
from omnirt.rpc.connection import PAUSE_BYTES, Connection
from omnirt.rpc.host import RemoteHost
from omnirt.rpc.lanes import DEFAULT_LIMIT_BYTES, OutputQueue
from omnirt.rpc.lifecycle import Lifecycle
from omnirt.rpc.requests import Flights
from omnirt.settings import ServeSettings
from omnirt.stdio import Input, Output

if TYPE_CHECKING:
    from omnirt.daemon.taping import Taping

MAX_SESSIONS = 256
"""Live sessions of one daemon: 50 take a fifth of one core, and files and sockets run out around here."""
INPUT_QUEUE_MS = 120_000
"""Host audio that one session queues until its provider takes it (PROTOCOL section 3)."""

Cause = Literal["eof", "hostDead", "overrun", "exit", "signal"]
_DRAINED_END_S = 1.7
"""After the last reply the daemon is gone in 2 s: this much for sessions and storage, the rest for Python."""
_HURRIED_END_S = 3.2
"""A signal, `exit` and a host that is gone: gone in 5 s."""
_HURRIED_FLUSH_S = 4.6
_STALLED_S = 1.5
"""A host that takes nothing for so long is not waited for."""
_HURRIED_STALLED_S = 0.5
_SLOW_DISK_S = 0.6
"""What a slow disk may take beyond that: files that are whole matter more than the last half second."""
_READER_CHECK_S = 0.2
"""How often a daemon that only waits for its end looks whether anybody still reads."""

_log = logging.getLogger(__name__)


class Daemon:
    """One daemon on one pair of descriptors; several may live in one process.

    Args:
        settings: How it runs.
        fd_in, fd_out: Its own; both are closed by the end of `run`.
        tape: Where the wire is recorded; closed by the end of `run`.
    """

    def __init__(self, settings: ServeSettings, fd_in: int, fd_out: int, tape: Taping | None = None) -> None:
        self._settings = settings
        self._tape = tape
        self._loop = asyncio.get_running_loop()
        self._queue = OutputQueue(DEFAULT_LIMIT_BYTES, overrun=lambda: self.end("overrun"))
        self._lifecycle = Lifecycle(_offer(settings), self)
        self._flights = Flights()
        self._calls = HostCalls(self._queue)
        host = RemoteHost(self._queue, self._lifecycle, self._calls, self._flights)
        self._app = App(settings, host, os.environ)
        self._connection = Connection(
            self._app,
            _load_handlers,
            self._queue,
            self._lifecycle,
            self._flights,
            self._calls,
            loaded=self._loaded,
            framing=settings.framing,
            max_message_bytes=settings.max_message_bytes,
        )
        self._input = Input(fd_in, self._received)
        self._output = Output(fd_out, self._queue if tape is None else tape.source(self._queue))
        self._queue.wake = self._output.wake
        if tape is not None:
            tape.failed = lambda message: self._queue.log_message("warning", message)
        self._cause: Cause | None = None
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._all_read = False
        self._working = False
        self._held = False
        self._warm_up = False

    async def run(self) -> int:
        """Serves until the host, a signal or `end` puts an end to it; returns the exit code."""
        self._input.start()
        _log.info("ready: version %s, process %d", __version__, os.getpid())
        try:
            await self._ending.wait()
            self._input.pause()
            return await self._finish()
        finally:
            if self._watch is not None:
                self._watch.cancel()
            self._input.close()
            self._output.close()
            if self._tape is not None:
                self._tape.close()

    def end(self, cause: Cause) -> None:
        """Ends the daemon. Every cause but the end of stdin and the host's death puts an end to draining."""
        if cause not in ("eof", "hostDead"):
            self._hurry.set()
        if cause == "signal":
            self._lifecycle.exited = True  # what was read and not begun is refused
        if self._cause is None:
            self._cause = cause
            _log.info("ending: %s", cause)
        self._ending.set()

    def initialized(self, params: InitializeParams) -> None:
        """The host said who it is."""
        self._queue.opted_out = frozenset(params.opt_out_notifications or ())
        if params.process_id is not None:
            from omnirt.daemon.family import wait_for_death

            self._watch = self._loop.create_task(wait_for_death(params.process_id))
            self._watch.add_done_callback(lambda task: None if task.cancelled() else self.end("hostDead"))
        self._warm_up = True
        self._loop.call_soon(
            self._loop.call_soon, self._connection.loader.begin
        )  # behind the write of the reply

    def exiting(self) -> None:
        """The host sent `exit`."""
        self.end("exit")

    def _received(self, data: bytes) -> None:
        self._all_read = not data
        if self._tape is not None:
            self._tape.received(data)
        if self._output.gone and self._both_gone():
            return
        self._connection.receive(data)
        self._read_on()

    def _both_gone(self) -> bool:
        """Whether nobody reads and nothing new can come: the end, even of what is yet to be served."""
        gone = self._output.reader_gone() and (self._all_read or self._input.writer_gone())
        if gone:
            self._connection.forget_rest()
            self.end("eof")
        return gone

    def _read_on(self) -> None:
        """Reads on when all that was read is served, a slice of it in each turn of the loop."""
        if self._working or self._ending.is_set():
            return
        if self._connection.must_pause:
            self._input.pause()
            self._working = True
            self._queue.relieved(PAUSE_BYTES // 2, self._work_soon)
        elif self._connection.holding:
            self._input.pause()
            self._working = self._held = True
        elif self._connection.busy:
            self._input.pause()
            self._working = True
            self._work_soon()
        elif self._all_read:
            self.end("eof")
        else:
            self._input.resume()

    def _loaded(self) -> None:
        """The handlers are there. Next is the voice SDK, for a host that said who it is means to talk."""
        if self._ending.is_set():
            self._connection.refuse_rest()
            return
        if self._warm_up and self._connection.loader.failure is None:
            try:
                self._app.warm_up()
            except Exception as error:  # noqa: BLE001 - told to the first request that needs it
                _log.debug("the voice SDK is not loaded ahead: %s", type(error).__name__)
        if self._held:
            self._working = self._held = False
        self._read_on()

    def _work_soon(self) -> None:
        self._loop.call_soon(self._work)

    def _work(self) -> None:
        self._working = False
        if not self._ending.is_set() and not self._both_gone():
            self._connection.work()
            self._read_on()

    async def _finish(self) -> int:
        """Answers what is in flight, closes the sessions, and lets the host read the rest."""
        host_gone = self._cause in ("eof", "hostDead", "overrun")
        if host_gone:
            self._connection.forget_rest()
            self._calls.close()
        self._connection.refuse_rest()
        if not self._hurry.is_set():
            await self._until(self._flights.finished(), self._settings.drain_timeout)
        hurried = self._hurry.is_set()
        began = self._loop.time()
        reason: CloseReason = "hostGone" if host_gone else "shutdown"
        until = began + (_HURRIED_END_S if hurried else _DRAINED_END_S)
        self._flights.refuse(cancellable_only=True)
        await self._by(until - 0.5, self._app.close_sessions(reason))
        await self._by(until - 0.4, self._flights.finished())
        await self._by(until + _SLOW_DISK_S, self._app.close_services())
        self._flights.refuse(cancellable_only=False)
        await self._connection.finish()
        await asyncio.sleep(0)  # replies whose turn comes in this round of the loop
        now = self._loop.time()
        if not hurried:
            await self._flush(began, now + self._settings.drain_timeout, _STALLED_S)
            began = now = self._loop.time()
        if self._hurry.is_set():
            await self._flush(now, began + _HURRIED_FLUSH_S, _HURRIED_STALLED_S)
        return 1 if self._cause == "exit" and not self._lifecycle.shut_down else 0

    async def _until(self, done: Coroutine[None, None, None], timeout_s: float) -> None:
        """Waits for `done`, for `timeout_s` at most, while somebody reads and until a hurry begins."""
        waiting = self._loop.create_task(done)
        deadline = self._loop.time() + timeout_s
        hurried = self._hurry.is_set()
        while not waiting.done():
            left = deadline - self._loop.time()
            if left <= 0 or self._output.reader_gone() or self._hurry.is_set() != hurried:
                break
            await asyncio.wait({waiting}, timeout=min(left, _READER_CHECK_S))
        waiting.cancel()

    async def _flush(self, since: float, deadline: float, stalled_s: float) -> None:
        """Lets the host read what is left, as long as it does read: now and then counts, from `since` on."""
        taken = self._output.taken()
        hurried = self._hurry.is_set()
        while not self._output.idle and self._hurry.is_set() == hurried and not self._output.reader_gone():
            now = self._loop.time()
            if self._output.taken() != taken:
                taken, since = self._output.taken(), now
            left = min(deadline, since + stalled_s) - now
            if left <= 0:
                break
            await self._until(self._output.drained(), min(left, _READER_CHECK_S))

    async def _by(self, deadline: float, work: Awaitable[None]) -> None:
        """Does `work` until then; what it raises is for the log, for the end goes on."""
        try:
            async with asyncio.timeout_at(deadline):
                await work
        except TimeoutError:
            _log.warning("something did not end in time, and was left behind")
        except Exception:  # noqa: BLE001 - whatever it is, the files and the replies after it still count
            _log.exception("the end of the daemon met an error")


def _load_handlers() -> Mapping[str, Handler]:
    """In a thread, with what the first session would otherwise import in the loop."""
    import anyio._backends._asyncio  # noqa: F401 - which anyio imports with the first task group

    import omnirt.methods.wiring  # noqa: F401 - what `App.registry` needs
    from omnirt.methods.handlers import HANDLERS

    return cast("Mapping[str, Handler]", HANDLERS)


def _offer(settings: ServeSettings) -> InitializeResult:
    return InitializeResult(
        protocol_version=PROTOCOL_VERSION,
        server_info=ServerInfo(name="omnirt", version=__version__),
        capabilities=ServerCapabilities(
            methods=list(METHODS),
            notifications=list(EVENTS),
            calls=list(CALLS),
            providers=list(get_args(ProviderName)),
        ),
        limits=Limits(
            max_message_bytes=settings.max_message_bytes,
            max_sessions=MAX_SESSIONS,
            input_queue_ms=INPUT_QUEUE_MS,
            output_queue_bytes=DEFAULT_LIMIT_BYTES,
        ),
    )
