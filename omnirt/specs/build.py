"""Builds the voice SDK's agents from specs. The SDK is imported when the first graph is built, not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from omnirt.specs.context import context_of
from omnirt.specs.graph import Handoff, Node
from omnirt.specs.guardrails import Guardrails, make_guardrails
from omnirt.specs.instructions import render, template_names
from omnirt.specs.problems import Place
from omnirt.specs.python_tools import PythonTools
from omnirt.specs.spec import AgentSpec
from omnirt.specs.tools import RunTool, ToolDefinition, host_tool

if TYPE_CHECKING:
    from agents import FunctionTool, Handoff as SdkHandoff
    from agents.realtime import RealtimeAgent
    from agents.run_context import RunContextWrapper
    from agents.tool_context import ToolContext

OnHandoff: TypeAlias = Callable[[str, str], None]
"""Told synchronously, before the SDK swaps agents: names of the agent that hands over and of the next."""


class AgentGraph:
    """The agents of one session.

    Attributes:
        start: Where the session starts.
        agents: Every agent by name.
        nodes: Their specs, by name.
        warnings: Names the templates used and nobody gave, one sentence each, each once.
        guardrails: Of those agents that have any, by name.
    """

    def __init__(self, start: str, agents: dict[str, RealtimeAgent[Any]], nodes: Mapping[str, Node]) -> None:
        self.start = agents[start]
        self.agents = agents
        self.warnings: tuple[str, ...] = ()
        self.guardrails: dict[str, Guardrails] = {}
        self.nodes = nodes

    def spec_of(self, name: str) -> AgentSpec:
        """The spec of an agent of this graph."""
        return self.nodes[name].spec


def build_graph(
    start: str,
    nodes: Mapping[str, Node],
    *,
    variables: Mapping[str, Any] | None,
    run_tool: RunTool,
    python: PythonTools,
    on_handoff: OnHandoff,
) -> AgentGraph:
    """The SDK's agents of a graph. Imports and calls what their specs name, so not for the event loop.

    Args:
        start: Where the session starts.
        nodes: The agents, from `resolve_graph`.
        variables: Template variables of the session; they come before each spec's own.
        run_tool: Carries out tools. Never raises: what it returns is what the model is told.
        python: Makes and runs Python tools.
        on_handoff: Told of each handoff.

    Raises:
        OmnirtError: `agent_invalid`, with `path` and, for an agent from a file, `file`.
    """
    from agents.realtime import RealtimeAgent

    warnings: dict[str, None] = {}
    agents: dict[str, RealtimeAgent[Any]] = {}
    for name, node in nodes.items():
        text, undefined = render_instructions(node, variables)
        for missing in undefined:
            warnings.setdefault(f"The instructions of `{name}` use `{missing}`, which is not defined.")
        agents[name] = RealtimeAgent(
            name=name,
            handoff_description=node.spec.description or None,
            instructions=text,
            tools=[
                function_tool(definition, node.spec, run_tool) for definition in _definitions(node, python)
            ],
        )
    for name, node in nodes.items():
        # Only now: with cycles no order of creation would do.
        agents[name].handoffs = [
            _handoff(name, edge, agents[edge.target], on_handoff) for edge in node.handoffs
        ]
    graph = AgentGraph(start, agents, nodes)
    graph.warnings = tuple(warnings)
    for name, node in nodes.items():
        guardrails = make_guardrails(node.spec, node.place)
        if guardrails is not None:
            graph.guardrails[name] = guardrails
    return graph


def sdk_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Effective settings (`EffectiveRealtime.settings`) as the SDK takes them.

    One member it wants as an object of its own: a plain `tool_choice` table goes out as it should, but with
    a page of warnings that quotes the whole session.
    """
    choice = settings.get("tool_choice")
    if not isinstance(choice, Mapping):
        return dict(settings)
    from openai.types.responses import ToolChoiceFunction

    return {**settings, "tool_choice": ToolChoiceFunction(type="function", name=choice["name"])}


def render_instructions(node: Node, variables: Mapping[str, Any] | None) -> tuple[str, tuple[str, ...]]:
    """The instructions of an agent, and the names that were missing."""
    spec = node.spec
    member = "instructions" if spec.instructions_file is None else "instructions_file"
    context = context_of(spec, variables, node.place)
    names = template_names(context, spec.variables, variables)
    return render(spec.instructions or "", names, node.place.at(member))


def function_tool(definition: ToolDefinition, spec: AgentSpec, run_tool: RunTool) -> FunctionTool:
    """A tool as the SDK takes it; each use goes through `run_tool`, whoever carries it out.

    Args:
        definition: Of the tool.
        spec: The agent that has it.
        run_tool: Runs it and never raises.
    """
    from agents import FunctionTool

    async def use(context: ToolContext[Any], arguments: str) -> str:
        return await run_tool(definition.request(context, arguments, spec))

    return FunctionTool(
        name=definition.name,
        description=definition.description,
        params_json_schema=definition.shown,
        on_invoke_tool=use,
        # Strict mode rewrites the schema: every member would become required.
        strict_json_schema=False,
    )


def _definitions(node: Node, python: PythonTools) -> list[ToolDefinition]:
    """The tools that the spec itself declares; those of its servers come when they are connected."""
    found: dict[str, Place] = {}
    definitions: list[ToolDefinition] = []
    for index, tool in enumerate(node.spec.tools):
        here = node.place.at("tools", index)
        definition = host_tool(tool) if tool.on_host else python.define(tool, here)
        if definition is None:
            continue
        if definition.name in found:
            # Names that the spec gives were compared before; a Python tool brings its own.
            raise here.problem(
                f"Its name is `{definition.name}`, as that of the tool at {found[definition.name].path};"
                " give it another `name`"
            )
        found[definition.name] = here
        definitions.append(definition)
    return definitions


def _handoff(
    source: str, edge: Handoff, target: RealtimeAgent[Any], on_handoff: OnHandoff
) -> SdkHandoff[Any, RealtimeAgent[Any]]:
    from agents.realtime import realtime_handoff

    def tell(_context: RunContextWrapper[Any]) -> None:
        on_handoff(source, edge.target)

    return realtime_handoff(target, tool_name_override=edge.tool_name, on_handoff=tell)
