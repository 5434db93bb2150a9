"""One connection without a process: each request is answered once, whatever its handler does."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw, Struct

from omnirt.errors import OmnirtError
from omnirt.protocol.calls import ToolCallParams, ToolCallResult
from omnirt.protocol.methods import (
    InitializeParams,
    InitializeResult,
    Limits,
    NoParams,
    ServerCapabilities,
    ServerInfo,
    SessionParams,
)
from omnirt.protocol.pending import CallFailed
from omnirt.protocol.types import Empty
from omnirt.rpc.boundary import Handler, RequestContext
from omnirt.rpc.calls import HostCalls
from omnirt.rpc.connection import MAX_IN_FLIGHT, Connection
from omnirt.rpc.dispatch import Dispatcher
from omnirt.rpc.lanes import OutputQueue
from omnirt.rpc.lifecycle import Lifecycle
from omnirt.rpc.requests import Flights
from tests.support.daemon import driven

Context = RequestContext["World"]


class Odd(Struct):
    """A result that has no JSON form."""

    value: object


class Recorder(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class World:
    """An application of handlers that do everything a handler may do."""

    def __init__(self) -> None:
        self.failed: list[tuple[str, str]] = []
        self.warmed = 0
        self.exits = 0
        self.host: InitializeParams | None = None
        self.events: list[str] = []
        self.futures: list[asyncio.Future[Struct]] = []
        self.queue = OutputQueue(10**6, overrun=lambda: None)
        none = ServerCapabilities(methods=[], notifications=[], calls=[], providers=[])
        limits = Limits(max_message_bytes=1, max_sessions=1, input_queue_ms=1, output_queue_bytes=1)
        info = ServerInfo(name="omnirt", version="0")
        offer = InitializeResult(protocol_version=1, server_info=info, capabilities=none, limits=limits)
        self.lifecycle = Lifecycle(offer, self)
        self.flights = Flights()
        self.calls = HostCalls(self.queue)
        self.connection = Connection(
            self,
            self.handlers,
            self.queue,
            self.lifecycle,
            self.flights,
            self.calls,
            loaded=lambda: None,
            framing="lines",
            max_message_bytes=10_000,
        )
        self.connection.loader.dispatcher = self.connection.loader.load()

    def notification_failed(self, method: str, params: bytes | None, error: OmnirtError) -> None:
        self.failed.append((method, error.kind))

    def warm_up(self) -> None:
        self.warmed += 1

    def initialized(self, params: InitializeParams) -> None:
        self.host = params

    def exiting(self) -> None:
        self.exits += 1

    def handlers(self) -> dict[str, Handler]:
        return {
            "shutdown": self.slow,
            "server.stats": self.inline,
            "session.get": self.raises,
            "session.list": self.slow,
            "session.wait": self.later,
            "session.stop": self.later,
            "session.start": self.later,
            "session.interrupt": self.fails,
            "rpc.discover": self.odd,
            "session.respond": self.listed,
        }

    def inline(self, ctx: Context, params: NoParams) -> Struct:
        ctx.after_reply(lambda: self.events.append(f"replied {self.queue.priority_bytes > 0}"))
        return Empty()

    def raises(self, ctx: Context, params: SessionParams) -> Struct:
        raise ValueError("hunter2 is secret")

    def fails(self, ctx: Context, params: object) -> Struct:
        ctx.after_reply(lambda: self.events.append("never"))
        raise OmnirtError("session_not_found", "There is no such session.", sessionId="x")

    def later(self, ctx: Context, params: object) -> asyncio.Future[Struct]:
        ctx.after_reply(lambda: self.events.append(f"replied {ctx.method}"))
        future: asyncio.Future[Struct] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future

    async def slow(self, ctx: Context, params: NoParams) -> Struct:
        self.events.append("slow began")
        try:
            future: asyncio.Future[Struct] = asyncio.get_running_loop().create_future()
            self.futures.append(future)
            return await future
        finally:
            self.events.append("slow ended")

    def odd(self, ctx: Context, params: NoParams) -> Struct:
        return Odd(value=object())

    def listed(self, ctx: Context, params: object) -> Raw:
        return Raw(b"[1]")

    def send(self, *messages: object) -> None:
        self.connection.receive(b"".join(json.dumps(m).encode() + b"\n" for m in messages))
        while self.connection.busy:
            self.connection.work()

    def answers(self) -> list[Any]:
        frames = self.queue.take(10**9)
        self.queue.sent(len(frames))
        return [json.loads(frame) for frame in frames]

    async def settled(self) -> list[Any]:
        """What is answered once the callbacks that wait in the loop have run."""
        for _ in range(5):
            await asyncio.sleep(0)
        return self.answers()


def ask(request_id: object, method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def codes(messages: list[Any]) -> list[tuple[Any, Any]]:
    return [(m["id"], m["error"]["code"] if "error" in m else "ok") for m in messages]


WAIT = {"sessionId": "s"}


def in_world(test: Callable[[World], Any]) -> Callable[[], None]:
    async def run() -> None:
        await test(World())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return driven(run)


@in_world
async def test_an_inline_handler_answers_at_once_and_its_hook_runs_behind_the_reply(world: World) -> None:
    world.send(ask(1, "server.stats"))
    assert codes(world.answers()) == [(1, "ok")]
    assert world.events == ["replied True"]


@in_world
async def test_a_future_answers_when_it_is_done(world: World) -> None:
    world.send(ask(1, "session.wait", **WAIT), ask(2, "session.wait", **WAIT))
    assert world.answers() == []
    world.futures[1].set_result(Empty())
    world.futures[0].set_exception(OmnirtError("timed_out", "Too late."))
    assert codes(await world.settled()) == [(2, "ok"), (1, -32050)]
    assert world.events == ["replied session.wait"]
    assert len(world.flights) == 0


@in_world
async def test_a_fault_is_told_by_a_log_id_alone(world: World) -> None:
    recorder = Recorder()
    logging.getLogger("omnirt.rpc").addHandler(recorder)
    try:
        world.send(ask(1, "session.get", **WAIT))
    finally:
        logging.getLogger("omnirt.rpc").removeHandler(recorder)
    [answer] = world.answers()
    assert answer["error"]["code"] == -32603
    assert answer["error"]["data"]["logId"] in recorder.records[0].getMessage()
    assert "hunter2" not in json.dumps(answer)


@in_world
async def test_results_that_are_no_json_objects_are_faults(world: World) -> None:
    world.send(ask(1, "rpc.discover"), ask(2, "session.respond", **WAIT))
    assert codes(world.answers()) == [(1, -32603), (2, -32603)]


@in_world
async def test_facts_of_an_error_are_told_and_its_hooks_do_not_run(world: World) -> None:
    world.send(ask(1, "session.interrupt", **WAIT))
    [answer] = world.answers()
    assert answer["error"]["data"] == {"kind": "session_not_found", "retryable": False, "sessionId": "x"}
    assert world.events == []


@in_world
async def test_a_cancel_answers_at_once_and_what_comes_later_is_dropped(world: World) -> None:
    world.send(ask("a", "session.wait", **WAIT), {"method": "$/cancelRequest", "params": {"id": "a"}})
    assert codes(world.answers()) == [("a", -32800)]
    assert world.futures[0].cancelled()
    assert await world.settled() == []
    assert world.events == []


@in_world
async def test_a_cancel_ends_a_handler_that_waits(world: World) -> None:
    world.send(ask(1, "session.list"))
    await world.settled()
    world.send({"method": "$/cancelRequest", "params": {"id": 1}})
    assert codes(await world.settled()) == [(1, -32800)]
    assert world.events == ["slow began", "slow ended"]


@in_world
async def test_two_requests_of_one_id_are_both_answered_and_a_cancel_hits_both(world: World) -> None:
    world.send(
        ask(7, "session.wait", **WAIT), ask(7, "session.wait", **WAIT), ask("7", "session.wait", **WAIT)
    )
    world.send({"method": "$/cancelRequest", "params": {"id": 7}})
    assert codes(world.answers()) == [(7, -32800), (7, -32800)]
    world.send(ask(8, "session.wait", **WAIT), ask(8, "session.wait", **WAIT))
    world.futures[3].set_result(Empty())
    assert codes(await world.settled()) == [(8, "ok")]
    world.futures[4].set_result(Empty())
    assert codes(await world.settled()) == [(8, "ok")]


@pytest.mark.parametrize("request_id", [0, "", None, 2**53 + 1, "a\u2028"])
def test_any_id_can_be_cancelled(request_id: object) -> None:
    @in_world
    async def run(world: World) -> None:
        world.send(ask(request_id, "session.wait", **WAIT))
        world.send({"method": "$/cancelRequest", "params": {"id": request_id}})
        assert codes(world.answers()) == [(request_id, -32800)]

    run()


@in_world
async def test_a_cancel_of_nothing_or_without_sense_is_ignored(world: World) -> None:
    senseless: list[object] = [{"id": 5}, {}, None, [], {"id": {}}, {"id": [1]}, {"id": 1.5}]
    for params in senseless:
        world.send({"method": "$/cancelRequest", "params": params})
    assert world.answers() == []
    assert world.failed == []


@in_world
async def test_stop_and_shutdown_cannot_be_cancelled(world: World) -> None:
    world.send(ask(1, "session.stop", **WAIT), {"method": "$/cancelRequest", "params": {"id": 1}})
    assert world.answers() == []
    world.send(ask(2, "shutdown"))
    await world.settled()
    world.send({"method": "$/cancelRequest", "params": {"id": 2}})
    assert await world.settled() == []
    for future in world.futures:
        future.set_result(Empty())
    assert sorted(codes(await world.settled())) == [(1, "ok"), (2, "ok")]


@in_world
async def test_a_handler_that_is_cancelled_by_somebody_else_is_answered(world: World) -> None:
    world.send(ask(1, "session.wait", **WAIT), ask(2, "session.list"))
    await world.settled()
    for future in world.futures:
        future.cancel()
    assert codes(await world.settled()) == [(1, -32800), (2, -32800)]


@in_world
async def test_an_inline_reply_does_not_overtake_a_future_that_is_done(world: World) -> None:
    """Or an input would be answered before the start of its session."""
    world.send(ask("start", "session.start", agent="a"))
    world.futures[0].set_result(Empty())
    world.send(ask("input", "server.stats"))
    assert codes(await world.settled()) == [("start", "ok"), ("input", "ok")]
    assert world.warmed == 1


@in_world
async def test_a_batch_is_one_array_in_order_when_the_last_is_done(world: World) -> None:
    world.send(
        [
            ask(1, "session.wait", **WAIT),
            ask(2, "server.stats"),
            {"method": "server.stats"},
            7,
            ask(3, "session.get", **WAIT),
            {"id": "omnirt-9", "result": {}},
        ]
    )
    await world.settled()
    assert len(world.events) == 2  # the hook of each runs with its element, not with the array
    assert world.answers() == []
    world.futures[0].set_result(Empty())
    [array] = await world.settled()
    assert codes(array) == [(1, "ok"), (2, "ok"), (None, -32600), (3, -32603)]


@in_world
async def test_an_element_of_a_batch_can_be_cancelled(world: World) -> None:
    world.send([ask(1, "session.wait", **WAIT), {"method": "$/cancelRequest", "params": {"id": 1}}])
    [array] = world.answers()
    assert codes(array) == [(1, -32800)]


@in_world
async def test_what_would_have_been_an_error_reply_to_a_notification_goes_to_the_application(
    world: World,
) -> None:
    world.send(
        {"method": "session.interrupt", "params": WAIT},
        {"method": "session.interrupt", "params": {"sessionId": 5}},
        {"method": "no.such"},
        {"method": "session.wait", "params": WAIT},
        {"method": "session.stop", "params": [1]},
    )
    world.futures[0].set_exception(OmnirtError("timed_out", "Too late."))
    assert await world.settled() == []
    assert world.failed == [
        ("session.interrupt", "session_not_found"),
        ("session.interrupt", "invalid_params"),
        ("no.such", "method_not_found"),
        ("session.stop", "invalid_params"),
        ("session.wait", "timed_out"),
    ]


@in_world
async def test_methods_that_need_a_reply_are_not_done_without_one(world: World) -> None:
    world.send({"method": "session.start", "params": {"agent": "a"}}, {"method": "session.list"})
    assert [m["method"] for m in await world.settled()] == ["log.message", "log.message"]
    assert world.futures == []


@in_world
async def test_shutdown_refuses_what_is_in_flight_and_all_but_exit_after_it(world: World) -> None:
    world.send(ask(1, "session.wait", **WAIT), ask(2, "shutdown"), ask(3, "ping"), ask(4, "shutdown"))
    answers = codes(await world.settled())
    assert answers == [(1, -32000), (3, -32600), (4, -32600)]
    world.futures[-1].set_result(Empty())
    assert codes(await world.settled()) == [(2, "ok")]
    world.send({"method": "session.wait", "params": WAIT}, ask(5, "exit"), ask(6, "ping"))
    assert codes(world.answers()) == [(5, "ok"), (6, -32000)]
    assert world.exits == 1


@in_world
async def test_initialize_ignores_what_it_does_not_know_and_comes_once(world: World) -> None:
    world.send(ask(1, "initialize", rootUri="x", capabilities={"tools": True, "more": 1}, processId=None))
    world.send(ask(2, "initialize"), ask(3, "initialize", protocolVersion=99))
    answers = world.answers()
    assert codes(answers) == [(1, "ok"), (2, -32600), (3, -32600)]
    assert answers[0]["result"]["protocolVersion"] == 1
    assert world.lifecycle.host.tools is True


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**80, "1", 1.5, True])
def test_a_process_id_that_is_none_is_refused(pid: object) -> None:
    @in_world
    async def run(world: World) -> None:
        world.send(ask(1, "initialize", processId=pid), ask(2, "initialize"))
        first, second = world.answers()
        assert first["error"]["data"]["path"] == "$.processId"
        assert "result" in second

    run()


@in_world
async def test_too_many_requests_in_flight_are_refused_and_answers_still_get_through(world: World) -> None:
    line = json.dumps(ask(1, "session.wait", **WAIT)).encode() + b"\n"
    for _ in range(MAX_IN_FLIGHT // 1024):
        world.connection.receive(line * 1024)
        while world.connection.busy:
            world.connection.work()
    assert world.answers() == []
    world.send(ask(2, "session.wait", **WAIT), {"method": "session.wait", "params": WAIT}, ask(3, "ping"))
    answers = world.answers()
    assert codes(answers) == [(2, -32001), (3, "ok")]
    assert answers[0]["error"]["data"]["retryable"] is True
    assert world.failed == [("session.wait", "overloaded")]
    world.flights.refuse(cancellable_only=False)
    assert len(world.answers()) == MAX_IN_FLIGHT


CALL = ToolCallParams(
    session_id="s", run_id="r", tool_call_id="c", tool_name="t", arguments={}, agent="a", timeout_ms=1
)


@in_world
async def test_a_call_brings_the_hosts_result(world: World) -> None:
    world.send(ask(1, "ping"))
    call = asyncio.create_task(world.calls.call("tool.call", CALL, 5))
    _, sent = await world.settled()
    assert (sent["id"], sent["method"], sent["params"]["toolName"]) == ("omnirt-1", "tool.call", "t")
    world.send({"id": "omnirt-1", "result": {"output": [1]}}, {"id": "omnirt-1", "result": {"output": 2}})
    result = await asyncio.wait_for(call, 5)
    assert isinstance(result, ToolCallResult)
    assert result.output == [1]
    assert world.answers() == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"error": {"code": 7, "message": "no"}}, "error"),
        ({"result": {"outptu": 1}}, "invalid"),
        ({"result": 5}, "invalid"),
        ({"result": None}, "invalid"),
    ],
)
def test_a_call_that_brings_no_result_says_why(answer: dict[str, object], reason: str) -> None:
    @in_world
    async def run(world: World) -> None:
        call = asyncio.create_task(world.calls.call("tool.call", CALL, 5))
        await world.settled()
        world.send({"jsonrpc": "2.0", "id": "omnirt-1", **answer})
        with pytest.raises(CallFailed) as failed:
            await call
        assert failed.value.reason == reason

    run()


@in_world
async def test_a_call_that_becomes_moot_is_withdrawn(world: World) -> None:
    world.send(ask(1, "ping"))
    with pytest.raises(CallFailed) as failed:
        await world.calls.call("tool.call", CALL, 0.01)
    assert failed.value.reason == "timeout"
    call = asyncio.create_task(world.calls.call("tool.call", CALL, 5))
    await world.settled()
    call.cancel()
    messages = await world.settled()
    assert messages[-1] == {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "omnirt-2"}}
    world.send({"id": "omnirt-1", "result": {"output": 1}}, {"id": "omnirt-2", "result": {"output": 1}})
    assert await world.settled() == []


@in_world
async def test_calls_fail_at_once_when_the_host_is_gone(world: World) -> None:
    call = asyncio.create_task(world.calls.call("tool.call", CALL, 5))
    await world.settled()
    world.calls.close()
    with pytest.raises(CallFailed):
        await call
    with pytest.raises(CallFailed) as failed:
        await world.calls.call("tool.call", CALL, 5)
    assert failed.value.reason == "host_gone"


@in_world
async def test_a_raw_result_is_sent_as_it_stands(world: World) -> None:
    handlers: dict[str, Handler] = {"server.stats": lambda ctx, params: Raw(b'{"n":1.50}')}
    world.connection.loader.dispatcher = Dispatcher(handlers)
    world.send(ask(1, "server.stats"))
    [frame] = world.queue.take(10**6)
    assert frame == b'{"jsonrpc":"2.0","id":1,"result":{"n":1.50}}\n'


@in_world
async def test_exit_as_a_request_knows_no_members_and_as_a_notification_ends_all_the_same(
    world: World,
) -> None:
    world.send(ask(1, "exit", now=True))
    assert codes(world.answers()) == [(1, -32602)]
    before = world.exits
    world.send({"method": "exit", "params": {"now": True}})
    assert (before, world.exits) == (0, 1)


@in_world
async def test_initialize_without_an_id_does_not_use_up_the_one_that_there_is(world: World) -> None:
    world.send({"method": "initialize", "params": {"capabilities": {"tools": True}}})
    (told,) = world.answers()
    assert told["method"] == "log.message"
    assert world.host is None
    world.send(ask(1, "initialize"))
    assert codes(world.answers())[-1] == (1, "ok")


@in_world
async def test_names_are_not_repeated_at_length(world: World) -> None:
    long = "x" * 3_000
    world.send(ask(1, long), ask(2, "$/" + long), ask(3, "ping", **{long: 1}))
    answers = world.answers()
    assert codes(answers) == [(1, -32601), (2, -32601), (3, -32602)]
    assert len(json.dumps(answers)) < 2000
