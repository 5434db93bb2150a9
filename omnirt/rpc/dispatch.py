"""From a request to its handler: the one user of jsonrpcserver, loaded with the first method that needs it.

jsonrpcserver runs the handler, for one element of a batch at a time: its own batch handling lets one bad
element spoil the others, and its decoding and error texts are not the contract's. Its search for the method
and its binding of the arguments are left out, as every handler here takes the context alone.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Generic, NamedTuple, TypeVar, cast

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import METHODS, MethodSpec
from omnirt.protocol.validation import decode_params, shortened
from omnirt.rpc.boundary import Handler, Outcome, RequestContext, Result, wire_error
from omnirt.rpc.chunks import parse_chunk

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import warns of its own use of deprecated modules
    from jsonrpcserver.async_dispatcher import call as call_waiting
    from jsonrpcserver.dispatcher import call
    from jsonrpcserver.request import Request
    from jsonrpcserver.result import Error, Success

A = TypeVar("A")
_Context = RequestContext[Any]


class _Method(NamedTuple):
    """A handler as jsonrpcserver wants it, and whether it waits (`async def`)."""

    request: Request
    run: Callable[[_Context], object]
    waits: bool


class Dispatcher(Generic[A]):
    """Runs handlers through jsonrpcserver.

    Args:
        handlers: By method name. Whether one waits is decided here, once.
    """

    parse_chunk = staticmethod(parse_chunk)
    """Here, for it is loaded as late."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._methods = {name: _method(name, METHODS[name], handler) for name, handler in handlers.items()}

    def start(self, ctx: RequestContext[A]) -> Outcome | Coroutine[None, None, Outcome]:
        """What the handler answered at once, a future that will, or a coroutine to be run as a task."""
        method = self._methods.get(ctx.method)
        if method is None:
            return OmnirtError("method_not_found", f"There is no method `{shortened(ctx.method)}`.")
        if method.waits:
            return _waited(ctx, method)
        return _outcome(call(method.request, ctx, method.run))


async def _waited(ctx: _Context, method: _Method) -> Outcome:
    # Made here, so that nothing is left unawaited when the task is cancelled before it begins.
    return _outcome(await call_waiting(method.request, ctx, method.run))


def _outcome(result: Any) -> Outcome:
    """What one of jsonrpcserver's results says: of two classes that have no accessor in common."""
    return cast("Outcome", result._value.result if hasattr(result, "_value") else result._error.data)


def _method(name: str, spec: MethodSpec, handler: Handler) -> _Method:
    """`handler` as one that takes the context alone, and decodes the params itself."""
    waits = inspect.iscoroutinefunction(handler)
    run = _waiting(spec, handler) if waits else _at_once(spec, handler)
    return _Method(Request(name, [], None), run, waits)


def _at_once(spec: MethodSpec, handler: Handler) -> Callable[[_Context], object]:
    def method(ctx: _Context) -> object:
        try:
            request = ctx.request
            return Success(handler(ctx, request.decoded or decode_params(spec.params, request.params)))
        except Exception as error:  # noqa: BLE001 - the boundary: whatever a handler raises becomes an error reply
            return _failure(error, ctx)

    return method


def _waiting(spec: MethodSpec, handler: Handler) -> Callable[[_Context], object]:
    async def method(ctx: _Context) -> object:
        try:
            params = decode_params(spec.params, ctx.request.params)
            return Success(await cast("Awaitable[Result]", handler(ctx, params)))
        except Exception as error:  # noqa: BLE001 - the same
            return _failure(error, ctx)

    return method


def _failure(error: Exception, ctx: _Context) -> object:
    wire = wire_error(error, ctx.method)
    return Error(wire.code, wire.message, wire)
