"""What a use of a tool is, and whether its arguments fit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from omnirt.specs.parts import Tool
from omnirt.specs.schemas import SlowSchemaError, worst_problem

if TYPE_CHECKING:
    from agents.tool_context import ToolContext

    from omnirt.specs.spec import AgentSpec

Invoke: TypeAlias = Callable[[dict[str, Any]], Awaitable[Any]]
"""Carries a tool out with arguments that fit, and returns its output."""
InvokeIn: TypeAlias = Callable[["ToolContext[Any]", dict[str, Any]], Awaitable[Any]]
"""The same, with the SDK's context of the call."""
NeedsApproval: TypeAlias = Callable[[dict[str, Any]], Awaitable[bool]]
"""Whether these arguments need approval."""


class ToolFailedError(Exception):
    """A tool's own error.

    Args:
        message: In its words, for the host and the model.
        code: Its error code, or the name of its exception.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class ToolRequest(Struct, frozen=True, kw_only=True):
    """One use of a tool by the model.

    Args:
        tool_call_id: The provider's id of the call.
        tool_name: The tool.
        arguments_json: What the model wrote, unchecked; see `check_arguments`.
        agent: Name of the agent that calls.
        timeout_s: How long the tool has.
        parameters: JSON Schema of the arguments; None leaves it to the tool to check them.
        source: Who carries it out: `host`, `python:…`, or `mcp:` and the name of the server.
        invoke: Carries it out; None means the host.
        needs_approval: Whether the host is asked before it runs.
        approval_policy: What is decided when the host can't be asked.
    """

    tool_call_id: str
    tool_name: str
    arguments_json: str
    agent: str
    timeout_s: float
    parameters: dict[str, Any] | None
    source: str = "host"
    invoke: Invoke | None = None
    needs_approval: bool | NeedsApproval = False
    approval_policy: Literal["reject", "approve"] = "reject"


class ToolDefinition(Struct, frozen=True, kw_only=True):
    """A tool that an agent has.

    Args:
        name: What the model calls it by.
        description: Tells the model when to use it.
        shown: JSON Schema of the arguments, as the model sees it.
        checked: The schema that the arguments of each use must fit; None leaves it to the tool.
        timeout_s: How long one use may take.
        source: As in a `ToolRequest`.
        invoke: Carries it out; None means the host.
        needs_approval: Whether the host is asked before each use.
    """

    name: str
    description: str
    shown: dict[str, Any]
    checked: dict[str, Any] | None
    timeout_s: float
    source: str = "host"
    invoke: InvokeIn | None = None
    needs_approval: bool | Callable[[ToolContext[Any], dict[str, Any]], Awaitable[bool]] = False

    def request(self, context: ToolContext[Any], arguments_json: str, spec: AgentSpec) -> ToolRequest:
        """One use of it by an agent."""
        invoke, approval = self.invoke, self.needs_approval
        return ToolRequest(
            tool_call_id=context.tool_call_id,
            tool_name=self.name,
            arguments_json=arguments_json,
            agent=spec.name,
            timeout_s=self.timeout_s,
            parameters=self.checked,
            source=self.source,
            invoke=None if invoke is None else lambda arguments: invoke(context, arguments),
            needs_approval=(
                approval if isinstance(approval, bool) else lambda arguments: approval(context, arguments)
            ),
            approval_policy=spec.approval_policy,
        )


RunTool: TypeAlias = Callable[[ToolRequest], Awaitable[str]]
"""Carries a tool call out and returns what the model is told. Never raises."""


def host_tool(tool: Tool) -> ToolDefinition:
    """A tool that the host carries out."""
    assert tool.name is not None, "specs.spec refuses a host tool without a name"
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return ToolDefinition(
        name=tool.name,
        description=tool.description or "",
        shown=parameters,
        checked=parameters,
        timeout_s=tool.timeout_s,
        needs_approval=tool.needs_approval,
    )


def check_arguments(
    schema: dict[str, Any] | None, arguments_json: str
) -> tuple[dict[str, Any] | None, str | None]:
    """The arguments of a call as an object, or what is wrong with them in words for the model.

    Blocks for `schemas.CHECK_S` at most, so not for the event loop.

    Args:
        schema: The tool's parameters, checked before; None means any object.
        arguments_json: What the model wrote. Empty means no arguments, as models do write it.
    """
    try:
        arguments = msgspec.json.decode(arguments_json) if arguments_json.strip() else {}
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None, "The arguments are not valid JSON."
    if not isinstance(arguments, dict):
        return None, "The arguments are not a JSON object."
    if schema is None:
        return arguments, None
    try:
        problem = worst_problem(schema, arguments)
    except SlowSchemaError:
        return None, "The tool's own schema takes too long to check these arguments by."
    except Exception:  # noqa: BLE001 - that of a Python tool was not checked at load, and can be anything
        return None, "The tool's own schema of arguments is broken."
    return (arguments, None) if problem is None else (None, f"The arguments do not fit at {problem}")
