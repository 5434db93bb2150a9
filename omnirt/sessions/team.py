"""The agents of one run: built from their specs, with the tools of the MCP servers that they name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from omnirt.errors import OmnirtError
from omnirt.protocol.agent_events import McpStatus, RealtimeMcpStatus
from omnirt.providers.redaction import header_secrets, is_secret_name, mask, url_secrets
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.plan import Plan
from omnirt.sessions.services import Services
from omnirt.specs.graph import MAX_TOOLS, Node, resolve_graph
from omnirt.specs.mcp import allowed, define, same_connection, shared_servers
from omnirt.specs.parts import AnyServer, StdioServer
from omnirt.specs.threads import apart
from omnirt.specs.tools import RunTool

if TYPE_CHECKING:
    from omnirt.sessions.mcp_link import McpLink
    from omnirt.specs.build import AgentGraph, OnHandoff


class Team:
    """Agents and servers of a run; the servers live as long as one of the agents names them.

    Args:
        talk: Of the run; its outputs get the events.
        told: Called after events were put into them.
        services: What the session borrows.
        run_tool: Runs a tool; never raises.
        on_handoff: Told of each handoff.
    """

    def __init__(
        self,
        talk: Conversation,
        told: Callable[[], None],
        services: Services,
        run_tool: RunTool,
        on_handoff: OnHandoff,
    ) -> None:
        self.graph: AgentGraph
        self._talk = talk
        self._told = told
        self._services = services
        self._run_tool = run_tool
        self._on_handoff = on_handoff
        self._links: list[McpLink] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._warned: set[str] = set()

    async def assemble(self, plan: Plan) -> AgentGraph:
        """The agents of a plan, their servers connected or told as failed; `adopt` makes them the run's.

        Raises:
            OmnirtError: `agent_invalid`; `mcp_server_failed` for one that is required.
        """
        nodes = await apart(partial(resolve_graph, plan.spec, self._services.library, plan.place))
        graph = await self._build(plan, nodes)
        links = await self._connected(shared_servers(nodes.values()).values())
        self._add_tools(graph, nodes, links)
        return graph

    def adopt(self, graph: AgentGraph) -> None:
        """From here on these are the agents: servers that none of them names are closed."""
        self.graph = graph
        named = list(shared_servers(graph.nodes.values()).values())
        self._drop([link for link in self._links if not any(_serves(link, server) for server in named)])

    def warn(self) -> None:
        """Tell what the agents' instructions lack, each once."""
        for warning in self.graph.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self._talk.error(time.monotonic(), "agent_invalid", warning)

    def tool_names(self) -> frozenset[str]:
        """What the model may call now."""
        agent = self.graph.agents[self._talk.agent]
        handoffs = (getattr(handoff, "tool_name", None) for handoff in agent.handoffs)
        return frozenset([tool.name for tool in agent.tools] + [name for name in handoffs if name])

    async def close(self) -> None:
        """End all servers; once the provider's connection is closed, so that no tool is cut off by it."""
        self._drop(list(self._links))
        if self._closing:
            await asyncio.wait(set(self._closing))

    # -- building ----------------------------------------------------------------------------------------

    async def _build(self, plan: Plan, nodes: Mapping[str, Node]) -> AgentGraph:
        from omnirt.specs.build import build_graph

        build = partial(
            build_graph,
            plan.spec.name,
            nodes,
            variables=plan.variables,
            run_tool=self._run_tool,
            python=self._services.python,
            on_handoff=self._on_handoff,
        )
        # In a thread, as it imports what a spec names and calls what it says.
        return await apart(build)

    async def _connected(self, servers: Iterable[AnyServer]) -> dict[str, McpLink]:
        """The links of these servers by name, each ready or failed; new ones are begun all at once."""
        links: dict[str, McpLink] = {}
        new: list[McpLink] = []
        for server in servers:
            link = next((link for link in self._links if _serves(link, server)), None)
            if link is None:
                link = self._link(server)
                new.append(link)
            links[server.name] = link
        waits = [asyncio.ensure_future(link.settled()) for link in new]
        if waits:
            await asyncio.wait(waits)
        for link in links.values():
            if link.problem is not None and link.server.required:
                self._drop(new)
                raise OmnirtError("mcp_server_failed", link.problem, server=link.server.name)
        return links

    def _link(self, server: AnyServer) -> McpLink:
        from omnirt.sessions.mcp_link import McpLink

        secrets = server_secrets(server)
        self._services.learn_secrets(*secrets)
        told = partial(self._tell_status, server.name)
        link = McpLink(server, self._services.environ, told, lambda text: mask(text, secrets))
        self._links.append(link)
        return link

    def _drop(self, links: Iterable[McpLink]) -> None:
        for link in links:
            self._links.remove(link)
            task = asyncio.create_task(link.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _add_tools(self, graph: AgentGraph, nodes: Mapping[str, Node], links: Mapping[str, McpLink]) -> None:
        """Give each agent the tools of its servers, but none whose name it has already."""
        from omnirt.specs.build import function_tool

        for name, node in nodes.items():
            agent = graph.agents[name]
            taken = {tool.name for tool in agent.tools} | {edge.tool_name for edge in node.handoffs}
            for server in node.spec.mcp_servers:
                link = links[server.name]
                for tool in allowed(server, link.tools):
                    definition = define(server, tool, node.spec.mcp_config, link.call)
                    if definition.name in taken or len(taken) >= MAX_TOOLS:
                        self._tell_left_out(name, server.name, tool.name, clash=definition.name in taken)
                        continue
                    taken.add(definition.name)
                    agent.tools.append(function_tool(definition, node.spec, self._run_tool))

    # -- events ------------------------------------------------------------------------------------------

    def _tell_left_out(self, agent: str, server: str, tool: str, *, clash: bool) -> None:
        reason = (
            "as the agent has a function of this name; set `mcp_config: {include_server_in_tool_names: true}`"
            if clash
            else f"as a model takes {MAX_TOOLS} functions; name those you need in `allowed_tools`"
        )
        message = f"The tool `{tool}` of the MCP server {server} is left out of the agent {agent}, {reason}."
        self._talk.error(time.monotonic(), "agent_invalid", message)
        self._told()

    def _tell_status(self, server: str, status: McpStatus, **fields: Any) -> None:
        self._talk.emit(RealtimeMcpStatus, time.monotonic(), server=server, status=status, **fields)
        self._told()


def server_secrets(server: AnyServer) -> list[str]:
    """What must not be seen of a server's spec: its headers, and what its URL or variables hold."""
    if isinstance(server, StdioServer):
        return [value for name, value in server.env.items() if is_secret_name(name)]
    headers = [secret for value in server.headers.values() for secret in header_secrets(value)]
    return [*headers, *url_secrets(server.url)]


def _serves(link: McpLink, server: AnyServer) -> bool:
    """Whether a link is the one of this server, and works."""
    return link.problem is None and same_connection(link.server, server)
