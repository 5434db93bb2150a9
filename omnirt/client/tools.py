"""Answers the daemon's calls with the host's handlers: of its tools, and of approvals."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.protocol.calls import ToolApproveParams, ToolApproveResult, ToolCallParams, ToolCallResult
from omnirt.protocol.methods import HostCapabilities

ToolHandler = Callable[[ToolCallParams], Awaitable[object]]
"""Gets the call and returns the output, any JSON value; what it raises is told to the model in words."""

ApproveHandler = Callable[[ToolApproveParams], Awaitable[ToolApproveResult | bool]]
"""Gets the question and returns the decision; what it raises is a no, and so is any other value."""

logger = logging.getLogger(__name__)

_Answer = Callable[[msgspec.Raw], Awaitable[Struct]]

MAX_RUNNING = 256
"""Calls at once. The daemon gives each a time limit, so more than that is a fault somewhere."""


class ToolRunner:
    """Runs a task for each call and writes one answer for it, unless the daemon cancels it first.

    Args:
        write: Sends one line to the daemon.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.handlers: dict[str, ToolHandler] = {}
        self.approve: ApproveHandler | None = None
        self._write = write
        self._running: dict[str, asyncio.Task[None]] = {}
        self._announced: HostCapabilities | None = None

    def add(self, name: str, handler: ToolHandler) -> None:
        """Has the handler answer `tool.call` for this tool."""
        self._check(handler, known=self._announced is None or bool(self._announced.tools))
        self.handlers[name] = handler

    def ask(self, handler: ApproveHandler) -> None:
        """Has the handler answer `tool.approve`."""
        self._check(handler, known=self._announced is None or bool(self._announced.approvals))
        self.approve = handler

    def announce(self) -> HostCapabilities:
        """What the daemon is told at its start: it asks for nothing else later."""
        self._announced = HostCapabilities(tools=bool(self.handlers), approvals=self.approve is not None)
        return self._announced

    def call(self, call_id: str, method: str, params: msgspec.Raw) -> None:
        """Starts to answer a call of the daemon."""
        answers: dict[str, _Answer] = {"tool.call": self._call_tool}
        if self.approve is not None:
            answers["tool.approve"] = self._approve
        if method not in answers:
            self._refuse(call_id, "method_not_found", f"This host does not answer {method}.")
        elif len(self._running) >= MAX_RUNNING:
            self._refuse(call_id, "overloaded", "Too many tools are running in this host.")
        else:
            task = asyncio.get_running_loop().create_task(
                self._answer(call_id, answers[method], params, method), name=f"{method} {call_id}"
            )
            self._running[call_id] = task
            task.add_done_callback(lambda _: self._running.pop(call_id, None))

    def cancel(self, call_id: str) -> None:
        """The daemon does not wait for this call any more."""
        task = self._running.get(call_id)
        if task is not None:
            task.cancel()

    async def close(self, grace_s: float) -> None:
        """Cancels what runs and waits for it, up to a bound: a handler may not care that it is cancelled."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if not running:
            return
        _, going_on = await asyncio.wait(running, timeout=grace_s)
        for task in going_on:
            logger.warning("a handler goes on although it was cancelled: %s", task.get_name())

    async def _answer(self, call_id: str, answer: _Answer, params: msgspec.Raw, name: str) -> None:
        try:
            result = await answer(params)
            self._write(msgspec.json.encode({"jsonrpc": "2.0", "id": call_id, "result": result}))
        except OmnirtError as error:
            self._refuse(call_id, error.kind, error.message)
        except msgspec.ValidationError as error:
            self._refuse(call_id, "invalid_params", str(error))
        except Exception as error:
            # A host's handler may raise anything, and the talk goes on. The model is told no inside of it.
            logger.exception("the handler of %s failed", name)
            self._refuse(call_id, "internal", f"It failed in the host: {type(error).__name__}.")

    async def _call_tool(self, params: msgspec.Raw) -> ToolCallResult:
        call = msgspec.json.decode(params, type=ToolCallParams)
        handler = self.handlers.get(call.tool_name)
        if handler is None:
            raise OmnirtError("not_found", f"This host has no tool named {call.tool_name}.")
        return ToolCallResult(output=await handler(call))

    async def _approve(self, params: msgspec.Raw) -> ToolApproveResult:
        assert self.approve is not None, "else the call is unknown"
        decision = await self.approve(msgspec.json.decode(params, type=ToolApproveParams))
        if isinstance(decision, bool):
            return ToolApproveResult(decision="approve" if decision else "reject")
        if not isinstance(decision, ToolApproveResult):  # "no" is true, and must not become a yes
            raise TypeError(f"A decision is a bool or a ToolApproveResult, not a {type(decision).__name__}.")
        return decision

    def _check(self, handler: Callable[..., object], *, known: bool) -> None:
        if not (inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)):
            raise TypeError(f"A handler is a coroutine function (async def), and {handler!r} is none.")
        if not known:
            raise OmnirtError("invalid_request", "The first handler is registered before the client starts.")

    def _refuse(self, call_id: str, kind: str, message: str) -> None:
        error = OmnirtError(kind, message)
        body = {"code": error.code, "message": error.message, "data": error.data}
        self._write(msgspec.json.encode({"jsonrpc": "2.0", "id": call_id, "error": body}))
