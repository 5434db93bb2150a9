"""The one task of a live session: opens the run, keeps it until there is a reason to end, closes it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio
from msgspec import UNSET

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import SessionStartResult, SessionStopResult, SessionWaitResult
from omnirt.protocol.types import AudioFileInfo, CloseReason, ErrorInfo
from omnirt.sessions.faults import of_session
from omnirt.sessions.inbox import Inbox
from omnirt.sessions.plan import Plan
from omnirt.sessions.run import Run
from omnirt.sessions.services import Services
from omnirt.sessions.sink import EventSink
from omnirt.storage import AudioFile

if TYPE_CHECKING:
    from omnirt.sessions.session import SessionOptions

log = logging.getLogger(__name__)

FLUSH_S = 5.0
"""How long the end of a session waits for a host that reads nothing."""
_FAULT = ErrorInfo(kind="internal", message="The session failed; the daemon's log tells why.")

T = TypeVar("T")


class Life:
    """From the start of a session to its end.

    Attributes:
        started: The result of the start, or why it failed.
        closed: The outcome, always a result.
        inbox: The host's inputs; taken from the first moment on.
        run: The opened parts.
    """

    def __init__(
        self,
        session_id: str,
        run_id: str,
        plan: Plan,
        options: SessionOptions,
        services: Services,
        sink: EventSink,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[SessionStartResult] = loop.create_future()
        self.closed: asyncio.Future[SessionStopResult] = loop.create_future()
        self.inbox = Inbox(lambda data: self.run.engine.host_audio(data))
        self.run = Run(session_id, run_id, plan, options, services, sink, self.end)
        self._sink = sink
        self._log = of_session(log, session_id)
        self._end: tuple[CloseReason, ErrorInfo | None] | None = None
        self._ending = asyncio.Event()
        self._closed_waits: set[asyncio.Future[SessionWaitResult]] = set()
        self._task = asyncio.create_task(self._live(), name=f"omnirt-session-{session_id}")

    @property
    def ending(self) -> bool:
        """Whether the end has begun: no input is taken any more."""
        return self._end is not None

    def end(self, reason: CloseReason, error: ErrorInfo | None = None) -> None:
        """Begin the end; the first reason stays the true one."""
        if self._end is None:
            self._end = (reason, error)
            self.inbox.close()
            self._ending.set()

    def wait_closed(self, timeout_s: float) -> asyncio.Future[SessionWaitResult]:
        """A future of the end."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[SessionWaitResult] = loop.create_future()

        def time_out() -> None:
            if not waiting.done():
                message = f"The session was not closed within {timeout_s:g} s; wait again or stop it."
                waiting.set_exception(OmnirtError("timed_out", message))

        timer = loop.call_later(timeout_s, time_out)
        waiting.add_done_callback(lambda _: timer.cancel())
        self._closed_waits.add(waiting)
        waiting.add_done_callback(self._closed_waits.discard)
        return waiting

    async def _live(self) -> None:
        try:
            await self._open_and_keep()
        except Exception as problem:
            # A fault of ours, and everyone who waits is still answered.
            log.error("the session failed", exc_info=problem, extra=self._log.extra)
            self.end("error", _FAULT)
            if not self.started.done():
                self.started.set_exception(OmnirtError("internal", _FAULT.message))
                self.started.exception()
            if not self.closed.done():
                self._settle(self.run, [], 0, lambda: OmnirtError("internal", _FAULT.message))

    async def _open_and_keep(self) -> None:
        self.started.add_done_callback(lambda started: self.end("stopped") if started.cancelled() else None)
        began = time.monotonic()
        result, problem = await self._open()
        if result is None or self.started.cancelled():
            await self._fail(self.run, problem)
            return
        self.started.set_result(result)
        took_ms = round((time.monotonic() - began) * 1000)
        self._log.info("started: provider %s, model %s, %d ms", result.provider, result.model, took_ms)
        self.inbox.open()
        await self._keep()
        await self._close(self.run)

    async def _open(self) -> tuple[SessionStartResult | None, Exception | None]:
        """The result of opening the run, or why there is none; neither when the start was called off."""
        result: SessionStartResult | None = None
        problem: Exception | None = None
        async with anyio.create_task_group() as group:

            async def call_off() -> None:
                await self._ending.wait()
                group.cancel_scope.cancel()

            group.start_soon(call_off)
            try:
                result = await self.run.open(self.inbox)
            except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the reply to the start
                problem = error
            group.cancel_scope.cancel()
        return result, problem

    async def _keep(self) -> None:
        """Carry inputs and events until there is a reason to end."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self.run.work, self.inbox)
                await self._ending.wait()
                group.cancel_scope.cancel()
        except* Exception as failures:
            # Mostly the connection went away under a send, and its watcher is about to say so.
            with anyio.move_on_after(1):
                await self._ending.wait()
            if self._end is None:
                log.error("the session failed", exc_info=failures, extra=self._log.extra)
                self.end("error", _FAULT)

    async def _fail(self, run: Run, problem: BaseException | None) -> None:
        """The session never came to life: nothing of it stays, and everyone is told why."""
        run.connected = False
        await _attempt(run.abandon(), None)
        reason = self._end[0] if self._end is not None else "error"
        if problem is None or self.started.cancelled():
            kind = "shutting_down" if reason in ("shutdown", "hostGone") else "cancelled"
            problem = OmnirtError(kind, "The start of the session was called off.")
        self._log.info("not started: %s", _error_info(problem).kind)
        self.end("error", _error_info(problem))
        if not self.started.done():
            self.started.set_exception(problem)
            self.started.exception()  # whoever awaits it gets it; nobody has to
        started_error = problem

        def input_error() -> Exception:
            if reason == "stopped" and not self.started.cancelled():
                return OmnirtError(
                    "session_state", "The session was stopped before this input went upstream."
                )
            if isinstance(started_error, OmnirtError):
                return started_error
            return OmnirtError("internal", "The session could not be started.")

        self._settle(run, [], 0, input_error)

    async def _close(self, run: Run) -> None:
        """End everything in order; each step is bounded."""
        assert self._end is not None, "it is the end"
        reason, error = self._end
        run.closing(error)
        await _attempt(run.close_link(), None)
        duration_ms, files = await _attempt(run.finish(reason, error), (0, []))
        kind = "" if error is None else f" ({error.kind})"
        self._log.info("closed: %s%s, %d ms", reason, kind, duration_ms)
        # What waits for the end is answered behind `realtime.closed`, unless the host does not read.
        if not await self._flushed(patient=reason == "stopped"):
            self._log.warning("the host does not read its events")
        closing = "The session ended before this input went upstream."
        self._settle(run, files, duration_ms, lambda: OmnirtError("session_state", closing))

    async def _flushed(self, *, patient: bool) -> bool:
        """Wait for the host to take what is left; with patience as long as it takes some now and then."""
        while True:
            left = self._sink.queued_bytes()
            with anyio.move_on_after(FLUSH_S):
                await self._sink.flushed()
                return True
            if not patient or self._sink.queued_bytes() >= left:
                return False

    def _settle(
        self, run: Run, files: list[AudioFile], duration_ms: int, input_error: Callable[[], Exception]
    ) -> None:
        """Answer everyone who still waits."""
        assert self._end is not None, "it is the end"
        responses = run.talk.responses.take_ended()
        waits = [wait.reply for wait in self.inbox.waits()] if run.connected else []
        for waiting in [*waits, *self._closed_waits]:
            if waiting is not None and not waiting.done():
                waiting.set_result(SessionWaitResult(state="closed", responses=responses))
                responses = []
        self.inbox.fail(input_error)
        self.closed.set_result(
            SessionStopResult(
                reason=self._end[0],
                duration_ms=duration_ms,
                usage=run.talk.usage,
                files=[
                    AudioFileInfo(
                        path=str(file.path),
                        side=file.side,
                        item_id=UNSET if file.item_id is None else file.item_id,
                        content_index=UNSET if file.content_index is None else file.content_index,
                        at_ms=file.at_ms,
                        duration_ms=file.duration_ms,
                    )
                    for file in files
                ],
            )
        )


async def _attempt(step: Awaitable[T], otherwise: T) -> T:
    """A step of the end: when it fails, the others are done all the same."""
    try:
        return await step
    except Exception as problem:
        log.error("a step of ending a session failed", exc_info=problem)
        return otherwise


def _error_info(error: BaseException) -> ErrorInfo:
    if isinstance(error, OmnirtError):
        return ErrorInfo(kind=error.kind, message=error.message)
    return ErrorInfo(kind="internal", message="The session could not be started.")
