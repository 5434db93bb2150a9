"""Resolves an agent and all it hands over to, by name or inline, into one flat graph; cycles are allowed."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.specs.load import AgentLibrary, Located
from omnirt.specs.mcp import shared_servers
from omnirt.specs.parse import Problems
from omnirt.specs.problems import Place
from omnirt.specs.spec import AgentSpec

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

    Raises:
        OmnirtError: The first problem that `survey` finds.
    """
    nodes, problems = survey(start, library, place or Place())
    if problems:
        raise problems[0]
    return nodes


def survey(start: AgentSpec, library: AgentLibrary, place: Place) -> tuple[dict[str, Node], Problems]:
    """The same with all problems: those of the agents found by name, and of agents and tools together.

    A name means the agent of this graph that has it (the start, or an inline one), else the library's.
    """
    problems: Problems = []
    specs: dict[str, Located] = {}
    _add(Located(start, place), specs, problems)
    waiting = list(specs)
    while waiting:
        spec, here = specs[waiting.pop(0)]
        for index, handoff in enumerate(spec.handoffs):
            if isinstance(handoff, AgentSpec) or handoff in specs:
                continue
            found = _from_library(handoff, library, here.at("handoffs", index), problems)
            if found is not None:
                before = set(specs)
                _add(found, specs, problems)
                waiting.extend(name for name in specs if name not in before)
    nodes = {name: Node(*found, _edges(*found, problems)) for name, found in specs.items()}
    try:
        shared_servers(nodes.values())
    except OmnirtError as problem:
        problems.append(problem)
    return nodes, problems


def _add(agent: Located, specs: dict[str, Located], problems: Problems) -> None:
    """Adds an agent and the inline ones below it."""
    spec, place = agent
    if spec.name in specs:
        problems.append(place.at("name").problem(f"Another agent has the name `{spec.name}` too"))
        return
    if len(specs) >= MAX_AGENTS:
        problems.append(place.problem(f"More than {MAX_AGENTS} agents hand over to each other"))
        return
    specs[spec.name] = agent
    for index, handoff in enumerate(spec.handoffs):
        if isinstance(handoff, AgentSpec):
            _add(Located(handoff, place.at("handoffs", index)), specs, problems)


def _from_library(name: str, library: AgentLibrary, place: Place, problems: Problems) -> Located | None:
    try:
        reading, there = library.named(name)
    except OmnirtError as error:
        problems.append(place.problem(error.message.rstrip(".")))
        return None
    problems += reading.problems
    # A file that is too broken to tell its name was found by its own.
    return Located(reading.spec, there) if reading.spec is not None and reading.spec.name == name else None


def _edges(spec: AgentSpec, place: Place, problems: Problems) -> tuple[Handoff, ...]:
    """The handoffs of one agent, its tools checked on the way: the model sees both as functions."""
    taken: dict[str, Place] = {}
    for index, tool in enumerate(spec.tools):
        here = place.at("tools", index)
        if tool.name is not None:
            problems += _take(tool.name, here.at("name"), taken)
    edges: list[Handoff] = []
    for index, handoff in enumerate(spec.handoffs):
        here = place.at("handoffs", index)
        target = handoff.name if isinstance(handoff, AgentSpec) else handoff
        name = handoff_tool_name(target)
        if len(name) > 64:
            too_long = f"The name `{target}` is too long to be handed over to (52 characters at most)"
            problems.append(here.problem(too_long))
        problems += _take(name, here, taken)
        edges.append(Handoff(target, name))
    if len(taken) > MAX_TOOLS:
        problems.append(place.at("tools").problem(f"More than {MAX_TOOLS} tools and handoffs"))
    return tuple(edges)


def _take(name: str, place: Place, taken: dict[str, Place]) -> Problems:
    other = taken.setdefault(name, place)
    if other is place:
        return []
    return [place.problem(f"The model would see two functions named `{name}`; the other is at {other.path}")]
