"""All problems of a document at once, and what `--no-code` refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omnirt.specs.parse import read_spec
from omnirt.specs.problems import Place
from omnirt.specs.spec import AgentSpec

CODE: dict[str, Any] = {
    "name": "a",
    "build_context": "pkg.mod:build",
    "tools": [{"run": "python:pkg.mod:tool"}, {"run": "host", "name": "t"}],
    "mcp_servers": [
        {"name": "files", "type": "stdio", "command": "npx"},
        {"name": "web", "type": "http", "url": "https://example.com"},
    ],
    "output_guardrails": [{"name": "g", "deny": ["x"]}, "python:pkg.mod:guard"],
}


def paths(document: object, *, allow_code: bool = True) -> list[object]:
    return [problem.facts["path"] for problem in read_spec(document, allow_code=allow_code).problems]


def test_every_typo_is_a_problem_of_its_own_in_the_order_of_the_document() -> None:
    document = {
        "instrutions": "x",
        "name": "a",
        "realtime_settings": {
            "voice": 3,
            "temperature": 1,
            "audio": {"input": {"turn_detection": {"type": "x"}}},
        },
        "tools": [{"nam": "t", "run": "shell"}, 7, {"name": "u", "run": "host", "timeout_s": -1}],
        "project_slug": "..",
        "handoffs": ["b", {"name": "c", "voice": "ash"}, 3],
        "guardrail": "maybe",
    }
    assert paths(document) == [
        "$.instrutions",
        "$.realtime_settings.voice",
        "$.realtime_settings.temperature",
        "$.realtime_settings.audio.input.turn_detection.type",
        "$.tools[0].nam",
        "$.tools[0].run",
        "$.tools[1]",
        "$.tools[2].timeout_s",
        "$.project_slug",
        "$.handoffs[1].voice",
        "$.handoffs[2]",
        "$.guardrail",
    ]


def test_what_the_types_do_not_say_is_told_beside_what_they_do() -> None:
    document = {
        "name": "a",
        "instructions": "x",
        "instructions_file": "y",
        "context": {},
        "build_context": "a:b",
        "tools": [{"run": "host"}, {"name": "t", "run": "host", "parameters": {"type": "array"}}],
        "mcp_servers": [
            {"name": "f", "type": "http", "url": "https://a"},
            {"name": "f", "type": "sse", "url": "https://b"},
        ],
        "output_guardrails": [{"name": "g", "deny": ["ok", "(", "x" * 3000]}, {"name": "h", "deny": []}],
        "realtime_settings": {"input_audio_format": {"type": "audio/pcm", "rate": 16000}},
        "handoffs": [{"name": "b", "realtime_mode": False}],
    }
    assert paths(document) == [
        "$.tools[0]",
        "$.tools[1].parameters.type",
        "$.output_guardrails[0].deny[1]",
        "$.output_guardrails[0].deny[2]",
        "$.output_guardrails[1].deny",
        "$.realtime_settings.input_audio_format.rate",
        "$.handoffs[0].realtime_mode",
        "$.instructions_file",
        "$.build_context",
        "$.mcp_servers[1].name",
    ]


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ({"name": "f"}, "type"),
        ({"name": "f", "type": "carrier pigeon"}, "type"),
        ({"name": "f", "type": "stdio"}, "command"),
        ({"name": "f", "type": "stdio", "command": "x", "url": "https://a"}, "url"),
        ({"name": "f", "type": "http", "url": "ftp://a"}, "url"),
        ({"name": "f", "type": "sse", "url": "https://a", "headers": {"A": 1}}, "headers[...]"),
        ({"name": "-", "type": "sse", "url": "https://a"}, "name"),
    ],
)
def test_a_server_that_does_not_fit_is_told_by_its_member(server: dict[str, Any], path: str) -> None:
    assert paths({"name": "a", "mcp_servers": [server]}) == [f"$.mcp_servers[0].{path}"]


def test_what_can_be_read_of_a_broken_spec_is_there() -> None:
    spec = read_spec({"name": "a", "voice": "ash", "description": "b", "handoffs": [1]}).spec
    assert spec == AgentSpec(name="a", description="b")
    assert read_spec({"name": ""}).spec is None


def test_null_is_absent_at_the_top_of_an_agent() -> None:
    document = {
        **dict.fromkeys(AgentSpec.__struct_fields__),
        "name": "a",
        "handoffs": [{"name": "b", "tools": None}],
    }
    assert read_spec(document).checked() == AgentSpec(name="a", handoffs=[AgentSpec(name="b")])


def test_without_code_everything_that_runs_some_is_refused_wherever_it_stands() -> None:
    refused = ["build_context", "tools[0].run", "mcp_servers[0].command", "output_guardrails[1]"]
    assert paths(CODE) == []
    assert paths(CODE, allow_code=False) == [f"$.{path}" for path in refused]
    inside = {"name": "b", "handoffs": [CODE]}
    assert paths(inside, allow_code=False) == [f"$.handoffs[0].{path}" for path in refused]
    assert "--no-code" in read_spec(CODE, allow_code=False).problems[0].message


def test_a_spec_made_by_a_program_is_read_as_a_document_is() -> None:
    spec = read_spec(CODE).checked()
    assert read_spec(msgspec.to_builtins(spec)).checked() == spec


def test_problems_carry_kind_and_file() -> None:
    [problem] = read_spec({"name": 1}, Place(path="$.agent")).problems
    assert (problem.kind, problem.facts) == ("agent_invalid", {"path": "$.agent.name"})
