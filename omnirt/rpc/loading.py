"""The handlers, imported in a thread when they are first needed, and the requests that wait for that.

Half of the package and jsonrpcserver come with them: half a second, for which a `ping` must not wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from omnirt.errors import OmnirtError
from omnirt.importing import beside_a_loop
from omnirt.protocol.jsonrpc import Request
from omnirt.protocol.methods import METHODS
from omnirt.rpc.boundary import Handler
from omnirt.rpc.requests import Flight, Flights, ReplyTo

if TYPE_CHECKING:
    from omnirt.rpc.dispatch import Dispatcher

MAX_HELD_BYTES = 64 * 1024 * 1024
"""120 s of audio for eight sessions."""
_NO_ID = b""
"""What a notification is held under: no id is like this, so nobody can cancel it."""

A = TypeVar("A")


class Held(NamedTuple):
    """A request that waits for the handlers."""

    request: Request
    reply_to: ReplyTo
    flight: Flight


class Loader(Generic[A]):
    """Loads the handlers, and holds requests until they are there.

    Args:
        load_handlers: Gives the handlers by method name; called in a thread.
        flights: What is held counts as in flight, so that it can be cancelled and is answered at the end.
        loaded: Called in the loop, with what was held.
    """

    def __init__(
        self,
        load_handlers: Callable[[], Mapping[str, Handler]],
        flights: Flights,
        loaded: Callable[[list[Held]], None],
    ) -> None:
        self.dispatcher: Dispatcher[A] | None = None
        self.failure: Exception | None = None
        """Why what was held last can't be served."""
        self._load_handlers = load_handlers
        self._flights = flights
        self._loaded = loaded
        self._loop = asyncio.get_running_loop()
        self._begun = False
        self._held: list[Held] = []
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def begin(self) -> None:
        """Begins to load, at once and only once; once more after a failure, for want of descriptors say."""
        if not self._begun:
            self._begun = True
            # A daemon thread: an import in its midst must not hold up the end of the process.
            threading.Thread(target=self._run, name="omnirt-load", daemon=True).start()

    def load(self) -> Dispatcher[A]:
        """The dispatcher, by imports that take long the first time."""
        from omnirt.rpc.dispatch import Dispatcher

        return Dispatcher(self._load_handlers())

    def hold(self, request: Request, reply_to: ReplyTo) -> None:
        """Keeps a request, in order.

        Raises:
            OmnirtError: `overloaded`.
        """
        size = len(request.params or b"")
        if self._held_bytes and self._held_bytes + size > MAX_HELD_BYTES:
            raise OmnirtError("overloaded", "The daemon is still starting; send this again in a second.")
        self._held_bytes += size
        spec = METHODS.get(request.method)
        flight = Flight(
            _NO_ID if request.id is None else request.id,
            request.method,
            reply_to if request.id is not None else lambda payload: None,
            cancellable=spec is None or spec.cancellable,
            future=self._loop.create_future(),
        )
        self._flights.add(flight)
        self._held.append(Held(request, reply_to, flight))
        self.begin()

    def _run(self) -> None:
        dispatcher: Dispatcher[A] | None = None
        failure: Exception | None = None
        try:
            with beside_a_loop():
                dispatcher = self.load()
        except Exception as error:  # noqa: BLE001 - told to whoever sends a request
            failure = error

        def deliver() -> None:
            self.dispatcher, self.failure = dispatcher, failure
            self._begun = failure is None
            held, self._held, self._held_bytes = self._held, [], 0
            self._loaded(held)

        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:
            pass  # the loop is closed: nobody waits
