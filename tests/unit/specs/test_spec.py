"""Agent specs: what is taken, what is refused, and where the error points."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omnirt.errors import OmnirtError
from omnirt.specs.problems import Place
from omnirt.specs.spec import AgentSpec, slug_of
from tests.support.specs import parse_spec

FULL: dict[str, Any] = {
    "name": "concierge",
    "description": "Helps guests",
    "instructions": "You help {{ user }}",
    "variables": {"user": "Ana"},
    "context": {"hotel": "Sol"},
    "realtime_mode": True,
    "realtime_settings": {"model_name": "gpt-realtime", "voice": "ash", "turn_detection": None},
    "tools": [
        {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            "run": "host",
            "timeout_s": 30,
            "needs_approval": False,
        }
    ],
    "handoffs": ["billing", {"name": "spa", "instructions": "You run the spa"}],
    "project_slug": "acme",
    "agent_slug": "front-desk",
    "mcp_servers": [
        {"name": "files", "type": "stdio", "command": "npx", "args": ["server"], "needs_approval": ["write"]},
        {"name": "web", "type": "http", "url": "https://example.com/mcp", "required": True},
    ],
    "mcp_config": {"include_server_in_tool_names": True},
    "output_guardrails": [{"name": "no_prices", "deny": [r"\$\d+"]}, "python:my_pkg.guards:check"],
    "guardrail": "holdback",
    "guardrail_debounce_chars": 40,
    "approval_policy": "approve",
}


def problem(document: object) -> OmnirtError:
    with pytest.raises(OmnirtError) as caught:
        parse_spec(document)
    return caught.value


def test_a_spec_with_everything_in_it_is_taken() -> None:
    spec = parse_spec(FULL)
    assert spec.tools[0].timeout_s == 30
    assert spec.handoffs[0] == "billing"
    assert isinstance(spec.handoffs[1], AgentSpec)
    assert spec.slug == "front-desk"
    assert spec.realtime() == {"model_name": "gpt-realtime", "voice": "ash", "turn_detection": None}


def test_a_name_is_all_that_is_needed() -> None:
    spec = parse_spec({"name": "Front Desk (Lisbon)"})
    assert spec.slug == "front-desk-lisbon"
    assert spec.project_slug == "default"
    assert spec.realtime() == {}


@pytest.mark.parametrize(
    ("document", "path", "says"),
    [
        ({}, "$.name", "name"),
        ([], "$", "object"),
        (None, "$", "object"),
        ("x", "$", "object"),
        ({"name": ""}, "$.name", "length"),
        ({"name": "  "}, "$.name", "blank"),
        ({"name": 1}, "$.name", "str"),
        ({"name": "a", "instrutions": "x"}, "$.instrutions", "did you mean `instructions`"),
        ({"name": "a", "voice": "ash"}, "$.voice", "belongs into `realtime_settings`"),
        ({"name": "a", "realtime_mode": False}, "$.realtime_mode", "realtime agents"),
        ({"name": "a", "instructions": "x", "instructions_file": "y"}, "$.instructions_file", "not both"),
        ({"name": "a", "realtime_settings": {"voice": 3}}, "$.realtime_settings.voice", "str"),
        (
            {"name": "a", "realtime_settings": {"temperature": 1}},
            "$.realtime_settings.temperature",
            "no setting",
        ),
        ({"name": "a", "project_slug": "../x"}, "$.project_slug", "slug is"),
        ({"name": "a", "agent_slug": ".."}, "$.agent_slug", "slug is"),
        ({"name": "a", "agent_slug": "x\n"}, "$.agent_slug", "slug is"),
        ({"name": "a", "tools": [{"name": "t"}]}, "$.tools[0].run", "run"),
        ({"name": "a", "tools": [{"name": "a b", "run": "host"}]}, "$.tools[0].name", "1 to 64"),
        ({"name": "a", "tools": [{"name": "x" * 65, "run": "host"}]}, "$.tools[0].name", "1 to 64"),
        ({"name": "a", "tools": [{"name": "t", "run": "shell"}]}, "$.tools[0].run", "`run` is `host`"),
        ({"name": "a", "tools": [{"run": "host"}]}, "$.tools[0]", "needs a `name`"),
        ({"name": "a", "tools": [{"run": "python:a"}]}, "$.tools[0].run", "python:package.module:name"),
        ({"name": "a", "context": {}, "build_context": "a:b"}, "$.build_context", "not both"),
        (
            {"name": "a", "tools": [{"name": "t", "run": "host", "timeout_s": 0}]},
            "$.tools[0].timeout_s",
            "> 0",
        ),
        ({"name": "a", "handoffs": [{"nam": "b"}]}, "$.handoffs[0].nam", "did you mean `name`"),
        (
            {"name": "a", "handoffs": [{"name": "b", "mcp_servers": [{"name": "f"}]}]},
            "$.handoffs[0].mcp_servers[0].type",
            "type",
        ),
        (
            {"name": "a", "handoffs": [{"name": "b", "realtime_settings": {"input_audio_format": "opus"}}]},
            "$.handoffs[0].realtime_settings.input_audio_format",
            "opus",
        ),
        ({"name": "a", "handoffs": [3]}, "$.handoffs[0]", "str"),
    ],
)
def test_what_does_not_fit_is_agent_invalid_with_its_path(document: object, path: str, says: str) -> None:
    error = problem(document)
    assert error.kind == "agent_invalid"
    assert error.facts["path"] == path
    assert says in error.message


def test_the_schema_has_what_is_supported_and_nothing_else() -> None:
    schema = msgspec.json.schema(AgentSpec)["$defs"]["AgentSpec"]
    assert set(schema["properties"]) == set(AgentSpec.__struct_fields__)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["realtime_mode"]["const"] is True


def test_the_full_spec_survives_its_own_encoding() -> None:
    spec = parse_spec(FULL)
    assert parse_spec(msgspec.to_builtins(spec)) == spec


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Ana Maria", "ana-maria"),
        ("../../etc", "etc"),
        ("Приём", "agent"),
        ("a" * 100, "a" * 64),
        ("A_b", "a-b"),
    ],
)
def test_a_slug_is_a_plain_folder_name(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def test_a_place_adds_steps_and_names_its_kind() -> None:
    place = Place("invalid_params", "$.realtime").at("audio", "input", 3)
    error = place.problem("Wrong", line=7)
    assert (error.kind, error.facts) == ("invalid_params", {"path": "$.realtime.audio.input[3]", "line": 7})


def test_a_document_nested_without_end_is_refused() -> None:
    document: dict[str, Any] = {"name": "a"}
    for _ in range(3000):
        document = {"name": "a", "handoffs": [document]}
    assert problem(document).kind == "agent_invalid"
