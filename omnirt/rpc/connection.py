"""The connection with the host: takes messages in order, and sees that each request is answered once.

Lifecycle methods are answered here, before anything heavy is loaded; all else goes through `rpc.dispatch`.

On deadlock: the connection reads on however many requests are in flight, because what ends them (an answer to
a call, a stop) may be the next message; beyond `MAX_IN_FLIGHT` a request is refused. It reads no more only
while `PAUSE_BYTES` of replies wait for a host that does not read, so a host may send much before it reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from types import CoroutineType
from typing import Generic, Protocol, TypeVar, cast

from omnirt.errors import OmnirtError
from omnirt.protocol import jsonrpc
from omnirt.protocol.framing import Framed, FrameDecoder, FramingChoice, Problem
from omnirt.protocol.jsonrpc import Invalid, Request, Response
from omnirt.protocol.methods import METHODS
from omnirt.rpc.boundary import Handler, RequestContext, Settled, encode_reply, wire_error
from omnirt.rpc.calls import HostCalls
from omnirt.rpc.lanes import OutputQueue
from omnirt.rpc.lifecycle import Lifecycle
from omnirt.rpc.loading import Held, Loader
from omnirt.rpc.requests import BatchReply, Flight, Flights, ReplyTo

MAX_IN_FLIGHT = 65_536
"""Above 120 s of audio in 10 ms chunks for five sessions that are still connecting; each takes about 1 KB."""
PAUSE_BYTES = 64 * 1024 * 1024
"""A million replies to `ping`."""
_SLICE_S = 0.02
"""How long messages are served before the loop has a turn, for signals, for writing and for sessions."""
_REQUESTS_ONLY = {name for name, spec in METHODS.items() if not spec.notification} | {"initialize"}


class Application(Protocol):
    """What the connection tells the application."""

    def notification_failed(self, method: str, params: bytes | None, error: OmnirtError) -> None:
        """A notification of the host's could not be served; nobody is answered."""

    def warm_up(self) -> None:
        """A session is about to be started; called each time."""


A = TypeVar("A", bound=Application)


class Connection(Generic[A]):
    """One host.

    Args:
        app: Given to every handler.
        load_handlers: Gives the handlers by method name; called in a thread when the first of them is needed.
        queue: Where replies go.
        lifecycle: The methods that the connection answers itself.
        flights, calls: What is in flight in either direction; shared with the host's other half.
        loaded: Called when the handlers are there: what waited for them is served by `work`.
        framing, max_message_bytes: See `FrameDecoder`.
    """

    def __init__(
        self,
        app: A,
        load_handlers: Callable[[], Mapping[str, Handler]],
        queue: OutputQueue,
        lifecycle: Lifecycle,
        flights: Flights,
        calls: HostCalls,
        *,
        loaded: Callable[[], None],
        framing: FramingChoice,
        max_message_bytes: int,
    ) -> None:
        self._app = app
        self._queue = queue
        self._lifecycle = lifecycle
        self._decoder = FrameDecoder(framing, max_message_bytes)
        self._max_message_bytes = max_message_bytes
        self._backlog: deque[Framed | Held] = deque()
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Future[object]] = set()
        self._deferred = 0
        self.loader: Loader[A] = Loader(load_handlers, flights, self._take_held)
        self._loaded = loaded
        self._flights = flights
        self._calls = calls
        lifecycle.cancel = flights.cancel

    @property
    def must_pause(self) -> bool:
        """Whether so many replies wait that no more should be read."""
        return self._queue.priority_bytes > PAUSE_BYTES

    @property
    def busy(self) -> bool:
        """Whether messages wait for `work`."""
        return bool(self._backlog)

    def receive(self, data: bytes) -> None:
        """Takes what was read from stdin (`b""` at its end), and serves it as far as one slice goes."""
        self._backlog += self._decoder.feed(data) if data else self._decoder.eof()
        self._queue.framing = self._decoder.framing
        self.work()

    def work(self) -> None:
        """Serves messages that wait, for a slice of time at most, and until too many replies wait."""
        backlog = self._backlog
        until = monotonic() + _SLICE_S
        while backlog and not self.must_pause and not self._must_hold(backlog[0]):
            self._serve(backlog.popleft())
            if monotonic() > until:
                return

    def _must_hold(self, message: Framed | Held) -> bool:
        """Whether a message that may end everything has to wait for what came before it."""
        return (
            len(self.loader) > 0
            and isinstance(message, bytes)
            and (b'"shutdown"' in message or b'"exit"' in message)
        )

    @property
    def holding(self) -> bool:
        """Whether the next message waits for the handlers: `loaded` is called when it need not any more."""
        return bool(self._backlog) and self._must_hold(self._backlog[0])

    def refuse_rest(self) -> None:
        """Answers all that waits, once everything is refused; that takes no time."""
        while self._backlog:
            self._serve(self._backlog.popleft())

    def forget_rest(self) -> None:
        """Serves nothing of what waits and was not begun."""
        self._backlog = deque(message for message in self._backlog if isinstance(message, Held))

    async def finish(self) -> None:
        """Cancels what still runs for requests and notifications, and waits a little for it to end."""
        running = list(self._running)
        for future in running:
            future.cancel()
        if running:
            await asyncio.wait(running, timeout=0.3)

    def _serve(self, message: Framed | Held) -> None:
        if isinstance(message, bytes):
            dispatcher = self.loader.dispatcher
            chunk = None if dispatcher is None else dispatcher.parse_chunk(message)
            if chunk is None:
                self._message(jsonrpc.parse(message))
            else:
                self._guarded(self._request, chunk, self._queue.put)
        elif isinstance(message, Problem):
            self._queue.put(jsonrpc.encode_error(jsonrpc.NULL, self._problem(message)))
        elif self._flights.withdraw(message.flight):  # else it was cancelled meanwhile
            if self.loader.failure is not None:
                error = wire_error(self.loader.failure, message.request.method)
                self._refuse(message.request, message.reply_to, error)
            else:
                self._guarded(self._dispatch, message.request, message.reply_to)

    def _take_held(self, held: list[Held]) -> None:
        """What was held was sent before all that waits now."""
        self._backlog.extendleft(reversed(held))
        self._loaded()

    def _problem(self, problem: Problem) -> OmnirtError:
        if problem.kind == "parse_error":
            return OmnirtError(problem.kind, problem.message)
        facts = {} if problem.size is None else {"size": problem.size}
        return OmnirtError(
            problem.kind, problem.message, retryable=None, maxMessageBytes=self._max_message_bytes, **facts
        )

    def _message(self, message: jsonrpc.Message) -> None:
        if not isinstance(message, jsonrpc.Batch):
            self._element(message, self._queue.put)
            return
        answered = [e for e in message.elements if not isinstance(e, Response) and e.id is not None]
        reply = BatchReply(self._queue.put, len(answered))
        for element in message.elements:
            if isinstance(element, Response) or element.id is None:
                self._element(element, self._queue.put)
            else:
                self._element(element, reply.place(element.id))

    def _element(self, element: jsonrpc.Element, reply_to: ReplyTo) -> None:
        match element:
            case Request():
                self._guarded(self._request, element, reply_to)
            case Response():
                self._calls.answer(element)
            case Invalid(error, request_id):
                reply_to(jsonrpc.encode_error(request_id, error))

    def _guarded(
        self, serve: Callable[[Request, ReplyTo], None], request: Request, reply_to: ReplyTo
    ) -> None:
        try:
            serve(request, reply_to)
        except Exception as error:  # noqa: BLE001 - one request's failure must not cost those behind it
            self._refuse(request, reply_to, wire_error(error, request.method))

    def _request(self, request: Request, reply_to: ReplyTo) -> None:
        result = self._lifecycle.handle(request)
        if result is not None:
            if request.id is not None:
                reply_to(encode_reply(request.id, request.method, result))
            return
        if request.id is None and request.method in _REQUESTS_ONLY:
            text = f"{request.method} was sent without an id, so it was ignored."
            self._queue.log_message("warning", text)
            return
        if len(self._running) + len(self.loader) >= MAX_IN_FLIGHT:
            raise OmnirtError("overloaded", "Too many requests are in flight.")
        if request.method == "shutdown":
            self._flights.refuse(cancellable_only=True)
        if self.loader.dispatcher is not None:
            self._dispatch(request, reply_to)
        else:
            self.loader.hold(request, reply_to)

    def _refuse(self, request: Request, reply_to: ReplyTo, error: OmnirtError) -> None:
        if request.id is not None:
            reply_to(encode_reply(request.id, request.method, error))
            return
        params = request.params if request.decoded is None else jsonrpc.encode(request.decoded)
        self._app.notification_failed(request.method, params, error)

    def _dispatch(self, request: Request, reply_to: ReplyTo) -> None:
        dispatcher = self.loader.dispatcher
        assert dispatcher is not None, "it is held until then"
        if request.method == "session.start":
            self._app.warm_up()
        ctx = RequestContext(self._app, request)
        answer: object = dispatcher.start(ctx)
        if isinstance(answer, CoroutineType):
            answer = self._loop.create_task(answer)
        if not isinstance(answer, asyncio.Future):
            self._answer_in_turn(request, ctx, reply_to, cast("Settled", answer))
            return
        future: asyncio.Future[object] = answer
        self._running.add(future)
        flight = None
        if request.id is not None:
            spec = METHODS.get(request.method)
            cancellable = spec is None or spec.cancellable
            flight = Flight(request.id, request.method, reply_to, cancellable=cancellable, future=future)
            self._flights.add(flight)
        future.add_done_callback(lambda done: self._settle(request, ctx, flight, done))

    def _answer_in_turn(
        self, request: Request, ctx: RequestContext[A], reply_to: ReplyTo, outcome: Settled
    ) -> None:
        """Answers at once, but not before requests whose future is done and whose callback is yet to run.

        Otherwise an input could be answered before the start of its session.
        """
        if self._flights or self._deferred:
            self._deferred += 1
            self._loop.call_soon(self._answer_deferred, request, ctx, reply_to, outcome)
        else:
            self._answer(request, ctx, reply_to, outcome)

    def _answer_deferred(
        self, request: Request, ctx: RequestContext[A], reply_to: ReplyTo, outcome: Settled
    ) -> None:
        self._deferred -= 1
        self._answer(request, ctx, reply_to, outcome)

    def _answer(self, request: Request, ctx: RequestContext[A], reply_to: ReplyTo, outcome: Settled) -> None:
        if isinstance(outcome, OmnirtError):
            self._refuse(request, reply_to, outcome)
            return
        if request.id is not None:
            reply_to(encode_reply(request.id, request.method, outcome))
        ctx.replied()

    def _settle(
        self, request: Request, ctx: RequestContext[A], flight: Flight | None, done: asyncio.Future[object]
    ) -> None:
        """A handler that took its time is done."""
        self._running.discard(done)
        if done.cancelled():
            outcome: Settled = wire_error(asyncio.CancelledError(), request.method)
        elif (error := done.exception()) is not None:
            outcome = wire_error(error, request.method)
        else:
            outcome = cast("Settled", done.result())
        if flight is None:
            self._answer(request, ctx, self._queue.put, outcome)
        elif self._flights.answer(flight, outcome) and not isinstance(outcome, OmnirtError):
            ctx.replied()
