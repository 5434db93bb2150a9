"""Builds the voice SDK's agents from specs. The SDK is imported when the first graph is built, not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from omnirt.specs.graph import Handoff, Node, resolve_graph
from omnirt.specs.instructions import render, template_names
from omnirt.specs.load import AgentLibrary
from omnirt.specs.parts import Tool
from omnirt.specs.problems import Place
from omnirt.specs.spec import AgentSpec
from omnirt.specs.tools import RunTool, ToolRequest

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
        warnings: Names the templates used and nobody gave, one sentence each, each once.
    """

    def __init__(self, start: str, agents: dict[str, RealtimeAgent[Any]], nodes: dict[str, Node]) -> None:
        self.start = agents[start]
        self.agents = agents
        self.warnings: tuple[str, ...] = ()
        self._nodes = nodes

    def spec_of(self, name: str) -> AgentSpec:
        """The spec of an agent of this graph."""
        return self._nodes[name].spec


def build_graph(
    spec: AgentSpec,
    library: AgentLibrary,
    *,
    variables: Mapping[str, Any] | None,
    run_tool: RunTool,
    on_handoff: OnHandoff,
    place: Place | None = None,
) -> AgentGraph:
    """The SDK's agents for `spec` and all it hands over to.

    Args:
        spec: Where the session starts, from `AgentLibrary.resolve`.
        library: Where handoffs by name are found.
        variables: Template variables of the session; they come before each spec's own.
        run_tool: Carries out host tools. Never raises: what it returns is what the model is told.
        on_handoff: Told of each handoff.
        place: Where `spec` stands, for errors.

    Raises:
        OmnirtError: `agent_invalid`, with `path` and, for an agent from a file, `file`.
    """
    from agents.realtime import RealtimeAgent

    nodes = resolve_graph(spec, library, place or library.place_of(spec))
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
            tools=[_host_tool(tool, name, run_tool) for tool in node.spec.tools if tool.on_host],
        )
    for name, node in nodes.items():
        # Only now: with cycles no order of creation would do.
        agents[name].handoffs = [
            _handoff(name, edge, agents[edge.target], on_handoff) for edge in node.handoffs
        ]
    graph = AgentGraph(spec.name, agents, nodes)
    graph.warnings = tuple(warnings)
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
    names = template_names(spec.context or {}, spec.variables, variables)
    return render(spec.instructions or "", names, node.place.at(member))


def _host_tool(tool: Tool, agent: str, run_tool: RunTool) -> FunctionTool:
    from agents import FunctionTool

    name = tool.name or ""
    parameters = tool.parameters or {"type": "object", "properties": {}}

    async def invoke(context: ToolContext[Any], arguments: str) -> str:
        return await run_tool(
            ToolRequest(
                tool_call_id=context.tool_call_id,
                tool_name=name,
                arguments_json=arguments,
                agent=agent,
                timeout_s=tool.timeout_s,
                parameters=parameters,
            )
        )

    return FunctionTool(
        name=name,
        description=tool.description or "",
        params_json_schema=parameters,
        on_invoke_tool=invoke,
        # Strict mode rewrites the schema: every member would become required.
        strict_json_schema=False,
    )


def _handoff(
    source: str, edge: Handoff, target: RealtimeAgent[Any], on_handoff: OnHandoff
) -> SdkHandoff[Any, RealtimeAgent[Any]]:
    from agents.realtime import realtime_handoff

    def tell(_context: RunContextWrapper[Any]) -> None:
        on_handoff(source, edge.target)

    return realtime_handoff(target, tool_name_override=edge.tool_name, on_handoff=tell)
