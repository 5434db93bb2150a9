"""Requests and calls in any order of what becomes of them: each is answered once, with the id it had."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from omnirt.errors import OmnirtError
from omnirt.protocol.calls import ToolCallParams
from omnirt.protocol.methods import InitializeParams, InitializeResult
from omnirt.protocol.pending import CallFailed
from omnirt.protocol.types import Empty
from omnirt.rpc.boundary import Handler
from omnirt.rpc.calls import HostCalls
from omnirt.rpc.connection import Connection
from omnirt.rpc.lanes import OutputQueue
from omnirt.rpc.lifecycle import Lifecycle
from omnirt.rpc.requests import Flights

ALL = 10**9
IDS = ["0", "1", '""', '"1"', '"a"', "null", "9007199254740993", '"\\u00e9"']
"""As they stand on the wire; few, so that they repeat."""
METHODS = ["session.get", "session.clearAudio", "session.wait", "session.stop", "ping", "no.such"]
ids = st.sampled_from(IDS)
methods = st.sampled_from(METHODS)


class Wire(RuleBasedStateMachine):
    """A connection whose handlers end when, and as, the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.queue = OutputQueue(10**7, overrun=lambda: None)
        self.queue.framing = "lines"
        self.flights = Flights()
        self.asked: Counter[str] = Counter()
        """Requests that have to be answered, by id as it stood; elements of batches apart."""
        self.answered: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.batches = 0
        self.arrays = 0
        self.waiting: list[asyncio.Future[Empty]] = []
        """Of handlers, each of which waits to be told how it ends."""
        self.calls: list[asyncio.Task[Any]] = []
        self.open_calls: list[str] = []
        self.withdrawn: list[str] = []
        self.failures: list[str] = []
        self.shut_down = False
        self.loop.run_until_complete(self.make())

    async def make(self) -> None:
        offer = cast("InitializeResult", None)  # nobody asks for it here
        self.host_calls = HostCalls(self.queue)
        self.connection = Connection(
            self,
            self.handlers,
            self.queue,
            Lifecycle(offer, self),
            self.flights,
            self.host_calls,
            loaded=lambda: None,
            framing="lines",
            max_message_bytes=1 << 20,
        )
        self.connection.loader.begin = lambda: None  # type: ignore[method-assign] # when the test says so

    # -- the application that the connection serves

    def handlers(self) -> Mapping[str, Handler]:
        names = ["session.get", "session.clearAudio", "session.wait", "session.stop", "shutdown"]
        return {name: self.at_once if name == "session.clearAudio" else self.later for name in names}

    def at_once(self, ctx: object, params: object) -> Empty:
        return Empty()

    async def later(self, ctx: object, params: object) -> Empty:
        waiter: asyncio.Future[Empty] = self.loop.create_future()
        self.waiting.append(waiter)
        try:
            return await waiter
        finally:
            if waiter in self.waiting:
                self.waiting.remove(waiter)

    def notification_failed(self, method: str, params: bytes | None, error: OmnirtError) -> None:
        self.failures.append(error.kind)

    def warm_up(self) -> None: ...

    def initialized(self, params: InitializeParams) -> None: ...

    def exiting(self) -> None: ...

    # -- the loop and the wire

    def turn(self) -> None:
        """Let the loop do all that it can do by now, and read what was written."""

        async def rest() -> None:
            for _ in range(8):
                self.connection.work()
                await asyncio.sleep(0)

        self.loop.run_until_complete(rest())
        frames = self.queue.take(ALL)
        self.queue.sent(len(frames))
        for frame in frames:
            self.read(frame)

    def read(self, frame: bytes) -> None:
        message = json.loads(frame)
        if isinstance(message, list):
            self.arrays += 1
            assert len(message) == 2
            return
        if "method" in message:
            if message["method"] == "tool.call":
                self.open_calls.append(message["id"])
            elif message["method"] == "$/cancelRequest":
                self.withdrawn.append(message["params"]["id"])
                self.open_calls.remove(message["params"]["id"])
            return
        key = next(raw for raw in IDS if frame.endswith(b"}\n") and same_id(raw, message["id"]))
        self.answered[key] += 1
        if message.get("error", {}).get("code") == -32800:
            self.cancelled[key] += 1

    def send(self, text: str) -> None:
        async def receive() -> None:
            self.connection.receive(text.encode() + b"\n")

        self.loop.run_until_complete(receive())
        self.turn()

    # -- what happens

    @initialize(loaded=st.booleans())
    def begin(self, loaded: bool) -> None:
        if loaded:
            self.the_handlers_come(True)

    @precondition(lambda self: self.connection.loader.dispatcher is None)
    @rule(well=st.booleans())
    def the_handlers_come(self, well: bool) -> None:
        def fail() -> Mapping[str, Handler]:
            raise OSError("not now")

        self.connection.loader._load_handlers = self.handlers if well else fail
        self.connection.loader._run()
        self.turn()

    @rule(request_id=ids, method=methods)
    def request(self, request_id: str, method: str) -> None:
        self.asked[request_id] += 1
        self.send(f'{{"id":{request_id},"method":"{method}","params":{{"sessionId":"s"}}}}')

    @rule(first=ids, second=ids, method=methods)
    def batch(self, first: str, second: str, method: str) -> None:
        self.batches += 1
        one = f'{{"id":{first},"method":"{method}","params":{{"sessionId":"s"}}}}'
        self.send(f'[{one},{{"id":{second},"method":"ping"}},{{"method":"session.clearAudio"}}]')

    @rule(method=methods)
    def notify(self, method: str) -> None:
        self.send(f'{{"method":"{method}","params":{{"sessionId":"s"}}}}')

    @rule(request_id=ids)
    def cancel(self, request_id: str) -> None:
        self.send(f'{{"method":"$/cancelRequest","params":{{"id":{request_id}}}}}')

    @precondition(lambda self: self.waiting)
    @rule(at=st.integers(0, 10), how=st.sampled_from(["well", "error", "fault", "cancelled"]))
    def a_handler_ends(self, at: int, how: str) -> None:
        waiter = self.waiting.pop(at % len(self.waiting))
        if how == "well":
            waiter.set_result(Empty())
        elif how == "cancelled":
            waiter.cancel()
        else:
            waiter.set_exception(OmnirtError("not_found", "No.") if how == "error" else ValueError("oh"))
        self.turn()

    @rule(timeout_s=st.sampled_from([0.0, 60.0]))
    def the_daemon_calls(self, timeout_s: float) -> None:
        async def call() -> None:
            params = ToolCallParams(
                session_id="s",
                run_id="r",
                tool_call_id="c",
                tool_name="t",
                arguments={},
                agent="a",
                timeout_ms=1,
            )
            try:
                await self.host_calls.call("tool.call", params, timeout_s)
            except CallFailed:
                pass

        self.calls.append(self.loop.create_task(call()))
        self.turn()

    @precondition(lambda self: self.open_calls)
    @rule(
        at=st.integers(0, 10), answer=st.sampled_from(['"result":{"output":1}', '"result":7', '"error":{}'])
    )
    def the_host_answers(self, at: int, answer: str) -> None:
        call_id = self.open_calls.pop(at % len(self.open_calls))
        self.send(f'{{"id":"{call_id}",{answer}}}')

    @precondition(lambda self: self.withdrawn)
    @rule()
    def the_host_answers_late(self) -> None:
        self.send(f'{{"id":"{self.withdrawn[-1]}","result":{{"output":1}}}}')

    @precondition(lambda self: self.calls)
    @rule()
    def a_call_is_given_up(self) -> None:
        self.calls.pop().cancel()
        self.turn()

    # -- what holds

    @invariant()
    def none_is_answered_twice_or_unasked(self) -> None:
        assert self.answered <= self.asked
        assert self.cancelled <= self.asked
        assert self.arrays <= self.batches
        assert len(self.host_calls) == len(self.open_calls)

    def teardown(self) -> None:
        """At the end each is answered, whatever its handler does."""

        async def end() -> None:
            self.host_calls.close()
            self.connection.refuse_rest()
            self.flights.refuse(cancellable_only=True)
            self.flights.refuse(cancellable_only=False)
            await self.flights.finished()
            await self.connection.finish()
            await asyncio.gather(*self.calls, return_exceptions=True)

        self.open_calls.clear()
        self.loop.run_until_complete(asyncio.wait_for(end(), 10))
        self.turn()
        assert self.answered == self.asked
        assert self.arrays == self.batches
        assert len(self.flights) == len(self.host_calls) == 0
        assert asyncio.all_tasks(self.loop) == set()
        self.loop.close()


def same_id(raw: str, answered: object) -> bool:
    """Whether an id came back as it was: 1 is not "1", and not 1.0."""
    asked = json.loads(raw)
    return type(asked) is type(answered) and asked == answered


TestWire = Wire.TestCase
TestWire.settings = settings(deadline=None, max_examples=120, stateful_step_count=30)
