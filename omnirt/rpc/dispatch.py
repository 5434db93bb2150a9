"""From a request to its handler: the one user of jsonrpcserver, loaded with the first method that needs it.

jsonrpcserver looks the method up, binds the arguments and runs it, one element of a batch at a time: its own
batch handling lets one bad element spoil the others, and its decoding and error texts are not the contract's.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar, cast

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import METHODS, MethodSpec
from omnirt.protocol.validation import decode_params, shortened
from omnirt.rpc.boundary import Handler, Outcome, RequestContext, Result, wire_error

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import warns of its own use of deprecated modules
    from jsonrpcserver.async_dispatcher import dispatch_request
    from jsonrpcserver.request import Request
    from jsonrpcserver.result import Error, Success

A = TypeVar("A")


class Dispatcher(Generic[A]):
    """Runs handlers through jsonrpcserver.

    Args:
        handlers: By method name. Whether one waits (`async def`) is decided here, once.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._waits = {name for name, handler in handlers.items() if inspect.iscoroutinefunction(handler)}
        self._wrapped = {name: _wrap(METHODS[name], handler) for name, handler in handlers.items()}
        self._requests = {name: Request(name, [], None) for name in handlers}

    def start(self, ctx: RequestContext[A]) -> Outcome | Coroutine[None, None, Outcome]:
        """What the handler answered at once, a future that will, or a coroutine to be run as a task."""
        request = self._requests.get(ctx.method) or Request(ctx.method, [], None)
        if ctx.method in self._waits:
            return self._awaited(ctx, request)
        coroutine = dispatch_request(self._wrapped, ctx, request)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return _outcome(done.value[1], ctx.method)
        coroutine.close()
        raise RuntimeError(f"The handler of {ctx.method} waits, but is no coroutine function")

    async def _awaited(self, ctx: RequestContext[A], request: Request) -> Outcome:
        # Made here, so that nothing is left unawaited when the task is cancelled before it begins.
        _, result = await dispatch_request(self._wrapped, ctx, request)
        return _outcome(result, ctx.method)


class _OneArgument(inspect.Signature):
    """Of a function that takes the context alone, and is called by nobody else."""

    def bind(self, *args: object, **kwargs: object) -> inspect.BoundArguments:
        """They fit. jsonrpcserver only asks whether they do, and finding out is a third of its dispatch."""
        return cast("inspect.BoundArguments", None)


def _outcome(result: Any, method: str) -> Outcome:
    """What one of jsonrpcserver's results says: of two classes that have no accessor in common."""
    if hasattr(result, "_value"):
        return cast("Outcome", result._value.result)
    data = result._error.data
    if isinstance(data, OmnirtError):
        return data
    return OmnirtError("method_not_found", f"There is no method `{shortened(method)}`.")


def _wrap(spec: MethodSpec, handler: Handler) -> Callable[..., Awaitable[object]]:
    """`handler` as jsonrpcserver wants it. It takes the context alone, and decodes the params itself."""
    waits = inspect.iscoroutinefunction(handler)

    async def method(ctx: RequestContext[object]) -> object:
        try:
            params = decode_params(spec.params, ctx.params)
            answer = handler(ctx, params)
            return Success(await cast("Awaitable[Result]", answer) if waits else answer)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever a handler raises becomes an error reply
            wire = wire_error(error, ctx.method)
            return Error(wire.code, wire.message, wire)

    # jsonrpcserver asks for it on every call, and to compute it costs more than all the rest.
    method.__signature__ = _OneArgument()  # type: ignore[attr-defined] # functions take attributes
    return method
