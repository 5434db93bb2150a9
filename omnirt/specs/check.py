"""Everything that would keep an agent from being started, without starting it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from omnirt.errors import OmnirtError
from omnirt.specs.context import context_builder
from omnirt.specs.graph import Node, survey
from omnirt.specs.guardrails import make_guardrails
from omnirt.specs.instructions import check_template, template_names
from omnirt.specs.load import Agent, AgentLibrary
from omnirt.specs.parse import MAX_PROBLEMS, Problems
from omnirt.specs.python_tools import PythonTools


def problems_of(agent: Agent, library: AgentLibrary) -> Problems:
    """All that is wrong with an agent and those it hands over to.

    What their specs name in Python is imported, as it is at start, unless the library allows no code;
    nothing of it is called, no command is run and no server connected to. Blocks, so not for the event loop.

    Raises:
        OmnirtError: `agent_not_found`, and nothing else.
    """
    found = library.read(agent)
    problems = [*found.reading.problems]
    spec = found.reading.checkable
    if spec is not None:
        nodes, more = survey(spec, library, found.place)
        problems += more
        for node in nodes.values():
            problems += _node_problems(node, allow_code=library.allow_code)
    # An agent that two others hand over to is met twice.
    unique = {(error.facts.get("file"), error.message): error for error in problems}
    return list(unique.values())[:MAX_PROBLEMS]


def _node_problems(node: Node, *, allow_code: bool) -> Iterable[OmnirtError]:
    spec, place = node.spec, node.place
    yield from _raised(lambda: _check_instructions(node))
    if not allow_code:
        return
    reference = spec.build_context
    if reference is not None:
        yield from _raised(lambda: context_builder(reference, place.at("build_context")))
    tools = PythonTools()
    for index, tool in enumerate(spec.tools):
        if not tool.on_host:
            yield from _raised(partial(tools.define, tool, place.at("tools", index)))
    yield from _raised(lambda: make_guardrails(spec, place))


def _check_instructions(node: Node) -> None:
    spec = node.spec
    member = "instructions" if spec.instructions_file is None else "instructions_file"
    names = template_names(spec.context or {}, spec.variables)
    check_template(spec.instructions or "", names, node.place.at(member))


def _raised(check: Callable[[], object]) -> Problems:
    try:
        check()
    except OmnirtError as error:
        return [error]
    return []
