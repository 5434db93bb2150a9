"""Each tool call starts and ends once, and the model is told something always."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec import UNSET, Struct
from msgspec.structs import replace

from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolCallResult
from omnirt.sessions.approvals import Approvals, HostCaller
from omnirt.sessions.tools import ToolRunner
from omnirt.specs.tools import ToolRequest
from tests.support.daemon import driven
from tests.unit.sessions.helpers import Talk

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def request(arguments: str = '{"city": "Rome"}', call_id: str = "call_1") -> ToolRequest:
    return ToolRequest(
        tool_call_id=call_id,
        tool_name="weather",
        arguments_json=arguments,
        agent="greeter",
        timeout_s=5,
        parameters=SCHEMA,
    )


def runner(talk: Talk, call_host: HostCaller | None) -> ToolRunner:
    approvals = Approvals(talk.core.run, call_host, lambda: True)
    return ToolRunner(talk.core, talk.collect, call_host, approvals)


def answering(output: Any) -> HostCaller:
    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        return ToolCallResult(output=output)

    return call_host


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("Sunny", "Sunny"),
        ({"sky": "blå"}, '{"sky": "blå"}'),
        (None, "null"),
        ([1, 2.5, True], "[1, 2.5, true]"),
    ],
)
def test_the_model_is_told_text_as_it_is_and_the_rest_as_json(output: object, told: str) -> None:
    talk = Talk()
    assert asyncio.run(runner(talk, answering(output)).run(request())) == told
    [start], [end] = talk.of(ev.RealtimeToolStart), talk.of(ev.RealtimeToolEnd)
    assert (start.tool_call_id, start.tool_name, start.agent) == ("call_1", "weather", "greeter")
    assert start.arguments == end.arguments == {"city": "Rome"}
    assert (end.tool_call_id, end.output, end.status, end.error) == ("call_1", output, "completed", UNSET)


@pytest.mark.parametrize("arguments", ["{", "[]", "{}", '{"city": 7}'])
def test_unfit_arguments_are_told_to_the_model_and_the_host_is_not_called(arguments: str) -> None:
    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        raise AssertionError("it is not called")

    talk = Talk()
    told = asyncio.run(runner(talk, call_host).run(request(arguments)))
    assert told.startswith("The tool weather failed: The arguments ")
    assert told.count("arguments") == 1
    [start], [end] = talk.of(ev.RealtimeToolStart), talk.of(ev.RealtimeToolEnd)
    expected = json.loads(arguments) if arguments.startswith("{") and arguments != "{" else arguments
    assert start.arguments == expected
    assert (end.status, end.output) == ("failed", told)
    assert end.error
    assert end.error.kind == "invalid_params"


def test_without_anyone_to_ask_the_tool_fails() -> None:
    talk = Talk()
    assert "No host answers" in asyncio.run(runner(talk, None).run(request()))


def test_an_output_that_is_no_json_fails_the_tool() -> None:
    talk = Talk()
    assert "no JSON (of type object)" in asyncio.run(runner(talk, answering(object())).run(request()))
    [end] = talk.of(ev.RealtimeToolEnd)
    assert end.status == "failed"
    assert end.error
    assert (end.error.kind, end.error.code) == ("tool_failed", "object")


def test_a_tool_that_is_not_there_starts_and_ends_too() -> None:
    talk = Talk()
    told = runner(talk, None).refused("call_9", "teleport", "{}", {"weather"})
    [start], [end] = talk.of(ev.RealtimeToolStart), talk.of(ev.RealtimeToolEnd)
    assert (start.tool_call_id, start.tool_name) == ("call_9", "teleport")
    assert (end.output, end.status) == (told, "failed")


@pytest.mark.parametrize(
    "arguments", ['{"b": "\\ud800"}', '"\ud800"', '{"a": ' + "[" * 2000 + "]" * 2000 + "}"]
)
def test_arguments_that_cannot_be_written_again_are_refused_in_words(arguments: str) -> None:
    talk = Talk()
    told = runner(talk, None).refused("call_9", "weather", arguments, {"weather"})
    assert told is not None
    [end] = talk.of(ev.RealtimeToolEnd)
    assert (end.output, end.status) == (told, "failed")
    assert end.error
    assert end.error.kind == "invalid_params"


@pytest.mark.parametrize("arguments", ["", "{", "[]", '{"city": "Rome \\ud83d\\ude00"}'])
def test_what_the_tool_itself_judges_is_not_refused(arguments: str) -> None:
    assert runner(Talk(), None).refused("call_9", "weather", arguments, {"weather"}) is None


@driven
async def test_what_runs_at_the_end_ends_once_and_one_by_one() -> None:
    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    talk = Talk()
    tools = runner(talk, call_host)
    running = [asyncio.create_task(tools.run(request(call_id="same"))) for _ in range(2)]
    await asyncio.sleep(0)
    assert talk.core.state in ("listening", "thinking")
    tools.end_all()
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    assert all(task.cancelled() for task in running)
    assert [end.status for end in talk.of(ev.RealtimeToolEnd)] == ["failed", "failed"]
    assert [end.error.kind for end in talk.of(ev.RealtimeToolEnd) if end.error] == ["cancelled"] * 2


def test_a_schema_that_takes_too_long_fails_the_call_and_the_loop_goes_on() -> None:
    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        raise AssertionError("it is not called")

    async def main() -> None:
        schema = {"type": "object", "properties": {"a": {"pattern": "^(a|aa)+$"}}}
        slow = replace(request('{"a": "' + "a" * 60 + '!"}'), parameters=schema)
        using = asyncio.create_task(runner(Talk(), call_host).run(slow))
        turns = 0
        while not using.done():
            await asyncio.sleep(0)
            turns += 1
        assert "takes too long" in using.result()
        assert turns > 100, "the loop went on meanwhile"

    asyncio.run(main())
