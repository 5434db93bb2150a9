"""The SDK's agents, built from specs, in a real conversation with the simulator."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.loopback import LoopbackServer, SimulatorProfile, load_script
from omnirt.specs.build import AgentGraph, build_graph, sdk_settings
from omnirt.specs.graph import resolve_graph
from omnirt.specs.load import AgentLibrary
from omnirt.specs.python_tools import PythonTools
from omnirt.specs.realtime import effective_realtime
from omnirt.specs.tools import ToolRequest

WEATHER = {
    "name": "get_weather",
    "run": "host",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "timeout_s": 7,
}
SCRIPT = {
    "rules": [
        {"match": "weather", "do": [{"call": {"tool": "get_weather", "arguments": {"city": "Lisbon"}}}]},
        {"match": "bill", "do": [{"hand_off": "billing"}]},
        {"on": "any", "do": [{"text": "Well: {tool_output}"}]},
    ]
}


class Spy:
    """What a session would be told, and one answer for every tool."""

    def __init__(self) -> None:
        self.requests: list[ToolRequest] = []
        self.handoffs: list[tuple[str, str]] = []

    async def run_tool(self, request: ToolRequest) -> str:
        self.requests.append(request)
        return "21 degrees"

    def on_handoff(self, source: str, target: str) -> None:
        self.handoffs.append((source, target))


def build(
    agent: dict[str, Any] | str, spy: Spy | None = None, library: AgentLibrary | None = None, **variables: Any
) -> AgentGraph:
    library = library or AgentLibrary([])
    spy = spy or Spy()
    spec, place = library.resolve(agent)
    return build_graph(
        spec.name,
        resolve_graph(spec, library, place),
        variables=variables,
        run_tool=spy.run_tool,
        python=PythonTools(),
        on_handoff=spy.on_handoff,
    )


async def converse(graph: AgentGraph, texts: list[str], responses: int) -> list[str]:
    """Sends texts over the stock SDK and returns the types of its events until so many responses ended."""
    from agents.realtime import RealtimeRunner

    seen: list[str] = []
    async with LoopbackServer() as server, asyncio.timeout(10):
        endpoint = server.open(SimulatorProfile(script=load_script(SCRIPT), speed=100))
        runner = RealtimeRunner(graph.start, config={"tracing_disabled": True})
        session = await runner.run(
            model_config={"url": endpoint.url, "headers": {"Authorization": f"Bearer {endpoint.token}"}}
        )
        async with session:
            for text in texts:
                await session.send_message(text)
            async for event in session:
                seen.append(event.type)
                if event.type == "error":
                    seen.append(str(event.error))
                if seen.count("agent_end") == responses:
                    break
    return seen


def test_a_host_tool_is_asked_with_all_that_the_host_needs() -> None:
    spy = Spy()
    graph = build({"name": "desk", "tools": [WEATHER]}, spy)
    asyncio.run(converse(graph, ["What is the weather?"], 2))
    (request,) = spy.requests
    assert request.tool_call_id
    assert (request.tool_name, request.agent, request.timeout_s) == ("get_weather", "desk", 7)
    assert request.arguments_json.replace(" ", "") == '{"city":"Lisbon"}'
    assert request.parameters == WEATHER["parameters"]


def test_a_handoff_is_told_and_cycles_lead_back() -> None:
    spy = Spy()
    graph = build({"name": "desk", "handoffs": [{"name": "billing", "handoffs": ["desk"]}]}, spy)
    seen = asyncio.run(converse(graph, ["My bill please"], 2))
    assert spy.handoffs == [("desk", "billing")]
    assert "handoff" in seen
    assert "error" not in seen
    back = graph.agents["billing"].handoffs[0]
    assert back.agent_name == "desk"  # type: ignore[union-attr]  # the SDK's union of agent and handoff


def test_schemas_reach_the_model_as_they_were_written() -> None:
    tool = build({"name": "desk", "tools": [WEATHER]}).start.tools[0]
    assert tool.params_json_schema == WEATHER["parameters"]  # type: ignore[union-attr]  # the SDK's union of tools


def test_each_agent_has_its_instructions_rendered_with_its_own_variables_below_the_sessions() -> None:
    graph = build(
        {
            "name": "a",
            "instructions": "{{ x }}{{ y }}",
            "variables": {"x": 1, "y": 1},
            "handoffs": [{"name": "b", "instructions": "{{ x }}{{ y }}{{ z }}", "variables": {"y": 2}}],
        },
        y=3,
    )
    assert graph.start.instructions == "13"
    assert graph.agents["b"].instructions == "3"
    assert graph.warnings == (
        "The instructions of `b` use `x`, which is not defined.",
        "The instructions of `b` use `z`, which is not defined.",
    )
    assert graph.spec_of("b").variables == {"y": 2}


def test_descriptions_are_told_to_the_agents_that_hand_over() -> None:
    graph = build({"name": "a", "handoffs": [{"name": "b", "description": "Knows bills"}]})
    handoff = graph.start.handoffs[0]
    assert "Knows bills" in handoff.tool_description  # type: ignore[union-attr]  # the SDK's union
    assert handoff.tool_name == "transfer_to_b"  # type: ignore[union-attr]  # the same


def test_broken_instructions_point_into_the_spec(tmp_path: Path) -> None:
    with pytest.raises(OmnirtError) as caught:
        build({"name": "a", "handoffs": [{"name": "b", "instructions": "\n{{ x"}]})
    assert caught.value.facts == {"path": "$.handoffs[0].instructions", "line": 2}
    (tmp_path / "a.yaml").write_text("name: a\ninstructions_file: a.md\n")
    (tmp_path / "a.md").write_text("{% if %}")
    library = AgentLibrary([tmp_path])
    with pytest.raises(OmnirtError) as caught:
        build("a", library=library)
    assert caught.value.facts["path"] == "$.instructions_file"
    assert caught.value.facts["file"] == str(tmp_path / "a.yaml")


def test_settings_without_a_chosen_tool_go_to_the_sdk_as_they_are() -> None:
    settings = effective_realtime({}, "m").settings
    assert sdk_settings(settings) == settings
