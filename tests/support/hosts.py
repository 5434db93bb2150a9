"""Hosts that answer tool calls, for sessions without a daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from omnirt.protocol.calls import ToolCallParams, ToolCallResult
from omnirt.sessions.approvals import HostCaller


def answering(answer: Any | Callable[[ToolCallParams], Any]) -> HostCaller:
    """A host that gives this output to every call, or what the function makes of it, or raises."""

    async def call_host(method: str, params: Struct, timeout_s: float) -> Struct:
        assert method == "tool.call"
        assert isinstance(params, ToolCallParams)
        assert timeout_s > 0
        return ToolCallResult(output=answer(params) if callable(answer) else answer)

    return call_host
