"""The client against small peers of its own: replies, tools, streams, and every way a daemon may die."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
import typing
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from omnirt.client import Client, DaemonGone, EventStream
from omnirt.client.methods import Methods
from omnirt.errors import OmnirtError
from omnirt.protocol.calls import ToolApproveParams, ToolApproveResult, ToolCallParams
from omnirt.protocol.events import LogMessage
from omnirt.protocol.methods import METHODS, SessionStartParams, SessionWaitParams
from omnirt.protocol.types import Empty

BOUND_S = 10.0

PEER = """
import json, sys
def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
def event(name, **params):
    send(method=name, params=params)
HELLO = {"protocolVersion": 1, "serverInfo": {"name": "omnirt", "version": "0"},
         "capabilities": {"methods": [], "notifications": [], "calls": [], "providers": []},
         "limits": {"maxMessageBytes": 1, "maxSessions": 1, "inputQueueMs": 1, "outputQueueBytes": 1}}
for line in sys.stdin:
    message = json.loads(line)
    method, params, id = message.get("method"), message.get("params") or {}, message.get("id")
    if method == "initialize":
        send(id=id, result=HELLO)
    elif method == "shutdown":
        send(id=id, result={})
    elif method == "exit":
        sys.exit(0)
    else:
        BEHAVIOUR
"""


def peer(behaviour: str) -> Client:
    """A client of a daemon which does `behaviour` (Python) with every message that is not lifecycle."""
    return Client([sys.executable, "-c", PEER.replace("BEHAVIOUR", behaviour.replace("\n", "\n        "))])


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Runs one test in a loop of its own, within a bound."""

    async def bounded() -> None:
        async with asyncio.timeout(BOUND_S):
            await test()

    asyncio.run(bounded())


def test_every_method_of_the_table_has_a_typed_coroutine() -> None:
    for name, spec in METHODS.items():
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name.removeprefix("$/")).replace(
            ".", "_"
        )
        method = getattr(Methods, snake)
        assert inspect.iscoroutinefunction(method), name
        hints = typing.get_type_hints(method)
        result = hints.pop("return")
        assert result is (type(None) if spec.result is Empty else spec.result) or name == "rpc.discover", name
        own = [f for f in spec.params.__struct_fields__ if f != "meta_"]
        assert list(hints.values()) == ([spec.params] if own else []), name


def test_a_request_gets_the_reply_with_its_id_whatever_the_order() -> None:
    async def test() -> None:
        held = """
if method == "ping": HELLO["held"] = id
else:
    send(id=id, result={"sessions": []})
    send(id=HELLO["held"], result={})"""
        async with peer(held) as client:
            ping = asyncio.create_task(client.ping())
            await asyncio.gather(ping, client.session_list())

    run(test)


def test_an_error_reply_is_raised_with_its_kind_and_facts() -> None:
    async def test() -> None:
        behaviour = (
            "send(id=id, error={'code': -32001, 'message': 'Full.',"
            " 'data': {'kind': 'overloaded', 'retryable': True, 'queuedMs': 7}})"
        )
        async with peer(behaviour) as client:
            with pytest.raises(OmnirtError) as caught:
                await client.ping()
            error = caught.value
            assert (error.kind, error.code, error.retryable, error.facts) == (
                "overloaded", -32001, True, {"queuedMs": 7},
            )  # fmt: skip

    run(test)


def test_an_error_of_a_kind_from_the_future_keeps_its_kind_and_code() -> None:
    async def test() -> None:
        behaviour = "send(id=id, error={'code': -32099, 'message': 'New.', 'data': {'kind': 'novel'}})"
        async with peer(behaviour) as client:
            with pytest.raises(OmnirtError) as caught:
                await client.ping()
            assert (caught.value.kind, caught.value.code) == ("novel", -32099)

    run(test)


def test_params_leave_out_what_nobody_set() -> None:
    async def test() -> None:
        behaviour = """
event('log.message', level='info', message=json.dumps(params))
send(id=id, result={'state': 'idle', 'responses': []})"""
        async with peer(behaviour) as client:
            log = client.notifications()
            await client.session_wait(SessionWaitParams(session_id="s"))
            assert await anext(log) == LogMessage(level="info", message='{"sessionId": "s"}')

    run(test)


def test_the_death_of_the_daemon_reaches_every_waiter() -> None:
    async def test() -> None:
        async with peer("if method == 'session.list': sys.exit(7)") as client:
            stream = client.notifications()
            waits = [asyncio.create_task(client.ping()) for _ in range(3)]
            with pytest.raises(DaemonGone, match="exit code 7"):
                await client.session_list()
            for result in await asyncio.gather(*waits, return_exceptions=True):
                assert isinstance(result, DaemonGone)
                assert result.returncode == 7
            with pytest.raises(DaemonGone):
                await anext(stream)
            with pytest.raises(DaemonGone):
                await client.ping()

    run(test)


def test_garbage_on_stdout_is_told_as_the_end_of_the_daemon() -> None:
    async def test() -> None:
        async with peer("print('Traceback, stray', flush=True)") as client:
            with pytest.raises(DaemonGone, match="no message"):
                await client.ping()

    run(test)


def test_a_command_that_is_not_there_says_so() -> None:
    async def test() -> None:
        with pytest.raises(DaemonGone, match="no-such-command"):
            await Client(["no-such-command-of-omnirt"]).start()

    run(test)


def test_a_daemon_that_ignores_the_end_is_killed() -> None:
    async def test() -> None:
        stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PEER.replace(
            "BEHAVIOUR", "pass"
        )
        argv = [sys.executable, "-c", stubborn.replace("sys.exit(0)", "import time; time.sleep(3600)")]
        client = Client(argv, exit_grace_s=0.3)
        await client.start()
        assert await client.close() == -9

    run(test)


def test_a_request_that_is_cancelled_is_cancelled_at_the_daemon() -> None:
    async def test() -> None:
        behaviour = "event('log.message', level='info', message=method + json.dumps(params))"
        async with peer(behaviour) as client:
            log = client.notifications()
            ping = asyncio.create_task(client.ping())
            first = await anext(log)
            ping.cancel()
            second = await anext(log)
            assert isinstance(first, LogMessage)
            assert second == LogMessage(level="info", message='$/cancelRequest{"id": 2}')

    run(test)


def test_a_request_that_is_not_answered_times_out() -> None:
    async def test() -> None:
        async with peer("pass") as client:
            with pytest.raises(OmnirtError) as caught:
                await client.request("ping", Empty(), Empty, timeout_s=0.05)
            assert caught.value.kind == "timed_out"

    run(test)


CALL = """
if method == 'ping':
    send(id='omnirt-1', method='tool.call', params={'sessionId': 's', 'runId': 'r', 'toolCallId': 'c',
         'toolName': TOOL, 'arguments': {'city': 'Lisbon'}, 'agent': 'a', 'timeoutMs': 1000})
    send(id=id, result={})
elif id == 'omnirt-1':
    event('log.message', level='info', message=json.dumps(message.get('result') or message['error']))
"""


def answer_of(client: Client) -> Awaitable[str]:
    async def ask() -> str:
        log = client.notifications()
        await client.ping()
        event = await anext(log)
        assert isinstance(event, LogMessage)
        return event.message

    return ask()


def test_a_tool_answers_the_daemons_call() -> None:
    async def test() -> None:
        client = peer(CALL.replace("TOOL", "'get_weather'"))

        @client.tool("get_weather")
        async def get_weather(call: ToolCallParams) -> object:
            return {"sky": "clear", "city": call.arguments["city"]}

        async with client:
            assert await answer_of(client) == '{"output": {"sky": "clear", "city": "Lisbon"}}'

    run(test)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (ValueError("secret"), "It failed in the host: ValueError."),
        (OmnirtError("not_found", "No such city."), "No such city."),
    ],
)
def test_a_tool_that_raises_is_told_without_its_inside(raised: Exception, message: str) -> None:
    async def test() -> None:
        client = peer(CALL.replace("TOOL", "'get_weather'"))

        @client.tool("get_weather")
        async def get_weather(call: ToolCallParams) -> object:
            raise raised

        async with client:
            answer = await answer_of(client)
            assert f'"message": "{message}"' in answer
            assert "secret" not in answer

    run(test)


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        (True, '{"decision": "approve", "always": false, "message": null}'),
        (False, '{"decision": "reject", "always": false, "message": null}'),
        (
            ToolApproveResult(decision="reject", always=True, message="Never."),
            '{"decision": "reject", "always": true, "message": "Never."}',
        ),
    ],
)
def test_an_approval_is_decided_by_the_hosts_function(
    decision: ToolApproveResult | bool, answer: str
) -> None:
    async def test() -> None:
        client = peer(CALL.replace("TOOL", "'pay'").replace("tool.call", "tool.approve"))

        @client.approve
        async def decide(question: ToolApproveParams) -> ToolApproveResult | bool:
            assert (question.tool_name, question.arguments) == ("pay", {"city": "Lisbon"})
            return decision

        async with client:
            assert await answer_of(client) == answer

    run(test)


@pytest.mark.parametrize("decision", ["reject", "no", {"decision": "reject"}, 1, 0, None, [], object()])
def test_what_is_no_decision_is_a_no_and_an_error_in_the_log(
    decision: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        client = peer(CALL.replace("TOOL", "'pay'").replace("tool.call", "tool.approve"))

        @client.approve
        async def decide(question: ToolApproveParams) -> bool:
            return typing.cast("bool", decision)

        async with client:
            answer = await answer_of(client)
            assert "approve" not in answer
            assert '"message": "It failed in the host: TypeError."' in answer

    run(test)
    assert "A decision is a bool or a ToolApproveResult" in caplog.text


def test_without_a_function_that_approves_the_call_is_unknown() -> None:
    async def test() -> None:
        async with peer(CALL.replace("TOOL", "'x'").replace("tool.call", "tool.approve")) as client:
            assert '"code": -32601' in await answer_of(client)

    run(test)


def test_a_tool_nobody_registered_is_refused() -> None:
    async def test() -> None:
        async with peer(CALL.replace("TOOL", "'get_time'")) as client:
            assert "no tool named get_time" in await answer_of(client)

    run(test)


def test_a_call_this_client_does_not_know_is_method_not_found() -> None:
    async def test() -> None:
        async with peer(CALL.replace("TOOL", "'x'").replace("tool.call", "screen.share")) as client:
            assert '"code": -32601' in await answer_of(client)

    run(test)


def test_a_moot_call_is_cancelled_and_not_answered() -> None:
    async def test() -> None:
        moot = """
elif method == 'session.list':
    send(method='$/cancelRequest', params={'id': 'omnirt-1'})
    send(id=id, result={'sessions': []})"""
        behaviour = CALL.replace("TOOL", "'slow'").rstrip() + moot
        client = peer(behaviour)
        started, cancelled = asyncio.Event(), asyncio.Event()

        @client.tool("slow")
        async def slow(call: ToolCallParams) -> object:
            started.set()
            try:
                return await asyncio.get_running_loop().create_future()
            finally:
                cancelled.set()

        async with client:
            log = client.notifications()
            await client.ping()
            await started.wait()
            await client.session_list()
            await cancelled.wait()
        assert [event async for event in log] == []

    run(test)


def test_a_handler_that_goes_on_although_it_is_cancelled_holds_up_no_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        client = peer(CALL.replace("TOOL", "'stubborn'"))
        client._grace_s = 1.0
        started, enough = asyncio.Event(), asyncio.Event()

        @client.tool("stubborn")
        async def stubborn(call: ToolCallParams) -> object:
            started.set()
            while not enough.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await enough.wait()
            return None

        async with client:
            await client.ping()
            await started.wait()
        assert client.returncode == 0
        enough.set()

    run(test)
    assert "goes on although it was cancelled: tool.call omnirt-1" in caplog.text


def test_an_interrupt_of_the_terminal_is_not_the_daemons() -> None:
    async def test() -> None:
        async with peer("send(id=id, result={})") as client:
            assert client.pid is not None
            assert os.getpgid(client.pid) != os.getpgid(0)
            assert os.getsid(client.pid) != os.getsid(0)

    run(test)


def test_a_second_reader_of_a_stream_is_refused() -> None:
    async def test() -> None:
        stream = EventStream()
        first = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)  # it waits now
        with pytest.raises(OmnirtError, match="for one reader"):
            await anext(stream)
        first.cancel()
        second = asyncio.create_task(anext(stream))  # the first one goes
        event = LogMessage(level="info", message="hello")
        await asyncio.sleep(0)
        stream.push(event, 1)
        assert await second is event

    run(test)


def test_unknown_notifications_members_and_values_are_ignored() -> None:
    async def test() -> None:
        behaviour = """
event('realtime.smell', sessionId='s', scent='pine')
event('log.message', level='purple', message='an unknown level')
event('log.message', level='info', message='known', colour='red')
send(id=id, result={'more': 1})"""
        async with peer(behaviour) as client:
            log = client.notifications()
            await client.ping()
            assert await anext(log) == LogMessage(level="info", message="known")

    run(test)


def test_a_session_stream_starts_at_the_first_event_and_ends_with_closed() -> None:
    async def test() -> None:
        behaviour = """
ids = {'sessionId': params.get('sessionId'), 'runId': 'r', 'atMs': 0}
if method == 'session.start':
    send(id=id, result={'sessionId': params['sessionId'], 'runId': 'r', 'resumed': False, 'startedAt': 't',
         'agent': 'a', 'provider': 'simulator', 'model': 'm',
         'inputAudio': {'format': 'pcm16', 'sampleRate': 24000},
         'outputAudio': {'format': 'pcm16', 'sampleRate': 24000}, 'features': dict.fromkeys(
         ['interrupt', 'truncate', 'commit', 'text', 'images', 'update'], True)})
    event('realtime.state', seq=1, state='connected', **ids)
else:
    event('realtime.closed', seq=2, reason='stopped', **ids)
    send(id=id, result={'reason': 'stopped', 'durationMs': 1, 'usage': {}, 'files': []})"""
        async with peer(behaviour) as client:
            async with await client.start_session(SessionStartParams(agent="a")) as session:
                with pytest.raises(OmnirtError):
                    await client.start_session(SessionStartParams(agent="a", session_id=session.id))
            assert [type(event).__name__ async for event in session.events] == [
                "RealtimeState",
                "RealtimeClosed",
            ]
            again = await client.start_session(SessionStartParams(agent="a", session_id=session.id))
            assert again.id == session.id

    run(test)


def test_a_stream_nobody_reads_is_broken_off_and_says_so() -> None:
    async def test() -> None:
        stream = EventStream(max_events=2)
        note = LogMessage(level="info", message="x")
        for _ in range(5):
            stream.push(note, 10)
        assert await anext(stream) is note
        assert await anext(stream) is note
        with pytest.raises(OmnirtError) as caught:
            await anext(stream)
        assert caught.value.kind == "overloaded"

    run(test)


def test_a_stream_is_bounded_in_bytes_too() -> None:
    async def test() -> None:
        stream = EventStream(max_bytes=100)
        stream.push(LogMessage(level="info", message="x"), 80)
        stream.push(LogMessage(level="info", message="y"), 30)
        assert stream.ended

    run(test)


def test_the_client_imports_neither_the_sdk_nor_a_dispatcher() -> None:
    async def test() -> None:
        heavy = "{'agents', 'openai', 'jsonrpcserver', 'rich', 'anyio'}"
        code = f"import sys, omnirt.client; print(sorted({heavy} & set(sys.modules)))"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert out.decode().strip() == "[]"

    run(test)


def test_a_handler_that_is_no_coroutine_function_is_refused_at_once() -> None:
    client = Client()
    with pytest.raises(TypeError, match="async def"):
        client.tool("get_weather")(lambda call: "sunny")  # type: ignore[arg-type, return-value] # it is wrong
    with pytest.raises(TypeError, match="async def"):
        client.approve(lambda question: True)  # type: ignore[arg-type, return-value] # the same


def test_an_object_whose_call_is_a_coroutine_function_is_a_handler() -> None:
    class Weather:
        async def __call__(self, call: ToolCallParams) -> object:
            return {"sky": "clear"}

    async def test() -> None:
        client = peer(CALL.replace("TOOL", "'get_weather'"))
        client.tool("get_weather")(Weather())
        async with client:
            assert await answer_of(client) == '{"output": {"sky": "clear"}}'

    run(test)


def test_the_first_handler_comes_before_the_start_and_more_may_follow() -> None:
    async def handler(call: object) -> bool:
        return True

    async def test() -> None:
        client = peer("pass")
        client.tool("one")(handler)
        async with client:
            client.tool("two")(handler)
            with pytest.raises(OmnirtError, match="before the client starts"):
                client.approve(handler)

    run(test)


def test_why_a_handler_failed_is_in_the_hosts_own_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        client = peer(CALL.replace("TOOL", "'get_weather'"))

        @client.tool("get_weather")
        async def get_weather(call: ToolCallParams) -> object:
            raise ValueError("no such city")

        async with client:
            await answer_of(client)

    run(test)
    assert "no such city" in caplog.text
    assert "the handler of tool.call failed" in caplog.text


def test_a_client_is_for_one_daemon() -> None:
    async def test() -> None:
        client = peer("pass")
        async with client:
            with pytest.raises(OmnirtError, match="another Client"):
                await client.start()
        with pytest.raises(OmnirtError, match="another Client"):
            await client.start()

    run(test)


def test_a_daemon_that_ends_well_without_having_been_asked_to_is_gone_all_the_same() -> None:
    async def test() -> None:
        async with peer("if method == 'session.list': sys.exit(0)") as client:
            stream = client.notifications()
            with pytest.raises(DaemonGone, match="exit code 0"):
                await client.session_list()
            with pytest.raises(DaemonGone):
                await anext(stream)

    run(test)


def test_streams_end_without_an_error_when_the_client_ends_the_daemon() -> None:
    async def test() -> None:
        async with peer("pass") as client:
            one = client.notifications()
        assert [event async for event in one] == []
        async with peer("pass") as client:
            two = client.notifications()
            await client.shutdown()
            await client.exit()
            assert [event async for event in two] == []

    run(test)
