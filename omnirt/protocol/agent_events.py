"""Notifications on what the agents do: tools, approvals, handoffs, guardrails, MCP servers."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from omnirt.protocol.types import ErrorInfo, Event


class RealtimeToolStart(Event):
    """A tool runs; `arguments` is an object when they parse, else the string."""

    METHOD = "realtime.toolStart"
    SOURCE = "response.output_item.done of type function_call"

    tool_call_id: str
    tool_name: str
    arguments: Any
    agent: str


class RealtimeToolEnd(Event):
    """A tool ended; `output` is what the model was told."""

    METHOD = "realtime.toolEnd"
    SOURCE = "the tool's return, error or timeout"

    tool_call_id: str
    tool_name: str
    arguments: Any
    output: Any
    status: Literal["completed", "failed", "rejected", "timedOut"]
    duration_ms: int
    error: ErrorInfo | UnsetType = UNSET


class RealtimeAgentStart(Event):
    """An agent began to answer."""

    METHOD = "realtime.agentStart"
    SOURCE = "response.created"

    agent: str


class RealtimeAgentEnd(Event):
    """The agent's answer ended."""

    METHOD = "realtime.agentEnd"
    SOURCE = "response.done"

    agent: str


class RealtimeHandoff(Event):
    """The conversation went from one agent to another."""

    METHOD = "realtime.handoff"
    SOURCE = "a transfer_to_… function call"

    from_agent: str
    to_agent: str


class RealtimeToolApprovalResolved(Event):
    """It was decided whether a tool may run; `by` says who decided."""

    METHOD = "realtime.toolApprovalResolved"
    SOURCE = "the reply to `tool.approve`, its timeout, or the spec's `approval_policy`"

    tool_call_id: str
    decision: Literal["approve", "reject"]
    by: Literal["host", "policy", "timeout"]


class RealtimeGuardrailTripped(Event):
    """An answer broke output guardrails: its unheard rest is not played, another follows."""

    METHOD = "realtime.guardrailTripped"
    SOURCE = "the transcript or text of a response, checked as it grows and when it is complete"

    guardrails: list[str]
    message: str


McpStatus: TypeAlias = Literal["starting", "ready", "failed", "closed"]


class RealtimeMcpStatus(Event):
    """A server of tools is starting, ready, failed (`error` says why) or closed."""

    METHOD = "realtime.mcpStatus"
    SOURCE = "the connection to an MCP server of the spec"

    server: str
    status: McpStatus
    tools: list[str] | UnsetType = UNSET
    error: ErrorInfo | UnsetType = UNSET
