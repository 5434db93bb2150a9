"""Whether a tool may run: the host is asked, or the agent's policy decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from omnirt.protocol.calls import ToolApproveParams, ToolApproveResult
from omnirt.protocol.pending import CallFailed
from omnirt.sessions.faults import called_off
from omnirt.sessions.outputs import Run
from omnirt.specs.tools import ToolRequest

log = logging.getLogger(__name__)

APPROVAL_S: Final = 60.0
"""No answer in this time is a rejection (PROTOCOL section 5)."""
GRACE_S: Final = 0.5
"""Beyond a call's own limit, so that whoever keeps it ends the call in its own way."""


class HostCaller(Protocol):
    """Asks the host: `await call_host("tool.call", params, timeout_s)` gives the struct of its result.

    Raises CallFailed: no result; its `reason` says why.
    """

    def __call__(self, method: str, params: Struct, timeout_s: float) -> Awaitable[Struct]: ...


@dataclass(frozen=True)
class Verdict:
    """What was decided, by whom, and what the host has to say about it."""

    decision: Literal["approve", "reject"]
    by: Literal["host", "policy", "timeout"]
    message: str | None = None

    def words(self, tool_name: str) -> str:
        """What the model is told of a rejection."""
        if self.message:
            return f"The tool {tool_name} was not approved and did not run: {self.message}"
        if self.by == "timeout":
            return f"Nobody approved the tool {tool_name} in time, and it did not run."
        return f"The tool {tool_name} was not approved and did not run. Go on without it."


class Approvals:
    """Decides for the tools of one session, and remembers what the host decided for always.

    Args:
        run: Which session asks.
        call_host: Asks the host, if there is one.
        answers: Whether the host said that it answers `tool.approve`.
        timeout_s: How long it may take.
    """

    def __init__(
        self,
        run: Run,
        call_host: HostCaller | None,
        answers: Callable[[], bool],
        timeout_s: float = APPROVAL_S,
    ) -> None:
        self._run = run
        self._call_host = call_host
        self._answers = answers
        self._timeout_s = timeout_s
        # By where it is carried out, too: two agents may have different tools of one name.
        self._always: dict[tuple[str, str], Verdict] = {}

    async def decide(self, request: ToolRequest, arguments: dict[str, Any]) -> Verdict:
        """The verdict on one use; never raises but when it is cancelled."""
        tool = (request.source, request.tool_name)
        if tool in self._always:
            return self._always[tool]
        if self._call_host is None or not self._answers():
            return Verdict(request.approval_policy, "policy")
        try:
            answer = await self._ask(self._call_host, request, arguments)
        except TimeoutError:
            return Verdict("reject", "timeout")
        except CallFailed as failed:
            return _unanswered(failed)
        except asyncio.CancelledError:
            if called_off():
                raise
            return Verdict("reject", "policy")
        except Exception as problem:  # noqa: BLE001 - a program's own function; no answer is a no
            log.error("asking for an approval failed: %s", type(problem).__name__)
            return Verdict("reject", "policy")
        verdict = Verdict(answer.decision, "host", answer.message)
        if answer.always:
            self._always[tool] = verdict
        return verdict

    async def _ask(
        self, call_host: HostCaller, request: ToolRequest, arguments: dict[str, Any]
    ) -> ToolApproveResult:
        params = ToolApproveParams(
            session_id=self._run.session_id,
            run_id=self._run.run_id,
            tool_call_id=request.tool_call_id,
            tool_name=request.tool_name,
            arguments=arguments,
            agent=request.agent,
            timeout_ms=round(self._timeout_s * 1000),
        )
        async with asyncio.timeout(self._timeout_s + GRACE_S):
            answer = await call_host("tool.approve", params, self._timeout_s)
        assert isinstance(answer, ToolApproveResult), "the caller decodes what CALLS names"
        return answer


def _unanswered(failed: CallFailed) -> Verdict:
    match failed.reason:
        case "timeout":
            return Verdict("reject", "timeout")
        case "host_gone" | "overloaded":
            return Verdict("reject", "policy")
        case "error" | "invalid":
            return Verdict("reject", "host", failed.message if failed.reason == "error" else None)
