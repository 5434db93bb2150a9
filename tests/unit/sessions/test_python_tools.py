"""Python tools, good and bad: each use ends with words for the model, and none is in another's way."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import UNSET, Struct

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolApproveParams, ToolApproveResult
from omnirt.sessions.approvals import Approvals
from omnirt.sessions.tool_outputs import MAX_OUTPUT_CHARS
from omnirt.sessions.tools import ToolRunner
from omnirt.specs.build import AgentGraph, build_graph
from omnirt.specs.graph import resolve_graph
from omnirt.specs.load import AgentLibrary
from omnirt.specs.python_tools import PythonTools
from tests.unit.sessions.helpers import Talk

MODULE = "python:tests.support.python_tools"


class Bench:
    """An agent with Python tools, used without a provider."""

    def __init__(self) -> None:
        self.talk = Talk()
        self.python = PythonTools()
        self.asked: list[ToolApproveParams] = []
        approvals = Approvals(self.talk.core.run, self._call, lambda: True)
        self.runner = ToolRunner(self.talk.core, self.talk.collect, self._call, approvals)
        self.graph: AgentGraph

    async def _call(self, method: str, params: Struct, timeout_s: float) -> Struct:
        assert isinstance(params, ToolApproveParams)
        self.asked.append(params)
        return ToolApproveResult(decision="approve")

    def hire(self, *tools: dict[str, Any]) -> AgentGraph:
        """The agent with these tools."""
        library = AgentLibrary([])
        spec, place = library.resolve({"name": "worker", "tools": list(tools)})
        self.graph = build_graph(
            spec.name,
            resolve_graph(spec, library, place),
            variables=None,
            run_tool=self.runner.run,
            python=self.python,
            on_handoff=lambda _source, _target: None,
        )
        return self.graph

    @property
    def tools(self) -> dict[str, Any]:
        """What the SDK gets, by name."""
        return {tool.name: tool for tool in self.graph.start.tools}

    async def use(self, tool: str, call_id: str = "call_1", /, **arguments: Any) -> str:
        """What the model is told."""
        from agents.tool_context import ToolContext

        text = json.dumps(arguments)
        context = ToolContext(None, tool_name=tool, tool_call_id=call_id, tool_arguments=text)
        told = await self.tools[tool].on_invoke_tool(context, text)
        assert isinstance(told, str)
        return told

    @property
    def end(self) -> Any:
        """The last end."""
        starts, ends = self.talk.of(ev.RealtimeToolStart), self.talk.of(ev.RealtimeToolEnd)
        assert [start.tool_call_id for start in starts] == [end.tool_call_id for end in ends]
        return ends[-1]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench, and the end of it."""
    bench = Bench()
    yield bench
    bench.python.close()


def named(name: str, /, **members: Any) -> dict[str, Any]:
    """A tool of the test's own, in a spec."""
    return {"run": f"{MODULE}:{name}", "timeout_s": 20, **members}


def test_a_function_says_by_itself_what_it_is(bench: Bench) -> None:
    bench.hire(named("weather"))
    [tool] = bench.tools.values()
    assert (tool.name, tool.description) == ("weather", "The weather of a city.")
    assert tool.params_json_schema["required"] == ["city"]
    assert tool.params_json_schema["properties"]["city"]["description"] == "Which one."
    assert asyncio.run(bench.use("weather", city="Rome")) == '{"city": "Rome", "degrees": 21}'
    assert (bench.end.output, bench.end.status, bench.end.error) == (
        {"city": "Rome", "degrees": 21},
        "completed",
        UNSET,
    )


def test_the_spec_may_say_it_better(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Rome"]}}, "required": ["city"]}
    bench.hire(named("weather", name="sky", description="The sky.", parameters=schema))
    [tool] = bench.tools.values()
    assert (tool.name, tool.description, tool.params_json_schema) == ("sky", "The sky.", schema)
    assert "21" in asyncio.run(bench.use("sky", city="Rome"))
    assert "do not fit" in asyncio.run(bench.use("sky", city="Oslo"))


def test_a_coroutine_and_a_model_will_do(bench: Bench) -> None:
    bench.hire(named("report"))
    assert asyncio.run(bench.use("report", city="Rome")) == '{"city": "Rome"}'


def test_a_function_tool_made_by_hand_keeps_its_schema(bench: Bench) -> None:
    bench.hire(named("by_hand"))
    assert asyncio.run(bench.use("by_hand", x=1)) == 'got {"x": 1}'
    assert "do not fit" in asyncio.run(bench.use("by_hand", x="one"))


def test_no_tool_runs_on_the_loop_of_the_session(bench: Bench) -> None:
    bench.hire(named("place"), named("place_async"))
    here = threading.current_thread().name
    for tool in ("place", "place_async"):
        assert json.loads(asyncio.run(bench.use(tool)))["thread"] != here


@pytest.mark.parametrize(
    ("tool", "arguments", "says", "code"),
    [
        ("fail", {"reason": "no such city"}, "failed: no such city", "ValueError"),
        ("mute", {}, "failed: It raised KeyError.", "KeyError"),
        ("late", {}, "failed: the library gave up", "TimeoutError"),
        ("broken", {"city": "Oslo"}, "failed: no station in Oslo", "ValueError"),
        ("leave", {}, "failed: It raised SystemExit.", "SystemExit"),
        ("leave_async", {}, "failed: It raised SystemExit.", "SystemExit"),
        ("stop", {}, "failed: It raised StopIteration.", "StopIteration"),
        ("call_off", {}, "failed: It raised CancelledError.", "CancelledError"),
        ("unspeakable", {}, "failed: It raised UnspeakableError.", "UnspeakableError"),
        ("unwritable", {}, "no JSON (of type Unwritable)", "Unwritable"),
        ("no_number", {}, "no JSON (of type list)", "list"),
        ("odd", {}, "no JSON (of type object)", "object"),
        ("circle", {}, "no JSON (of type list)", "list"),
    ],
)
def test_what_a_tool_raises_is_its_own_error_and_the_next_use_works(
    bench: Bench, tool: str, arguments: dict[str, Any], says: str, code: str
) -> None:
    bench.hire(named(tool), named("report"))

    async def main() -> None:
        assert says in await bench.use(tool, **arguments)
        assert (bench.end.status, bench.end.error.kind) == ("failed", "tool_failed")
        assert bench.end.error.code == code
        assert await bench.use("report", "call_2", city="Rome") == '{"city": "Rome"}'

    asyncio.run(main())


def test_a_key_in_an_error_is_masked(bench: Bench) -> None:
    bench.talk.core.mask = lambda text: text.replace("sesame", "***")
    bench.hire(named("fail"))
    assert "sesame" not in asyncio.run(bench.use("fail", reason="the key sesame was refused"))
    assert "sesame" not in str(bench.end.error)


def test_an_exit_in_a_task_of_a_tool_ends_nothing(bench: Bench) -> None:
    bench.hire(named("leave_task"))
    assert asyncio.run(bench.use("leave_task")) == "still there"


@pytest.mark.parametrize(("tool", "limit"), [("hang", 0.2), ("hang_async", 0.2), ("hasty", 20)])
def test_a_tool_that_hangs_is_given_up(bench: Bench, tool: str, limit: float) -> None:
    bench.hire(named(tool, timeout_s=limit), named("report"))

    async def main() -> None:
        assert "did not answer within" in await bench.use(tool)
        assert (bench.end.status, bench.end.error.kind) == ("timedOut", "timed_out")
        assert await bench.use("report", "call_2", city="Rome") == '{"city": "Rome"}'

    asyncio.run(main())


def test_a_tool_that_blocks_its_loop_is_left_to_itself(bench: Bench) -> None:
    bench.hire(named("block", timeout_s=0.2), named("report"))

    async def main() -> None:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0)
                beats += 1

        beating = asyncio.create_task(beat())
        assert "did not answer within" in await bench.use("block")
        assert beats > 10  # the loop of the session was free
        beating.cancel()
        assert await bench.use("report", "call_2", city="Rome") == '{"city": "Rome"}'

    asyncio.run(main())


def test_several_run_at_once(bench: Bench) -> None:
    bench.hire(named("hang", timeout_s=0.5), named("hang_async", timeout_s=0.5), named("report"))

    async def main() -> None:
        hanging = [asyncio.create_task(bench.use("hang", f"call_{n}")) for n in range(5)]
        hanging += [asyncio.create_task(bench.use("hang_async", f"call_{n}")) for n in range(5, 10)]
        assert await bench.use("report", "call_10", city="Rome") == '{"city": "Rome"}'
        assert not any(task.done() for task in hanging)
        await asyncio.gather(*hanging)

    asyncio.run(main())


def test_what_is_too_much_for_a_model_is_cut(bench: Bench) -> None:
    bench.hire(named("huge"), named("half"))
    told = asyncio.run(bench.use("huge"))
    assert len(told) < MAX_OUTPUT_CHARS + 100
    assert told.endswith("too long)")
    assert bench.end.output == told
    assert asyncio.run(bench.use("half")) == "half ?"


def test_a_print_goes_to_stderr_in_the_daemon_and_breaks_nothing(bench: Bench) -> None:
    bench.hire(named("shout"))
    assert asyncio.run(bench.use("shout")) == "shouted"


def test_a_function_tool_may_ask_for_approval_itself(bench: Bench) -> None:
    bench.hire(named("pay"), named("spend"), named("weather", needs_approval=True))

    async def main() -> None:
        assert await bench.use("pay", "call_1", euros=3) == "3 paid"
        assert await bench.use("spend", "call_2", euros=3) == "3 spent, ToolContext"
        assert await bench.use("spend", "call_3", euros=30) == "30 spent, ToolContext"
        await bench.use("weather", "call_4", city="Rome")

    asyncio.run(main())
    assert [(asked.tool_name, asked.tool_call_id) for asked in bench.asked] == [
        ("pay", "call_1"),
        ("spend", "call_3"),
        ("weather", "call_4"),
    ]


def test_a_function_tool_that_is_switched_off_is_not_there(bench: Bench) -> None:
    bench.hire(named("off"), named("weather"))
    assert list(bench.tools) == ["weather"]


@pytest.mark.parametrize(
    ("tools", "says", "path"),
    [
        ([named("nobody")], "has no `nobody`", "$.tools[0].run"),
        ([{"run": "python:no.such.module:x"}], "There is no Python module", "$.tools[0].run"),
        ([named("number")], "neither a function nor a FunctionTool", "$.tools[0].run"),
        ([named("hosted")], "neither a function nor a FunctionTool", "$.tools[0].run"),
        ([named("untyped")], "Its signature makes no tool", "$.tools[0].run"),
        ([named("perhaps")], "does not run here", "$.tools[0].run"),
        ([named("größe")], "give it a `name`", "$.tools[0]"),
        ([named("weather"), named("fail", name="weather")], "give it another `name`", "$.tools[1]"),
    ],
)
def test_what_is_no_tool_is_refused_with_its_place(
    bench: Bench, tools: list[dict[str, Any]], says: str, path: str
) -> None:
    with pytest.raises(OmnirtError) as refused:
        bench.hire(*tools)
    assert (refused.value.kind, refused.value.facts["path"]) == ("agent_invalid", path)
    assert says in refused.value.message


def test_the_end_cancels_what_runs_and_waits_for_nothing(bench: Bench) -> None:
    bench.hire(named("hang_async"), named("hang"))

    async def main() -> None:
        running = [asyncio.create_task(bench.use(tool)) for tool in ("hang", "hang_async")]
        async with asyncio.timeout(20):
            while len(bench.talk.of(ev.RealtimeToolStart)) < 2:
                await asyncio.sleep(0)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        bench.python.close()

    asyncio.run(main())  # `hang` would hang for ever
    assert [end.status for end in bench.talk.of(ev.RealtimeToolEnd)] == ["failed", "failed"]
