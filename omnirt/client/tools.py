"""Answers the daemon's calls with the host's tool handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from omnirt.errors import OmnirtError
from omnirt.protocol.calls import ToolCallParams, ToolCallResult

ToolHandler = Callable[[ToolCallParams], Awaitable[object]]
"""Gets the call and returns the output, any JSON value; what it raises is told to the model in words."""

MAX_RUNNING = 256
"""Calls at once. The daemon gives each a time limit, so more than that is a fault somewhere."""


class ToolRunner:
    """Runs a task for each call and writes one answer for it, unless the daemon cancels it first.

    Args:
        write: Sends one line to the daemon.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.handlers: dict[str, ToolHandler] = {}
        self._write = write
        self._running: dict[str, asyncio.Task[None]] = {}

    def call(self, call_id: str, method: str, params: msgspec.Raw) -> None:
        """Starts to answer a call of the daemon."""
        if method != "tool.call":
            self._refuse(call_id, "method_not_found", f"This host does not answer {method}.")
        elif len(self._running) >= MAX_RUNNING:
            self._refuse(call_id, "overloaded", "Too many tools are running in this host.")
        else:
            task = asyncio.get_running_loop().create_task(
                self._answer(call_id, params), name=f"tool {call_id}"
            )
            self._running[call_id] = task
            task.add_done_callback(lambda _: self._running.pop(call_id, None))

    def cancel(self, call_id: str) -> None:
        """The daemon does not wait for this call any more."""
        task = self._running.get(call_id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Cancels what runs and waits for it."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _answer(self, call_id: str, params: msgspec.Raw) -> None:
        try:
            call = msgspec.json.decode(params, type=ToolCallParams)
        except msgspec.ValidationError as error:
            self._refuse(call_id, "invalid_params", str(error))
            return
        handler = self.handlers.get(call.tool_name)
        if handler is None:
            self._refuse(call_id, "not_found", f"This host has no tool named {call.tool_name}.")
            return
        try:
            result = ToolCallResult(output=await handler(call))
            self._write(msgspec.json.encode({"jsonrpc": "2.0", "id": call_id, "result": result}))
        except OmnirtError as error:
            self._refuse(call_id, error.kind, error.message)
        except Exception as error:  # noqa: BLE001 - a host's tool may raise anything, and the talk goes on
            self._refuse(call_id, "internal", f"The tool {call.tool_name} failed: {type(error).__name__}.")

    def _refuse(self, call_id: str, kind: str, message: str) -> None:
        error = OmnirtError(kind, message)
        body = {"code": error.code, "message": error.message, "data": error.data}
        self._write(msgspec.json.encode({"jsonrpc": "2.0", "id": call_id, "error": body}))
