"""Resolves an agent and all it hands over to, by name or inline, into one flat graph; cycles are allowed."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.specs.load import AgentLibrary
from omnirt.specs.problems import Place
from omnirt.specs.spec import AgentSpec
from omnirt.specs.tools import check_parameters

MAX_AGENTS: Final = 64
MAX_TOOLS: Final = 128
"""Tools and handoffs of one agent together; the provider's own limit."""


class Handoff(Struct, frozen=True):
    """One edge: the agent it leads to, and the tool by which the model takes it."""

    target: str
    tool_name: str


class Node(Struct, frozen=True):
    """One agent of the graph, with where it stands and where it can hand over to."""

    spec: AgentSpec
    place: Place
    handoffs: tuple[Handoff, ...]


def handoff_tool_name(agent: str) -> str:
    """The tool that hands over to `agent`, in the form the SDK gives it by default."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", f"transfer_to_{agent}").lower()


def resolve_graph(start: AgentSpec, library: AgentLibrary, place: Place | None = None) -> dict[str, Node]:
    """Every agent that can be reached from `start`, by name; `start` is the first.

    A name means the agent of this graph that has it (the start, or an inline one), else the library's.

    Raises:
        OmnirtError: `agent_invalid`, with the path of a name that nobody has, of a name that two agents have,
            or of a tool whose name or schema does not fit.
    """
    specs: dict[str, tuple[AgentSpec, Place]] = {}
    _add(start, place or Place(), specs)
    waiting = list(specs)
    while waiting:
        spec, here = specs[waiting.pop(0)]
        for index, handoff in enumerate(spec.handoffs):
            if isinstance(handoff, AgentSpec) or handoff in specs:
                continue
            found = _from_library(handoff, library, here.at("handoffs", index))
            before = set(specs)
            _add(*found, specs)
            waiting.extend(name for name in specs if name not in before)
    return {name: Node(spec, here, _edges(spec, here)) for name, (spec, here) in specs.items()}


def _add(spec: AgentSpec, place: Place, specs: dict[str, tuple[AgentSpec, Place]]) -> None:
    """Adds an agent and the inline ones below it."""
    if spec.name in specs:
        raise place.at("name").problem(f"Another agent has the name `{spec.name}` too")
    if len(specs) >= MAX_AGENTS:
        raise place.problem(f"More than {MAX_AGENTS} agents hand over to each other")
    specs[spec.name] = (spec, place)
    for index, handoff in enumerate(spec.handoffs):
        if isinstance(handoff, AgentSpec):
            _add(handoff, place.at("handoffs", index), specs)


def _from_library(name: str, library: AgentLibrary, place: Place) -> tuple[AgentSpec, Place]:
    try:
        return library.find(name)
    except OmnirtError as error:
        if error.kind != "agent_not_found":
            raise
        raise place.problem(error.message.rstrip(".")) from None


def _edges(spec: AgentSpec, place: Place) -> tuple[Handoff, ...]:
    """The handoffs of one agent, its tools checked on the way: the model sees both as functions."""
    taken: dict[str, Place] = {}
    for index, tool in enumerate(spec.tools):
        here = place.at("tools", index)
        if tool.name is not None:
            _take(tool.name, here.at("name"), taken)
        if tool.parameters is not None:
            check_parameters(tool.parameters, here.at("parameters"))
    edges: list[Handoff] = []
    for index, handoff in enumerate(spec.handoffs):
        here = place.at("handoffs", index)
        target = handoff.name if isinstance(handoff, AgentSpec) else handoff
        name = handoff_tool_name(target)
        if len(name) > 64:
            raise here.problem(
                f"The name `{target}` is too long to be handed over to (52 characters at most)"
            )
        _take(name, here, taken)
        edges.append(Handoff(target, name))
    if len(taken) > MAX_TOOLS:
        raise place.at("tools").problem(f"More than {MAX_TOOLS} tools and handoffs")
    return tuple(edges)


def _take(name: str, place: Place, taken: dict[str, Place]) -> None:
    if name in taken:
        raise place.problem(
            f"The model would see two functions named `{name}`; the other is at {taken[name].path}"
        )
    taken[name] = place
