"""`problems_of`: everything that would keep an agent from starting, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs.check import problems_of
from omnirt.specs.load import AgentLibrary
from omnirt.specs.parse import MAX_PROBLEMS

HOST_TOOL = {"run": "host", "name": "t"}
EMPTY = AgentLibrary([])


def paths(agent: str | dict[str, Any], library: AgentLibrary = EMPTY) -> list[object]:
    return [problem.facts["path"] for problem in problems_of(agent, library)]


def test_a_good_agent_has_none() -> None:
    agent = {
        "name": "a",
        "instructions": "Hi {{ user }}, {{ 100 / rooms }} % are free, {{ nights + 1 }} nights",
        "tools": [
            {"name": "t", "run": "host"},
            {"run": "python:json:dumps", "parameters": {"type": "object"}},
        ],
        "build_context": "json:loads",
        "output_guardrails": [{"name": "g", "deny": ["x"]}, "python:json:loads"],
        "handoffs": ["a", {"name": "b", "handoffs": ["a"]}],
    }
    assert paths(agent) == []


def test_problems_of_every_kind_are_told_together() -> None:
    agent = {
        "name": "a",
        "voice": "ash",
        "instructions": "{% if %}",
        "build_context": "json:nothing",
        "tools": [
            {"run": "python:no_such_module:x"},
            {"run": "python:json:__name__"},
            {"run": "host", "name": "t"},
        ],
        "output_guardrails": ["python:json:nothing"],
        "handoffs": [
            "nobody",
            {"name": "b", "instructions": "{{ 1 / 0 }}", "tools": [{"run": "host", "name": "t"}] * 2},
        ],
    }
    assert paths(agent) == [
        "$.voice",
        "$.handoffs[0]",
        "$.handoffs[1].tools[1].name",
        "$.instructions",
        "$.build_context",
        "$.tools[0].run",
        "$.tools[1].run",
        "$.output_guardrails[0]",
        "$.handoffs[1].instructions",
    ]


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (
            {"name": 5, "instructions": "{% if %}", "handoffs": ["nobody"], "tools": [HOST_TOOL] * 2},
            ["$.name", "$.handoffs[0]", "$.instructions", "$.tools[1].name"],
        ),
        ({"handoffs": ["nobody"]}, ["$.handoffs[0]", "$.name"]),
        ({"name": "a", "handoffs": ["nobody", 5, "no one"]}, ["$.handoffs[0]", "$.handoffs[1]"]),
        (
            {"name": "a", "handoffs": [{"name": "b", "tools": 3, "instructions": "{{"}]},
            ["$.handoffs[0].tools", "$.handoffs[0].instructions"],
        ),
    ],
)
def test_one_of_the_wrong_type_hides_no_other(agent: dict[str, Any], expected: list[str]) -> None:
    assert sorted(map(str, paths(agent))) == sorted(expected)


def test_problems_of_agents_by_name_have_their_file_and_are_told_once(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("name: b\nvoice: ash\ntools: 3\nhandoffs: [c, d]\n")
    (tmp_path / "c.yaml").write_text("name: c\nhandoffs: [d, a]\ninstructions: '{{'\n")
    (tmp_path / "d.yaml").write_text("name: d\nproject_slug: '..'\n")
    found = problems_of({"name": "a", "handoffs": ["b", "c", "d"]}, AgentLibrary([tmp_path]))
    assert [(Path(str(error.facts["file"])).name, error.facts["path"]) for error in found] == [
        ("b.yaml", "$.voice"),
        ("b.yaml", "$.tools"),
        ("d.yaml", "$.project_slug"),
        ("c.yaml", "$.instructions"),
    ]


def test_without_code_nothing_is_imported_and_all_of_it_is_a_problem() -> None:
    agent = {
        "name": "a",
        "build_context": "no.such:x",
        "handoffs": [{"name": "b", "tools": [{"run": "python:no:x"}]}],
    }
    found = problems_of(agent, AgentLibrary([], allow_code=False))
    assert [error.facts["path"] for error in found] == ["$.build_context", "$.handoffs[0].tools[0].run"]
    assert all("--no-code" in error.message for error in found)


def test_a_name_that_nobody_has_is_not_found() -> None:
    with pytest.raises(OmnirtError) as caught:
        problems_of("nobody", EMPTY)
    assert caught.value.kind == "agent_not_found"


def test_a_python_object_is_checked_as_the_document_that_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "made_for_check.py").write_text("agent = {'name': 'a', 'voice': 'ash', 'tools': 3}\n")
    assert paths("python:made_for_check:agent") == ["$.voice", "$.tools"]
    assert paths("python:made_for_check:other") == ["$"]


def test_thousands_of_problems_are_cut_short() -> None:
    agent = {"name": "a", **{f"{index}{'x' * 5000}": 1 for index in range(5000)}}
    found = problems_of(agent, EMPTY)
    assert len(found) == MAX_PROBLEMS
    assert all(len(error.message) < 1000 for error in found)
