"""The graph of agents: names found, cycles allowed, what the model sees unique and legal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs.graph import MAX_AGENTS, handoff_tool_name, resolve_graph
from omnirt.specs.load import AgentLibrary

EMPTY = AgentLibrary([])


def edges(agent: dict[str, Any], library: AgentLibrary = EMPTY) -> dict[str, list[str]]:
    nodes = resolve_graph(library.resolve(agent).spec, library)
    return {name: [handoff.target for handoff in node.handoffs] for name, node in nodes.items()}


def refused(agent: dict[str, Any], library: AgentLibrary = EMPTY) -> OmnirtError:
    with pytest.raises(OmnirtError) as caught:
        edges(agent, library)
    assert caught.value.kind == "agent_invalid"
    return caught.value


def library_of(folder: Path, **agents: str) -> AgentLibrary:
    for name, text in agents.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\n{text}\n")
    return AgentLibrary([folder])


def test_inline_agents_may_name_each_other_and_the_start() -> None:
    agent = {
        "name": "a",
        "handoffs": [{"name": "b", "handoffs": ["c", "a"]}, {"name": "c", "handoffs": ["b", "c"]}],
    }
    assert edges(agent) == {"a": ["b", "c"], "b": ["c", "a"], "c": ["b", "c"]}


def test_names_are_found_in_the_library_with_all_that_they_lead_to(tmp_path: Path) -> None:
    library = library_of(tmp_path, b="handoffs: [c, {name: d, handoffs: [b]}]", c="handoffs: [a]")
    assert edges({"name": "a", "handoffs": ["b"]}, library) == {
        "a": ["b"],
        "b": ["c", "d"],
        "d": ["b"],
        "c": ["a"],
    }


def test_a_name_means_the_agent_of_this_graph_before_the_librarys(tmp_path: Path) -> None:
    library = library_of(tmp_path, a="instructions: from the library", b="handoffs: [a]")
    start = library.resolve({"name": "a", "instructions": "inline", "handoffs": ["b"]}).spec
    assert resolve_graph(start, library)["a"].spec.instructions == "inline"


def test_an_agent_nobody_has_is_agent_invalid_where_it_is_named(tmp_path: Path) -> None:
    library = library_of(tmp_path, b="handoffs: [x]")
    assert refused({"name": "a", "handoffs": ["x"]}).facts["path"] == "$.handoffs[0]"
    error = refused({"name": "a", "handoffs": ["b"]}, library)
    assert error.facts == {"path": "$.handoffs[0]", "file": str(tmp_path / "b.yaml")}


def test_a_broken_file_of_a_handoff_is_told_as_such(tmp_path: Path) -> None:
    library = library_of(tmp_path, b="voice: ash")
    assert refused({"name": "a", "handoffs": ["b"]}, library).facts["file"] == str(tmp_path / "b.yaml")


PARAMETERS: dict[str, Any] = {"type": "object"}


def tool(name: str, parameters: dict[str, Any] = PARAMETERS) -> dict[str, Any]:
    return {"name": name, "run": "host", "parameters": parameters}


@pytest.mark.parametrize(
    ("agent", "path"),
    [
        ({"name": "a", "handoffs": [{"name": "b"}, {"name": "b"}]}, "$.handoffs[1].name"),
        ({"name": "a", "handoffs": [{"name": "a"}]}, "$.handoffs[0].name"),
        ({"name": "a", "handoffs": [{"name": "b"}, "b"]}, "$.handoffs[1]"),
        ({"name": "a", "handoffs": [{"name": "x y"}, {"name": "x-y"}]}, "$.handoffs[1]"),
        ({"name": "a", "handoffs": [{"name": "b" * 60}]}, "$.handoffs[0]"),
        ({"name": "a", "tools": [tool("t"), tool("t")]}, "$.tools[1].name"),
        ({"name": "a", "tools": [tool("transfer_to_b")], "handoffs": [{"name": "B"}]}, "$.handoffs[0]"),
        (
            {"name": "a", "handoffs": [{"name": "b", "tools": [tool("t"), tool("t")]}]},
            "$.handoffs[0].tools[1].name",
        ),
        ({"name": "a", "tools": [tool("t", {})]}, "$.tools[0].parameters.type"),
        ({"name": "a", "tools": [tool("t", {"type": "array"})]}, "$.tools[0].parameters.type"),
        (
            {"name": "a", "tools": [tool("t", {"type": "object", "properties": {"c": {"type": "strin"}}})]},
            "$.tools[0].parameters.properties.c.type",
        ),
        (
            {
                "name": "a",
                "tools": [tool("t", {"type": "object", "properties": {"c": {"$ref": "http://x/y"}}})],
            },
            "$.tools[0].parameters.properties.c.$ref",
        ),
        ({"name": "a", "tools": [tool(f"t{n}") for n in range(129)]}, "$.tools"),
    ],
)
def test_what_the_model_could_not_tell_apart_or_use_is_refused(agent: dict[str, Any], path: str) -> None:
    assert refused(agent).facts["path"] == path


def test_very_many_agents_are_refused() -> None:
    agent = {"name": "a", "handoffs": [{"name": f"b{n}"} for n in range(MAX_AGENTS)]}
    assert "More than" in refused(agent).message


def test_a_handoff_tool_is_named_as_the_sdk_names_it() -> None:
    from agents.handoffs import Handoff
    from agents.realtime import RealtimeAgent

    for name in ("billing", "Billing Desk", "Straße", "a-b"):
        assert handoff_tool_name(name) == Handoff.default_tool_name(RealtimeAgent(name=name))
