"""Between handlers and the wire: what a handler is given, and what becomes of its answer or its exception."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Raw, Struct

from omnirt.errors import NO_FILES, OmnirtError, out_of_files
from omnirt.protocol import jsonrpc

A = TypeVar("A")

Result = Struct | Raw
Answer = Result | asyncio.Future[Struct]
Settled = Result | OmnirtError
Outcome = Answer | OmnirtError
Handler = Callable[..., Answer | Awaitable[Result]]
"""`f(ctx, params) -> Result | Future`, which must not wait, or `async def f(ctx, params) -> Result`."""

MAX_RESULT_BYTES = 8 * 1024 * 1024
"""No result passes this (PROTOCOL section 1)."""

_log = logging.getLogger(__name__)


class RequestContext(Generic[A]):
    """What a handler gets beside its params.

    Attributes:
        app: The daemon's application.
        request: What came.
        method: The method's name.
        is_notification: Whether nobody waits for a reply.
    """

    __slots__ = ("_hooks", "app", "is_notification", "method", "request")

    def __init__(self, app: A, request: jsonrpc.Request) -> None:
        self.app = app
        self.request = request
        self.method = request.method
        self.is_notification = request.id is None
        self._hooks: tuple[Callable[[], None], ...] = ()

    def after_reply(self, callback: Callable[[], None]) -> None:
        """Calls back right after the result was queued for the host; not when the request fails."""
        self._hooks += (callback,)

    def replied(self) -> None:
        """Runs the callbacks; for the connection."""
        for callback in self._hooks:
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - the reply is out: its own failure is not the host's
                wire_error(error, self.method)


def wire_error(error: BaseException, method: str) -> OmnirtError:
    """What the host is told of an exception. All but our own error is a fault, told by a log id alone."""
    if isinstance(error, OmnirtError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return OmnirtError("cancelled", "The request was cancelled.")
    if out_of_files(error):
        _log.warning("%s failed: %s", method, NO_FILES)
        return OmnirtError("overloaded", f"The daemon can't do this now: {NO_FILES}.", reason="descriptors")
    log_id = os.urandom(4).hex()
    _log.error("%s failed (logId %s)", method, log_id, exc_info=error, extra={"log_id": log_id})
    return OmnirtError(
        "internal", f"The daemon failed to do this; its log tells why ({log_id}).", logId=log_id
    )


def encode_reply(request_id: bytes, method: str, outcome: Settled) -> bytes:
    """The reply that `outcome` makes; a result that is no JSON, no object or too long is a fault of ours."""
    if not isinstance(outcome, OmnirtError):
        try:
            body = jsonrpc.encode(outcome)
            if not body.startswith(b"{"):
                raise TypeError("the result is no object")
            if len(body) > MAX_RESULT_BYTES:
                raise TypeError("the result is too long")
            return jsonrpc.encode_result(request_id, body)
        except (TypeError, RecursionError) as error:
            outcome = wire_error(error, method)
    try:
        return jsonrpc.encode_error(request_id, outcome)
    except TypeError as error:  # a fact of the error has no JSON form
        return jsonrpc.encode_error(request_id, wire_error(error, method))
