"""Runs the tools of a session: one `toolStart` and one `toolEnd` each, and words for the model always."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Literal

from msgspec import UNSET

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolCallParams, ToolCallResult
from omnirt.protocol.pending import CallFailed
from omnirt.protocol.types import ErrorInfo
from omnirt.sessions.approvals import GRACE_S, Approvals, HostCaller, Verdict
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.faults import called_off
from omnirt.sessions.items import MAX_ARGUMENTS_CHARS, parse_arguments
from omnirt.sessions.reading import is_writable_json, writable
from omnirt.sessions.tool_outputs import bounded
from omnirt.specs.tools import ToolFailedError, ToolRequest, check_arguments

log = logging.getLogger(__name__)

MAX_MESSAGE_CHARS: Final = 4096
"""Of a tool's own error."""

Status = Literal["completed", "failed", "rejected", "timedOut"]


_REASONS: dict[CallFailed.Reason, str] = {
    "timeout": "timed_out",
    "host_gone": "session_state",
    "overloaded": "overloaded",
}
"""What is not here is the fault of the host's own tool."""
_ENDED: Final = ErrorInfo(kind="cancelled", message="The session ended before the tool did.")


@dataclass(eq=False)
class _Use:
    """A tool that runs, or waits for an approval (`asked`); two with one call id are two."""

    tool_call_id: str
    tool_name: str
    arguments: Any
    agent: str
    started: float | None = None
    asked: bool = False


class ToolRunner:
    """Runs tool calls of one session; several at once.

    Args:
        talk: Of the session; its outputs get the events.
        told: Called after events were put into them.
        call_host: Asks the host, if there is one.
        approvals: Decide whether a tool may run.
    """

    def __init__(
        self,
        talk: Conversation,
        told: Callable[[], None],
        call_host: HostCaller | None,
        approvals: Approvals,
    ) -> None:
        self._talk = talk
        self._told = told
        self._call_host = call_host
        self._approvals = approvals
        self._open: dict[_Use, None] = {}

    def end_all(self) -> None:
        """End what still runs: a tool may swallow its cancellation and go on for as long as it likes."""
        for use in list(self._open):
            self._end(use, *_ended(use))

    async def run(self, request: ToolRequest) -> str:
        """Run one call; never raises but when it is cancelled. Returns what the model is told."""
        use = self._opened(request.tool_call_id, request.tool_name, request.arguments_json, request.agent)
        output: Any = None
        status: Status = "failed"
        error: ErrorInfo | None = None
        try:
            arguments = await _fitting(request)
            verdict = await self._verdict(use, request, arguments)
            if verdict.decision == "reject":
                output, status = verdict.words(request.tool_name), "rejected"
                return bounded(output)[1]
            self._begin(use)
            output, told = bounded(await self._guarded(request, arguments))
            status = "completed"
            return told
        except (OmnirtError, CallFailed, ToolFailedError) as problem:
            error = self._error(problem)
            status = "timedOut" if error.kind == "timed_out" else "failed"
            output = _words(request, error)
            return writable(output)
        except asyncio.CancelledError:
            output, status, error = _ended(use)
            raise
        finally:
            self._end(use, output, status, error)

    def refused(
        self, tool_call_id: str, name: str, arguments_json: str, known: Collection[str]
    ) -> str | None:
        """What the model is told of a call that the SDK must not get, so that it goes on talking.

        None for a call that may run. Arguments that cannot be written again end the SDK's session.
        """
        if name not in known:
            kind, told = "not_found", f"There is no tool named {name}. Answer without it."
            message = f"The model called a tool that the agent does not have: {name}."
        elif len(arguments_json) > MAX_ARGUMENTS_CHARS:
            kind = "invalid_params"
            message = f"The arguments are longer than {MAX_ARGUMENTS_CHARS >> 20} MiB."
            told = f"The tool {name} failed: {message} Call it with less."
        elif not is_writable_json(arguments_json):
            kind, message = "invalid_params", "The arguments are nested too deeply, or are not Unicode."
            told = f"The tool {name} failed: {message}"
        else:
            return None
        use = self._opened(tool_call_id, name, arguments_json, self._talk.agent)
        self._end(use, told, "failed", ErrorInfo(kind=kind, message=message))
        return told

    # -- one use -----------------------------------------------------------------------------------------

    async def _verdict(self, use: _Use, request: ToolRequest, arguments: dict[str, Any]) -> Verdict:
        """What was decided; told when somebody had to."""
        if not await _needs_approval(request, arguments):
            return Verdict("approve", "policy")
        use.asked = True
        verdict = await self._approvals.decide(request, arguments)
        self._resolved(use, verdict)
        return verdict

    async def _guarded(self, request: ToolRequest, arguments: dict[str, Any]) -> Any:
        """The output. Whatever breaks in a tool is an error with a kind here.

        Anything else would end the SDK's session, and a `CancelledError` of the tool's own leave it silent.
        """
        try:
            return await self._call(request, arguments)
        except (OmnirtError, CallFailed, ToolFailedError):
            raise
        except TimeoutError:
            raise OmnirtError("timed_out", "The tool did not answer.") from None
        except asyncio.CancelledError:
            if called_off():
                raise
            raise OmnirtError("internal", "The tool was called off.") from None
        except Exception as problem:  # noqa: BLE001 - see above
            log.error("the tool %s broke: %s", request.tool_name, type(problem).__name__)
            raise OmnirtError("internal", f"The tool broke ({type(problem).__name__}).") from None

    async def _call(self, request: ToolRequest, arguments: dict[str, Any]) -> Any:
        if request.invoke is not None:
            async with asyncio.timeout(request.timeout_s):
                return await request.invoke(arguments)
        if self._call_host is None:
            raise OmnirtError("session_state", "No host answers tool calls.")
        params = ToolCallParams(
            session_id=self._talk.run.session_id,
            run_id=self._talk.run.run_id,
            tool_call_id=request.tool_call_id,
            tool_name=request.tool_name,
            arguments=arguments,
            agent=request.agent,
            timeout_ms=round(request.timeout_s * 1000),
        )
        # The host's caller keeps the limit itself; a plain function of a program's own may not.
        async with asyncio.timeout(request.timeout_s + GRACE_S):
            answer = await self._call_host("tool.call", params, request.timeout_s)
        assert isinstance(answer, ToolCallResult), "the caller decodes what CALLS names"
        return answer.output

    def _error(self, problem: OmnirtError | CallFailed | ToolFailedError) -> ErrorInfo:
        match problem:
            case OmnirtError():
                return ErrorInfo(kind=problem.kind, message=problem.message)
            case CallFailed():
                kind = _REASONS.get(problem.reason, "tool_failed")
                code = UNSET if problem.code is None else str(problem.code)
                return ErrorInfo(kind=kind, message=problem.message, code=code)
            case ToolFailedError():
                message = writable(self._talk.mask(problem.message[:MAX_MESSAGE_CHARS]))
                code = UNSET if problem.code is None else problem.code
                return ErrorInfo(kind="tool_failed", message=message, code=code)

    # -- events ------------------------------------------------------------------------------------------

    def _opened(self, call_id: str, name: str, arguments_json: str, agent: str) -> _Use:
        use = _Use(call_id, name, parse_arguments(arguments_json), agent)
        self._open[use] = None
        return use

    def _resolved(self, use: _Use, verdict: Verdict) -> None:
        if not use.asked:
            return  # the end of the session came first
        use.asked = False
        self._talk.emit(
            ev.RealtimeToolApprovalResolved,
            time.monotonic(),
            tool_call_id=use.tool_call_id,
            decision=verdict.decision,
            by=verdict.by,
        )
        self._told()

    def _begin(self, use: _Use) -> float:
        """Tell the start, once."""
        if use.started is not None:
            return use.started
        use.started = time.monotonic()
        self._talk.emit(
            ev.RealtimeToolStart,
            use.started,
            tool_call_id=use.tool_call_id,
            tool_name=use.tool_name,
            arguments=use.arguments,
            agent=use.agent,
        )
        self._talk.sync_state(use.started)
        self._told()
        return use.started

    def _end(self, use: _Use, output: Any, status: Status, error: ErrorInfo | None) -> None:
        """Tell the end, once, and what has to come before it."""
        if use not in self._open:
            return
        del self._open[use]
        if status != "completed":
            self._talk.tool_turns.failed()
        self._resolved(use, Verdict("reject", "policy"))
        started = self._begin(use)
        now = time.monotonic()
        self._talk.emit(
            ev.RealtimeToolEnd,
            now,
            tool_call_id=use.tool_call_id,
            tool_name=use.tool_name,
            arguments=use.arguments,
            output=output,
            status=status,
            duration_ms=round((now - started) * 1000),
            error=UNSET if error is None else error,
        )
        self._told()


def _ended(use: _Use) -> tuple[str, Status, ErrorInfo | None]:
    """Output, status and error of a use that the end of the session cut off."""
    # A rejection is no error: PROTOCOL section 5.
    return (_ENDED.message, "rejected", None) if use.asked else (_ENDED.message, "failed", _ENDED)


async def _fitting(request: ToolRequest) -> dict[str, Any]:
    """The arguments, if they fit."""
    arguments, problem = await asyncio.to_thread(check_arguments, request.parameters, request.arguments_json)
    if arguments is None:
        raise OmnirtError("invalid_params", problem or "The arguments do not fit.")
    return arguments


async def _needs_approval(request: ToolRequest, arguments: dict[str, Any]) -> bool:
    """Whether this use has to be approved; in doubt it has."""
    if isinstance(request.needs_approval, bool):
        return request.needs_approval
    try:
        async with asyncio.timeout(request.timeout_s):
            return await request.needs_approval(arguments)
    except Exception as problem:  # noqa: BLE001 - the code of a spec
        log.warning("whether %s needs approval: %s", request.tool_name, type(problem).__name__)
        return True


def _words(request: ToolRequest, problem: ErrorInfo) -> str:
    if problem.kind == "timed_out":
        return f"The tool {request.tool_name} did not answer within {request.timeout_s:g} s."
    return f"The tool {request.tool_name} failed: {problem.message}"
