"""Tools that need approval: who decides, what is told, and that a rejected call starts and ends too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Struct
from msgspec.structs import replace

from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolApproveParams, ToolApproveResult, ToolCallParams, ToolCallResult
from omnirt.protocol.pending import CallFailed
from omnirt.sessions.approvals import Approvals
from omnirt.sessions.tools import ToolRunner
from omnirt.specs.tools import ToolRequest
from tests.support.daemon import driven
from tests.unit.sessions.helpers import Talk

REQUEST = ToolRequest(
    tool_call_id="call_1",
    tool_name="pay",
    arguments_json='{"euros": 7}',
    agent="greeter",
    timeout_s=5,
    parameters={"type": "object", "properties": {"euros": {"type": "integer"}}},
    needs_approval=True,
)
Decide = Callable[[ToolApproveParams], Awaitable[ToolApproveResult]]


class Desk:
    """A session's tools, and a host that decides by a function and pays whatever it is asked."""

    def __init__(self, decide: Decide | None, *, answers: bool = True, timeout_s: float = 5) -> None:
        self.talk = Talk()
        self.asked: list[ToolApproveParams] = []
        self.paid: list[ToolCallParams] = []
        self._decide = decide
        call = None if decide is None else self._call
        approvals = Approvals(self.talk.core.run, call, lambda: answers, timeout_s)
        self.tools = ToolRunner(self.talk.core, self.talk.collect, self._call, approvals)

    async def _call(self, method: str, params: Struct, timeout_s: float) -> Struct:
        if isinstance(params, ToolCallParams):
            self.paid.append(params)
            return ToolCallResult(output="paid")
        assert isinstance(params, ToolApproveParams)
        assert method == "tool.approve"
        self.asked.append(params)
        assert self._decide is not None
        return await self._decide(params)

    def kinds(self) -> list[str]:
        """The events of tools, in order."""
        return [kind for kind in self.talk.kinds() if kind.startswith("tool")]

    def resolved(self) -> list[tuple[str, str]]:
        """Each decision and who took it."""
        return [(e.decision, e.by) for e in self.talk.of(ev.RealtimeToolApprovalResolved)]

    @property
    def end(self) -> ev.RealtimeToolEnd:
        """The one end."""
        [end] = self.talk.of(ev.RealtimeToolEnd)
        return end


def saying(decision: Literal["approve", "reject"], **members: Any) -> Decide:
    async def decide(params: ToolApproveParams) -> ToolApproveResult:
        return ToolApproveResult(decision=decision, **members)

    return decide


def raising(problem: BaseException) -> Decide:
    async def decide(params: ToolApproveParams) -> ToolApproveResult:
        raise problem

    return decide


async def for_ever(params: ToolApproveParams) -> ToolApproveResult:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


@driven
async def test_an_approved_tool_runs_and_the_host_saw_the_arguments() -> None:
    desk = Desk(saying("approve"), timeout_s=60)
    assert await desk.tools.run(REQUEST) == "paid"
    [asked] = desk.asked
    assert (asked.tool_name, asked.arguments, asked.agent, asked.timeout_ms) == (
        "pay",
        {"euros": 7},
        "greeter",
        60_000,
    )
    assert desk.resolved() == [("approve", "host")]
    assert desk.kinds() == ["toolApprovalResolved", "toolStart", "toolEnd"]
    assert desk.end.status == "completed"


@driven
async def test_a_rejected_tool_does_not_run_and_the_model_hears_what_the_host_says() -> None:
    desk = Desk(saying("reject", message="Only up to five euros."))
    told = await desk.tools.run(REQUEST)
    assert "Only up to five euros." in told
    assert desk.paid == []
    assert desk.resolved() == [("reject", "host")]
    assert desk.kinds() == ["toolApprovalResolved", "toolStart", "toolEnd"]
    assert (desk.end.status, desk.end.output, desk.end.error) == ("rejected", told, UNSET)


def test_members_that_are_null_are_absent() -> None:
    text = b'{"decision": "approve", "always": null, "message": null}'
    answer = msgspec.json.decode(text, type=ToolApproveResult)
    assert (answer.decision, bool(answer.always)) == ("approve", False)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_always_is_for_this_tool_and_no_other(decision: Literal["approve", "reject"]) -> None:
    async def main() -> None:
        desk = Desk(saying(decision, always=True))
        for number in range(3):
            await desk.tools.run(replace(REQUEST, tool_call_id=f"call_{number}"))
        assert len(desk.asked) == 1
        assert desk.resolved() == [(decision, "host")] * 3
        await desk.tools.run(replace(REQUEST, tool_name="refund"))
        await desk.tools.run(replace(REQUEST, source="mcp:bank", invoke=None))
        assert len(desk.asked) == 3

    asyncio.run(main())


@driven
async def test_silence_is_a_no() -> None:
    desk = Desk(for_ever, timeout_s=0.05)
    assert "Nobody approved" in await desk.tools.run(REQUEST)
    assert desk.resolved() == [("reject", "timeout")]
    assert desk.end.status == "rejected"


@pytest.mark.parametrize(
    ("problem", "by"),
    [
        (CallFailed("timeout", "Too late."), "timeout"),
        (CallFailed("host_gone", "The host has gone."), "policy"),
        (CallFailed("overloaded", "Too many calls."), "policy"),
        (CallFailed("error", "No such call.", -32601), "host"),
        (CallFailed("invalid", "It does not fit."), "host"),
        (ValueError("odd"), "policy"),
        (asyncio.CancelledError(), "policy"),
    ],
)
def test_whatever_goes_wrong_with_the_question_is_a_no(problem: BaseException, by: str) -> None:
    desk = Desk(raising(problem))
    # Not even a policy that approves helps: the host could be asked.
    told = asyncio.run(desk.tools.run(replace(REQUEST, approval_policy="approve")))
    assert "not approved" in told or "Nobody approved" in told
    assert desk.paid == []
    assert desk.resolved() == [("reject", by)]


@pytest.mark.parametrize("policy", ["approve", "reject"])
@pytest.mark.parametrize("desk", [lambda: Desk(None), lambda: Desk(for_ever, answers=False)])
def test_a_host_that_cannot_be_asked_leaves_it_to_the_policy(
    desk: Callable[[], Desk], policy: Literal["approve", "reject"]
) -> None:
    alone = desk()
    asyncio.run(alone.tools.run(replace(REQUEST, approval_policy=policy)))
    assert alone.resolved() == [(policy, "policy")]
    assert alone.end.status == ("completed" if policy == "approve" else "rejected")
    assert len(alone.paid) == (policy == "approve")


@driven
async def test_nobody_is_asked_about_arguments_that_do_not_fit() -> None:
    desk = Desk(saying("approve"))
    await desk.tools.run(replace(REQUEST, arguments_json='{"euros": "many"}'))
    assert desk.asked == []
    assert desk.resolved() == []
    assert desk.end.status == "failed"


@driven
async def test_a_question_holds_up_no_other_tool() -> None:
    desk = Desk(for_ever)
    waiting = asyncio.create_task(desk.tools.run(REQUEST))
    await asyncio.sleep(0)
    free = replace(REQUEST, tool_call_id="call_2", needs_approval=False)
    assert await desk.tools.run(free) == "paid"
    assert desk.resolved() == []
    waiting.cancel()
    await asyncio.wait({waiting})


@pytest.mark.parametrize("swallows", [False, True])
def test_the_end_of_the_session_is_a_no_and_the_call_starts_and_ends(swallows: bool) -> None:
    async def main() -> None:
        desk = Desk(for_ever)
        waiting = asyncio.create_task(desk.tools.run(REQUEST))
        while not desk.asked:
            await asyncio.sleep(0)
        if swallows:
            desk.tools.end_all()
        waiting.cancel()
        await asyncio.wait({waiting})
        assert desk.kinds() == ["toolApprovalResolved", "toolStart", "toolEnd"]
        assert desk.resolved() == [("reject", "policy")]
        assert desk.end.status == "rejected"
        assert desk.end.error is UNSET

    asyncio.run(main())


@pytest.mark.parametrize(("needs", "questions"), [(True, 1), (False, 0), (None, 1)])
def test_a_function_may_say_whether_approval_is_needed(needs: bool | None, questions: int) -> None:
    async def judge(arguments: dict[str, Any]) -> bool:
        assert arguments == {"euros": 7}
        if needs is None:
            raise ValueError("in doubt it is")
        return needs

    desk = Desk(saying("approve"))
    assert asyncio.run(desk.tools.run(replace(REQUEST, needs_approval=judge))) == "paid"
    assert len(desk.asked) == questions
