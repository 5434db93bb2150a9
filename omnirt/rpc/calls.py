"""Calls of the daemon to the host: sent, awaited with a limit, withdrawn when they become moot."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from omnirt.protocol import jsonrpc
from omnirt.protocol.calls import CALLS
from omnirt.protocol.pending import CallFailed, PendingCalls, outcome
from omnirt.rpc.lanes import OutputQueue

_Waiter = asyncio.Future[jsonrpc.Response]


class HostCalls:
    """The calls that the host has not answered yet."""

    def __init__(self, queue: OutputQueue) -> None:
        self._queue = queue
        self._pending: PendingCalls[_Waiter] = PendingCalls()

    def __len__(self) -> int:
        return len(self._pending)

    async def call(self, method: str, params: Struct, timeout_s: float) -> Struct:
        """Asks the host, and returns its result as the struct that `CALLS` names.

        When time runs out, or the caller is cancelled, the host is told by `$/cancelRequest`, and what it
        answers later is ignored.

        Raises:
            CallFailed: No result; its `reason` says why.
        """
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        raw_id = self._pending.open(waiter)
        self._queue.put(jsonrpc.encode_request(raw_id, method, jsonrpc.encode(params)))
        try:
            async with asyncio.timeout(timeout_s):
                response = await waiter
        except TimeoutError:
            raise CallFailed("timeout", f"The host did not answer {method} in {timeout_s:g} s.") from None
        finally:
            if self._pending.take(raw_id) is not None:
                self._queue.put(jsonrpc.encode_notification("$/cancelRequest", b'{"id":%b}' % raw_id))
        result = outcome(response)
        if isinstance(result, CallFailed):
            raise result
        try:
            return msgspec.json.decode(result, type=CALLS[method].result)
        except (msgspec.ValidationError, RecursionError):
            raise CallFailed("invalid", f"The host's answer to {method} does not fit.") from None

    def answer(self, response: jsonrpc.Response) -> None:
        """Takes the host's answer; one that is late, or to nothing, is ignored."""
        waiter = self._pending.take(response.id)
        if waiter is not None and not waiter.done():
            waiter.set_result(response)

    def close(self) -> None:
        """The host answers nothing any more: every call fails at once, and so does each later one."""
        for waiter in self._pending.close_all():
            if not waiter.done():
                waiter.set_exception(CallFailed("host_gone", "The host has gone."))
