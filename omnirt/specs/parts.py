"""What an agent spec is made of: tools, MCP servers, output guardrails, as a document declares them."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta, Struct, field

TOOL_TIMEOUT_S: Final = 30.0
MAX_TOOL_TIMEOUT_S: Final = 3600.0
MCP_CONNECT_S: Final = 10.0
MCP_CALL_S: Final = 30.0

# The provider's own rule for function names; `(?![\s\S])` is the true end of the string.
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}(?![\s\S])")]
ServerName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?![\s\S])")]
Runner = Annotated[
    str,
    Meta(
        pattern=r"^(host|python:[A-Za-z_][\w.]*:[A-Za-z_][\w.]*)(?![\s\S])",
        description="`host`, or a Python object: `python:package.module:name`",
    ),
]
ObjectPath = Annotated[
    str,
    Meta(
        pattern=r"^python:[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?![\s\S])",
        description="A Python object: `python:package.module:name`",
    ),
]
Seconds = Annotated[float, Meta(gt=0, le=MAX_TOOL_TIMEOUT_S)]


class Tool(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A tool of an agent.

    Args:
        run: `host`: each use is a `tool.call`. `python:package.module:name`: a function, or a FunctionTool of
            the Agents SDK, in the daemon's process.
        name: What the model calls it by; a Python tool has its function's name by default.
        description: Tells the model when to use it; by default the function's docstring.
        parameters: JSON Schema of the arguments, an object; by default from the function's signature.
        timeout_s: How long one use may take, in seconds.
        needs_approval: Whether the host is asked before each use (`tool.approve`).
    """

    run: Runner
    name: ToolName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    timeout_s: Seconds = TOOL_TIMEOUT_S
    needs_approval: bool = False

    @property
    def on_host(self) -> bool:
        """Whether the host carries it out."""
        return self.run == "host"


class McpServer(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """A server of tools that speaks the Model Context Protocol.

    Args:
        name: How it is called in `realtime.mcpStatus` and in errors.
        allowed_tools: The only tools that the model sees; all when absent.
        denied_tools: Tools that the model never sees.
        needs_approval: Whether the host is asked before each use of a tool; a list names the tools.
        required: Whether the session fails to start without it.
        connect_timeout_s: How long it may take to be ready, in seconds.
        timeout_s: How long one use may take, in seconds.
    """

    name: ServerName
    allowed_tools: list[str] | None = None
    denied_tools: list[str] = field(default_factory=list)
    needs_approval: bool | list[str] = False
    required: bool = False
    connect_timeout_s: Seconds = MCP_CONNECT_S
    timeout_s: Seconds = MCP_CALL_S


class StdioServer(McpServer, tag="stdio", forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A server that is a child process.

    Args:
        command: The program, found on PATH.
        args: Its arguments.
        env: Variables added to the daemon's own, without the keys of providers.
        cwd: Where it runs; by default the daemon's working directory.
    """

    command: Annotated[str, Meta(min_length=1)]
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None


class HttpServer(McpServer, tag="http", forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A server behind a URL, over streamable HTTP.

    Args:
        url: Where it is.
        headers: Sent with every request.
    """

    url: Annotated[str, Meta(pattern=r"^https?://")]
    headers: dict[str, str] = field(default_factory=dict)


class SseServer(McpServer, tag="sse", forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A server behind a URL, over server-sent events.

    Args:
        url: Where it is.
        headers: Sent with every request.
    """

    url: Annotated[str, Meta(pattern=r"^https?://")]
    headers: dict[str, str] = field(default_factory=dict)


AnyServer: TypeAlias = StdioServer | HttpServer | SseServer


class McpConfig(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How the tools of all servers are shown to the model.

    Args:
        include_server_in_tool_names: Whether names begin with the server's, so that none clash.
        convert_schemas_to_strict: Whether the schemas of arguments are made strict where they can be.
    """

    include_server_in_tool_names: bool = False
    convert_schemas_to_strict: bool = False


class Guardrail(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What an answer must not say.

    Args:
        name: How it is called in `realtime.guardrailTripped`.
        deny: Regular expressions (Python's), searched in the text of the answer.
    """

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    deny: Annotated[list[str], Meta(min_length=1)]
