"""While the handlers are loaded: lifecycle methods are answered, all else waits in order."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import InitializeParams, InitializeResult, SessionParams
from omnirt.protocol.types import Empty
from omnirt.rpc.boundary import Handler
from omnirt.rpc.calls import HostCalls
from omnirt.rpc.connection import Connection
from omnirt.rpc.lanes import OutputQueue
from omnirt.rpc.lifecycle import Lifecycle
from omnirt.rpc.loading import MAX_HELD_BYTES
from omnirt.rpc.requests import Flights
from tests.support.daemon import driven

LIMIT_S = 10


class Starting:
    """A connection whose handlers come when the test says so."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.failed: list[str] = []
        self.may_load = threading.Event()
        self.loaded = asyncio.Event()
        self.queue = OutputQueue(10**6, overrun=lambda: None)
        self.flights = Flights()
        offer = cast("InitializeResult", None)  # nobody asks for it here
        self.connection = Connection(
            self,
            self.load,
            self.queue,
            Lifecycle(offer, self),
            self.flights,
            HostCalls(self.queue),
            loaded=self.loaded.set,
            framing="lines",
            max_message_bytes=1 << 24,
        )

    def load(self) -> Mapping[str, Handler]:
        assert self.may_load.wait(LIMIT_S)
        return {"session.get": self.get, "session.clearAudio": self.clear, "shutdown": self.clear}

    def get(self, ctx: object, params: SessionParams) -> Empty:
        self.called.append(params.session_id)
        return Empty()

    def clear(self, ctx: object, params: object) -> Empty:
        self.called.append("clear")
        return Empty()

    def notification_failed(self, method: str, params: bytes | None, error: OmnirtError) -> None:
        self.failed.append(error.kind)

    def warm_up(self) -> None: ...

    def initialized(self, params: InitializeParams) -> None: ...

    def exiting(self) -> None: ...

    def send(self, *messages: object) -> None:
        self.connection.receive(b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    async def ready(self) -> None:
        """Loads, and serves what was held."""
        self.may_load.set()
        await asyncio.wait_for(self.loaded.wait(), LIMIT_S)
        while self.connection.busy:
            self.connection.work()
        for _ in range(5):
            await asyncio.sleep(0)

    def answers(self) -> list[tuple[Any, Any]]:
        frames = self.queue.take(10**9)
        self.queue.sent(len(frames))
        told = [json.loads(frame) for frame in frames]
        return [(m["id"], m["error"]["data"]["kind"] if "error" in m else "ok") for m in told]


def get(request_id: object, session_id: str) -> dict[str, object]:
    return {"id": request_id, "method": "session.get", "params": {"sessionId": session_id}}


def clear() -> dict[str, object]:
    return {"method": "session.clearAudio", "params": {"sessionId": "s"}}


def starting(test: Callable[[Starting], Any]) -> Callable[[], None]:
    async def run() -> None:
        world = Starting()
        try:
            await test(world)
        finally:
            world.may_load.set()

    run.__name__ = test.__name__
    return driven(run)


@starting
async def test_a_ping_overtakes_what_waits_and_that_is_answered_in_order(world: Starting) -> None:
    world.send(get(1, "a"), clear(), get(2, "b"), {"id": 3, "method": "ping"})
    assert world.answers() == [(3, "ok")]
    assert len(world.flights) == 3
    await world.ready()
    world.send(get(4, "c"))
    assert world.answers() == [(1, "ok"), (2, "ok"), (4, "ok")]
    assert world.called == ["a", "clear", "b", "c"]
    assert len(world.flights) == 0


@starting
async def test_what_comes_while_the_held_is_served_stays_behind_it(world: Starting) -> None:
    world.send(get(1, "a"))
    world.may_load.set()
    await asyncio.wait_for(world.loaded.wait(), LIMIT_S)
    world.send(get(2, "b"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.called == ["a", "b"]


@starting
async def test_what_is_cancelled_while_it_waits_is_answered_at_once_and_never_done(world: Starting) -> None:
    world.send(get(1, "a"), get(2, "b"), {"method": "$/cancelRequest", "params": {"id": 1}})
    assert world.answers() == [(1, "cancelled")]
    await world.ready()
    assert world.answers() == [(2, "ok")]
    assert world.called == ["b"]


@starting
async def test_a_shutdown_waits_for_what_was_sent_before_it(world: Starting) -> None:
    world.send(get(1, "a"), clear(), {"id": 2, "method": "shutdown"})
    assert world.connection.holding
    assert world.answers() == []
    await world.ready()
    assert world.answers() == [(1, "ok"), (2, "ok")]
    assert world.called == ["a", "clear", "clear"], "the last is the end's"


@starting
async def test_what_waits_is_kept_when_what_was_not_begun_is_forgotten(world: Starting) -> None:
    world.send(get(1, "a"))
    world.may_load.set()
    await asyncio.wait_for(world.loaded.wait(), LIMIT_S)
    world.connection.forget_rest()
    world.connection.refuse_rest()
    assert world.called == ["a"]
    await asyncio.wait_for(world.flights.finished(), LIMIT_S)


@starting
async def test_more_than_can_be_held_is_refused_and_may_be_sent_again(world: Starting) -> None:
    long = "x" * (MAX_HELD_BYTES // 5)
    for number in range(5):
        world.send(get(number, long))
    assert world.answers() == [(4, "overloaded")]
    world.flights.refuse(cancellable_only=False)


@starting
async def test_handlers_that_cannot_be_loaded_are_a_fault_of_what_waits_and_are_tried_again(
    world: Starting,
) -> None:
    def broken() -> Mapping[str, Handler]:
        raise ImportError("no such module")

    world.connection.loader._load_handlers = broken
    world.send(get(1, "a"), clear())
    await world.ready()
    assert world.answers() == [(1, "internal")]
    assert world.failed == ["internal"]
    world.connection.loader._load_handlers = world.load
    world.loaded.clear()
    world.send(get(2, "a"))
    await world.ready()
    assert world.answers() == [(2, "ok")]
