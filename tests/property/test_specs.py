"""Any document is an agent or `agent_invalid`; any template is a text or `agent_invalid`; nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, given, settings, strategies as st

from omnirt.errors import OmnirtError
from omnirt.specs.documents import SUFFIXES, read_document
from omnirt.specs.graph import resolve_graph
from omnirt.specs.instructions import render
from omnirt.specs.load import AgentLibrary
from omnirt.specs.parts import Guardrail, HttpServer, McpConfig, StdioServer, Tool
from omnirt.specs.problems import Place
from omnirt.specs.realtime import check_realtime, effective_realtime, merge_realtime
from omnirt.specs.realtime_settings import RealtimeSettings, member_names
from omnirt.specs.sandbox_values import MAX_OUTPUT
from omnirt.specs.spec import AgentSpec

T = TypeVar("T")
SPEC: dict[str, Any] = {
    "name": "a",
    "instructions": "Hi {{ user }}",
    "variables": {"user": "Ana"},
    "realtime_settings": {"voice": "ash", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
    "tools": [{"name": "t", "run": "host", "parameters": {"type": "object", "properties": {}}}],
    "handoffs": ["a", {"name": "b", "handoffs": ["a"]}],
}
PARTS = (AgentSpec, Tool, StdioServer, HttpServer, McpConfig, Guardrail)
NAMES = sorted({*member_names(), *(name for part in PARTS for name in part.__struct_fields__)})
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(NAMES)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def outcome(make: Callable[[], T]) -> T | OmnirtError:
    """What `make` gives, or the one error it may raise."""
    try:
        return make()
    except OmnirtError as error:
        return error


def paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The place of every value inside a document."""
    members: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    return [at, *(path for step, member in members for path in paths(member, (*at, step)))]


@st.composite
def mutated(draw: st.DrawFn) -> object:
    """A good spec with one value replaced, or one member added."""
    document = copy.deepcopy(SPEC)
    path = draw(st.sampled_from(paths(document)))
    if not path:
        return draw(values)
    target: Any = document
    for step in path[:-1]:
        target = target[step]
    if isinstance(target, dict) and draw(st.booleans()):
        target[draw(st.sampled_from(NAMES))] = draw(values)
    else:
        target[path[-1]] = draw(values)
    return document


@given(mutated() | values.filter(lambda value: not isinstance(value, str)))
def test_any_document_is_an_agent_or_agent_invalid(document: Any) -> None:
    library = AgentLibrary([])
    agent = document if isinstance(document, dict) else {"name": document}
    made = outcome(lambda: resolve_graph(library.resolve(agent).spec, library))
    if isinstance(made, OmnirtError):
        assert made.kind == "agent_invalid"
        assert str(made.facts["path"]).startswith("$")
    else:
        assert agent["name"] in made
        msgspec.json.encode([node.spec for node in made.values()])


@given(st.dictionaries(st.sampled_from(sorted(RealtimeSettings.__struct_fields__)), values, max_size=3))
def test_any_settings_are_complete_or_refused_with_their_path(document: dict[str, Any]) -> None:
    flat = outcome(lambda: check_realtime(document, Place("invalid_params", "$.realtime")))
    if isinstance(flat, OmnirtError):
        assert flat.kind == "invalid_params"
        assert str(flat.facts["path"]).startswith("$.realtime.")
    else:
        effective = effective_realtime(merge_realtime({"voice": "ash"}, flat), "m")
        assert effective.settings["model_name"] == "m"
        assert effective.server_turns == (effective.settings["turn_detection"] is not None)
        # What was checked once stays as it is when it is checked again.
        assert check_realtime(flat, Place()) == flat


PIECES = [
    *(
        "{{ ",
        " }}",
        "{% ",
        " %}",
        "{#",
        "#}",
        "{% raw %}",
        "{% endraw %}",
        "user",
        "missing",
        " | ",
        "upper",
        "(",
    ),
    *(
        ")",
        "[",
        "]",
        "'",
        '"',
        "~",
        "+",
        "*",
        "**",
        "9",
        "9999999",
        ".",
        "__class__",
        "for x in user",
        "endfor",
    ),
    *("if user", "endif", "set y = ", "range(9)", "join", "replace('', 'aa')", "\n", ",", ":", "%", "tojson"),
]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=25).map("".join))
def test_any_template_is_a_text_or_agent_invalid(template: str) -> None:
    rendered = outcome(lambda: render(template, {"user": "Ana"}, Place()))
    if isinstance(rendered, OmnirtError):
        assert rendered.kind == "agent_invalid"
    else:
        assert len(rendered.text) <= max(MAX_OUTPUT, len(template))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(SUFFIXES),
    st.text(max_size=60) | st.text("&*x![]{}:,-'\"\n #|>?%@`~=.1", max_size=40) | values.map(json.dumps),
)
def test_any_file_is_a_document_or_agent_invalid(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    document = outcome(lambda: read_document(path, Place(file=path)))
    if isinstance(document, OmnirtError):
        assert (document.kind, document.facts["file"]) == ("agent_invalid", str(path))
    else:
        json.dumps(document, allow_nan=False)
