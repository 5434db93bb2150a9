"""Runs the tools of a session: one `toolStart` and one `toolEnd` each, and words for the model always."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from msgspec import UNSET, Struct

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolCallParams, ToolCallResult
from omnirt.protocol.pending import CallFailed
from omnirt.protocol.types import ErrorInfo
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.items import parse_arguments
from omnirt.sessions.reading import is_writable_json
from omnirt.specs.tools import ToolRequest, check_arguments

log = logging.getLogger(__name__)

GRACE_S = 0.5
"""Beyond a tool's own limit, so that whoever keeps it ends the call in its own way."""

Status = Literal["completed", "failed", "rejected", "timedOut"]


_REASONS: dict[CallFailed.Reason, str] = {
    "timeout": "timed_out",
    "host_gone": "session_state",
    "overloaded": "overloaded",
}
"""What is not here is the fault of the host's own tool."""


class HostCaller(Protocol):
    """Asks the host: `await call_host("tool.call", params, timeout_s)` gives the struct of its result.

    Raises CallFailed: no result; its `reason` says why.
    """

    def __call__(self, method: str, params: Struct, timeout_s: float) -> Awaitable[Struct]: ...


@dataclass(eq=False)
class _Use:
    """A tool that runs; two with one call id are two."""

    tool_call_id: str
    tool_name: str
    arguments: Any
    started: float


class ToolRunner:
    """Runs tool calls of one session; several at once."""

    def __init__(self, talk: Conversation, told: Callable[[], None], call_host: HostCaller | None) -> None:
        """`told` is called after events were put into the conversation's outputs."""
        self._talk = talk
        self._told = told
        self._call_host = call_host
        self._open: dict[_Use, None] = {}

    def end_all(self) -> None:
        """End what still runs: a tool may swallow its cancellation and go on for as long as it likes."""
        error = ErrorInfo(kind="cancelled", message="The session ended before the tool did.")
        for use in list(self._open):
            self._end(use, error.message, "failed", error)

    async def run(self, request: ToolRequest) -> str:
        """Run one call; never raises but when it is cancelled. Returns what the model is told."""
        use = self._start(request.tool_call_id, request.tool_name, request.arguments_json, request.agent)
        output: Any = UNSET
        status: Status = "failed"
        error: ErrorInfo | None = None
        try:
            output, told = await self._guarded(request)
            status = "completed"
        except OmnirtError as problem:
            status = "timedOut" if problem.kind == "timed_out" else "failed"
            error = ErrorInfo(kind=problem.kind, message=problem.message)
            output = told = self._words(request, problem)
        except CallFailed as failed:
            error = _failure(failed)
            status = "timedOut" if error.kind == "timed_out" else "failed"
            output = told = self._words(request, error)
        except asyncio.CancelledError:
            error = ErrorInfo(kind="cancelled", message="The session ended before the tool did.")
            output = error.message
            raise
        finally:
            self._end(use, output, status, error)
        return told

    async def _guarded(self, request: ToolRequest) -> tuple[Any, str]:
        """The output, and as the model is told it. Whatever breaks in a tool is an `OmnirtError` here.

        Anything else would end the SDK's session, and a `CancelledError` of the tool's own leave it silent.
        """
        try:
            output = await self._call(request)
            return output, output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        except (OmnirtError, CallFailed):
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise OmnirtError("internal", "The tool was called off.") from None
        except Exception as problem:  # noqa: BLE001 - see above
            log.error("the tool %s broke: %s", request.tool_name, type(problem).__name__)
            raise OmnirtError("internal", f"The tool broke ({type(problem).__name__}).") from None

    def refused(
        self, tool_call_id: str, name: str, arguments_json: str, known: Collection[str]
    ) -> str | None:
        """What the model is told of a call that the SDK must not get, so that it goes on talking.

        None for a call that may run. Arguments that cannot be written again end the SDK's session.
        """
        if name not in known:
            kind, told = "not_found", f"There is no tool named {name}. Answer without it."
            message = f"The model called a tool that the agent does not have: {name}."
        elif not is_writable_json(arguments_json):
            kind, message = "invalid_params", "The arguments are nested too deeply, or are not Unicode."
            told = f"The tool {name} failed: {message}"
        else:
            return None
        use = self._start(tool_call_id, name, arguments_json, self._talk.agent)
        self._end(use, told, "failed", ErrorInfo(kind=kind, message=message))
        return told

    async def _call(self, request: ToolRequest) -> Any:
        arguments, problem = check_arguments(request.parameters, request.arguments_json)
        if problem is not None or arguments is None:
            raise OmnirtError("invalid_params", f"The arguments do not fit the tool: {problem}")
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
        try:
            # The host's caller keeps the limit itself; a plain function of a program's own may not.
            async with asyncio.timeout(request.timeout_s + GRACE_S):
                answer = await self._call_host("tool.call", params, request.timeout_s)
        except TimeoutError:
            raise OmnirtError("timed_out", "The tool did not answer.") from None
        assert isinstance(answer, ToolCallResult), "the caller decodes what CALLS names"
        return answer.output

    @staticmethod
    def _words(request: ToolRequest, problem: OmnirtError | ErrorInfo) -> str:
        if problem.kind == "timed_out":
            return f"The tool {request.tool_name} did not answer within {request.timeout_s:g} s."
        return f"The tool {request.tool_name} failed: {problem.message}"

    def _start(self, call_id: str, name: str, arguments_json: str, agent: str) -> _Use:
        use = _Use(call_id, name, parse_arguments(arguments_json), time.monotonic())
        self._open[use] = None
        self._talk.emit(
            ev.RealtimeToolStart,
            use.started,
            tool_call_id=call_id,
            tool_name=name,
            arguments=use.arguments,
            agent=agent,
        )
        self._talk.sync_state(use.started)
        self._told()
        return use

    def _end(self, use: _Use, output: Any, status: Status, error: ErrorInfo | None) -> None:
        if use not in self._open:
            return
        del self._open[use]
        now = time.monotonic()
        self._talk.emit(
            ev.RealtimeToolEnd,
            now,
            tool_call_id=use.tool_call_id,
            tool_name=use.tool_name,
            arguments=use.arguments,
            output=None if output is UNSET else output,
            status=status,
            duration_ms=round((now - use.started) * 1000),
            error=UNSET if error is None else error,
        )
        self._told()


def _failure(failed: CallFailed) -> ErrorInfo:
    return ErrorInfo(
        kind=_REASONS.get(failed.reason, "tool_failed"),
        message=failed.message,
        code=UNSET if failed.code is None else str(failed.code),
    )
