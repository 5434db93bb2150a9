"""MCP servers of agents: which agents share one, and its tools as an agent has them."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from omnirt.errors import OmnirtError
from omnirt.specs.parts import MCP_CALL_S, AnyServer, McpConfig
from omnirt.specs.problems import Place
from omnirt.specs.schemas import check_parameters
from omnirt.specs.tools import InvokeIn, ToolDefinition

if TYPE_CHECKING:
    from agents.tool_context import ToolContext

    from omnirt.specs.graph import Node

MAX_SERVERS: Final = 32
"""Of one session, all its agents together."""
MAX_NAME: Final = 64
"""The provider's limit for names of functions."""

CallTool: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Calls a tool of one server by the name that the server gives it."""


class ServerTool(Struct, frozen=True):
    """A tool as its server describes it."""

    name: str
    description: str
    schema: dict[str, Any]


def shared_servers(nodes: Iterable[Node]) -> dict[str, AnyServer]:
    """The servers of a graph by name. Agents that name the same one share its connection.

    What an agent makes of a server (which tools, which approvals, how long a use may take) is its own affair.

    Raises:
        OmnirtError: `agent_invalid`: two servers of one name are not the same, or one agent has it twice.
    """
    servers: dict[str, AnyServer] = {}
    for node in nodes:
        own: set[str] = set()
        for index, server in enumerate(node.spec.mcp_servers):
            here = node.place.at("mcp_servers", index)
            if server.name in own:
                raise here.at("name").problem(f"The agent has two servers named `{server.name}`")
            own.add(server.name)
            if len(servers) >= MAX_SERVERS:
                raise here.problem(f"More than {MAX_SERVERS} servers")
            known = servers.setdefault(server.name, server)
            if not same_connection(known, server):
                raise here.problem(f"Another agent has a different server named `{server.name}`; rename one")
            servers[server.name] = replace(
                known,
                allowed_tools=(
                    None
                    if known.allowed_tools is None or server.allowed_tools is None
                    else [*known.allowed_tools, *server.allowed_tools]
                ),
                denied_tools=[name for name in known.denied_tools if name in server.denied_tools],
                required=known.required or server.required,
                connect_timeout_s=max(known.connect_timeout_s, server.connect_timeout_s),
                timeout_s=max(known.timeout_s, server.timeout_s),
            )
    return servers


def same_connection(one: AnyServer, other: AnyServer) -> bool:
    """Whether one connection will do for both."""
    return _connection(one) == _connection(other)


def _connection(server: AnyServer) -> AnyServer:
    return replace(
        server,
        allowed_tools=None,
        denied_tools=[],
        needs_approval=False,
        required=False,
        connect_timeout_s=MCP_CALL_S,
        timeout_s=MCP_CALL_S,
    )


def allowed(server: AnyServer, tools: Iterable[ServerTool]) -> list[ServerTool]:
    """The tools that an agent may use."""
    chosen = server.allowed_tools
    return [
        tool
        for tool in tools
        if (chosen is None or tool.name in chosen) and tool.name not in server.denied_tools
    ]


def define(server: AnyServer, tool: ServerTool, config: McpConfig, call: CallTool) -> ToolDefinition:
    """A tool of a server as an agent has it.

    Args:
        server: As the agent declares it.
        tool: As the server describes it.
        config: How the agent wants tools to be shown.
        call: Calls a tool of this server.
    """
    schema = {**copy.deepcopy(tool.schema), "type": "object"}
    schema.setdefault("properties", {})
    needs = server.needs_approval
    return ToolDefinition(
        name=public_name(server.name, tool.name, config),
        description=tool.description,
        shown=_strict(schema) if config.convert_schemas_to_strict else schema,
        checked=_checkable(schema),
        timeout_s=server.timeout_s,
        source=f"mcp:{server.name}",
        invoke=_invoker(call, tool.name),
        needs_approval=needs if isinstance(needs, bool) else tool.name in needs,
    )


def public_name(server: str, tool: str, config: McpConfig) -> str:
    """What the model calls a tool by: a name that the provider takes, with the server's if asked for."""
    wanted = f"mcp_{server}__{tool}" if config.include_server_in_tool_names else tool
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", wanted)
    if len(name) <= MAX_NAME:
        return name or "tool"
    mark = hashlib.sha256(wanted.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - len(mark) - 1]}_{mark}"


def _invoker(call: CallTool, name: str) -> InvokeIn:
    async def invoke(_context: ToolContext[Any], arguments: dict[str, Any]) -> Any:
        return await call(name, arguments)

    return invoke


def _checkable(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema if we can check arguments by it; else the server does it alone."""
    try:
        check_parameters(schema, Place())
    except OmnirtError:
        return None
    return schema


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    from agents.strict_schema import ensure_strict_json_schema

    try:
        return ensure_strict_json_schema(copy.deepcopy(schema))
    except Exception:  # noqa: BLE001 - it can't be made strict: then it stays as it is
        return schema
