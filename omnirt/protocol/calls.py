"""CALLS: what the daemon asks of the host, with the shapes of params and results."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from msgspec import Struct


class ToolCallParams(Struct, rename="camel", kw_only=True):
    """`tool.call`: run a tool of the host's within `timeoutMs`."""

    session_id: str
    run_id: str
    tool_call_id: str
    tool_name: str
    arguments: dict[str, Any]
    agent: str
    timeout_ms: int


class ToolCallResult(Struct, rename="camel", kw_only=True):
    """`tool.call`: any JSON value; a string is told to the model as it stands."""

    output: Any


class ToolApproveParams(Struct, rename="camel", kw_only=True):
    """`tool.approve`: may this tool run with these arguments?"""

    session_id: str
    run_id: str
    tool_call_id: str
    tool_name: str
    arguments: Any
    agent: str
    timeout_ms: int


class ToolApproveResult(Struct, rename="camel", kw_only=True):
    """`tool.approve`: `always` is for this tool until the session ends; `message` tells the model why not."""

    decision: Literal["approve", "reject"]
    always: bool | None = False
    message: str | None = None


class CallSpec(NamedTuple):
    """One row of CALLS; `capability` is the member of `capabilities` by which a host says that it answers."""

    params: type[Struct]
    result: type[Struct]
    capability: str
    doc: str


CALLS: dict[str, CallSpec] = {
    "tool.call": CallSpec(
        ToolCallParams,
        ToolCallResult,
        "tools",
        "Runs a host tool; an error reply is told to the model in words.",
    ),
    "tool.approve": CallSpec(
        ToolApproveParams,
        ToolApproveResult,
        "approvals",
        "Asks whether a tool may run; an error reply, or none in time, is a no.",
    ),
}
