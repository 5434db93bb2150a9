"""Any document is an agent or `agent_invalid`; any template is a text or `agent_invalid`; nothing else."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from omnirt.errors import OmnirtError
from omnirt.sessions.services import Services
from omnirt.sessions.session import RealtimeSession
from omnirt.specs.build import AgentGraph, build_graph
from omnirt.specs.check import problems_of
from omnirt.specs.documents import SUFFIXES, read_document
from omnirt.specs.graph import resolve_graph
from omnirt.specs.instructions import render
from omnirt.specs.load import AgentLibrary
from omnirt.specs.parts import Guardrail, HttpServer, McpConfig, StdioServer, Tool
from omnirt.specs.problems import Place, problem_text
from omnirt.specs.python_tools import PythonTools
from omnirt.specs.realtime import check_realtime, effective_realtime, merge_realtime
from omnirt.specs.realtime_settings import RealtimeSettings, member_names
from omnirt.specs.sandbox_values import MAX_OUTPUT
from omnirt.specs.spec import AgentSpec
from omnirt.storage import AudioStorage
from tests.support.talks import WAIT_S, simulated

T = TypeVar("T")
SPEC: dict[str, Any] = {
    "name": "a",
    "instructions": "Hi {{ user }}",
    "variables": {"user": "Ana"},
    "realtime_settings": {"voice": "ash", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
    "tools": [
        {"name": "t", "run": "host", "parameters": {"type": "object", "properties": {}}},
        {"run": "python:json:dumps", "name": "dump", "needs_approval": True},
    ],
    "mcp_servers": [{"name": "m", "type": "http", "url": "http://127.0.0.1:9/mcp", "connect_timeout_s": 1}],
    "output_guardrails": [{"name": "g", "deny": ["\\d+"]}, "python:json:loads"],
    "build_context": "tests.support.contexts:anything",
    "handoffs": ["a", {"name": "b", "handoffs": ["a"]}],
}
REFERENCES = [
    *(
        "python:json:dumps",
        "python:json:nothing",
        "python:no_such_module:x",
        "python:os:environ",
        "json:loads",
    ),
    *("tests.support.contexts:anything", "tests.support.contexts:exits", "host", "stdio", "{{ 1 / 0 }}", "("),
]
PARTS = (AgentSpec, Tool, StdioServer, HttpServer, McpConfig, Guardrail)
NAMES = sorted({*member_names(), *(name for part in PARTS for name in part.__struct_fields__)})
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(NAMES)
    | st.sampled_from(REFERENCES)
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


def built(agent: Any, library: AgentLibrary) -> AgentGraph:
    """As a session does it when it starts."""
    spec, place = library.resolve(agent)
    return build_graph(
        spec.name,
        resolve_graph(spec, library, place),
        variables=None,
        run_tool=lambda _: asyncio.sleep(0, ""),
        python=PythonTools(),
        on_handoff=lambda *_: None,
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated() | values.filter(lambda value: not isinstance(value, str)))
def test_what_is_valid_can_be_built_and_what_is_not_is_told_in_full(document: Any) -> None:
    library = AgentLibrary([])
    agent = document if isinstance(document, dict) else {"name": document}
    problems = problems_of(agent, library)
    assert {problem.kind for problem in problems} <= {"agent_invalid"}
    assert all(str(problem.facts["path"]).startswith("$") for problem in problems)
    assert all(problem_text(problem) for problem in problems)
    made = outcome(lambda: built(agent, library))
    if not isinstance(made, OmnirtError):
        assert problems == []
    else:
        assert made.kind == "agent_invalid"
        # Only a start knows what the context is, and what it does to the instructions.
        assert problems or str(made.facts["path"]).split(".")[-1] in ("build_context", "instructions")


@given(mutated())
def test_without_code_any_document_imports_nothing(document: Any) -> None:
    library = AgentLibrary([], allow_code=False)
    agent = document if isinstance(document, dict) else {"name": document}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("importlib.import_module", lambda name: pytest.fail(f"{name} is imported"))
        problems = problems_of(agent, library)
    assert problems or not any(mark in json.dumps(agent) for mark in ('"python:', "build_context"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_any_document_starts_a_session_or_is_agent_invalid(document: Any) -> None:
    agent = document if isinstance(document, dict) else {"name": document}

    async def start() -> str:
        with TemporaryDirectory() as folder:
            services = Services(storage=AudioStorage(Path(folder)), call_host=no_host)
            session = RealtimeSession(agent, settings=simulated(), services=services)
            try:
                async with asyncio.timeout(WAIT_S), session.managed():
                    return "started"
            except OmnirtError as error:
                return error.kind
            finally:
                await services.close()

    # What the provider has against a setting is the provider's to say, and no server listens on port 9.
    kinds = ("started", "agent_invalid", "provider_error", "mcp_server_failed")
    assert asyncio.run(start()) in kinds


async def no_host(method: str, params: msgspec.Struct, timeout_s: float) -> msgspec.Struct:
    """Is never called: no model speaks."""
    raise AssertionError(method)


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
