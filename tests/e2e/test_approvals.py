"""Approvals: the daemon asks its host before a tool runs (PROTOCOL section 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Message
from tests.support.host import Host, Talk

pytestmark = pytest.mark.anyio

PAY: Message = {
    "name": "pay",
    "run": "host",
    "parameters": {"type": "object", "properties": {"euros": {"type": "integer"}}, "required": ["euros"]},
    "needs_approval": True,
}
SCRIPT: Message = {
    "rules": [
        {"on": "tool_output", "do": [{"text": "Told: {tool_output}"}]},
        {"match": "weather", "do": [{"call": {"tool": "weather", "arguments": {"city": "Rome"}}}]},
        {"do": [{"call": {"tool": "pay", "arguments": {"euros": 7}}}]},
    ]
}
WEATHER: Message = {"run": "python:tests.support.python_tools:weather"}


def agent(**members: Any) -> Message:
    return {"name": "cashier", "tools": [PAY], **members}


async def asked(host: Host, **members: Any) -> tuple[Talk, Message]:
    """A session whose model wants to pay, and the question."""
    talk = await host.start(agent=agent(**members), script=SCRIPT)
    await talk.ask("sendText", text="Pay seven euros.")
    return talk, await host.call("tool.approve")


async def last_words(talk: Talk) -> str:
    responses = (await talk.ask("wait"))["responses"]
    return str(responses[-1]["text"])


async def test_the_host_sees_what_it_approves_and_then_the_tool_runs(host: Host) -> None:
    talk, question = await asked(host)
    params = dict(question["params"])
    call_id = params.pop("toolCallId")
    assert params == {
        "sessionId": talk.id,
        "runId": talk.started["runId"],
        "toolName": "pay",
        "arguments": {"euros": 7},
        "agent": "cashier",
        "timeoutMs": 60000,
    }
    assert talk.of("toolStart") == []
    assert (await talk.ask("get"))["state"] == "thinking"
    host.respond(question, result={"decision": "approve"})
    call = await host.call("tool.call")
    assert call["params"]["toolCallId"] == call_id
    host.respond(call, result={"output": "paid"})
    assert await last_words(talk) == "Told: paid"
    (resolved,) = talk.of("toolApprovalResolved")
    assert (resolved["toolCallId"], resolved["decision"], resolved["by"]) == (call_id, "approve", "host")
    assert [n for n in talk.names() if n.startswith("tool")] == [
        "toolApprovalResolved",
        "toolStart",
        "toolEnd",
    ]


async def test_a_rejection_is_told_to_the_model_with_the_hosts_words(host: Host) -> None:
    talk, question = await asked(host)
    host.respond(question, result={"decision": "reject", "message": "Too much."})
    assert "Too much." in await last_words(talk)
    (end,) = talk.of("toolEnd")
    assert (end["status"], end["toolName"]) == ("rejected", "pay")
    assert "error" not in end
    assert len(talk.of("toolStart")) == 1
    assert [call["method"] for call in host.calls] == ["tool.approve"]


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32601, "message": "What?"}},
        {"result": {"decision": "perhaps"}},
        {"result": {}},
        {"result": None},
    ],
)
async def test_an_answer_that_is_no_yes_is_a_no(host: Host, answer: Message) -> None:
    talk, question = await asked(host)
    host.respond(question, **answer)
    assert "not approved" in await last_words(talk)
    (resolved,) = talk.of("toolApprovalResolved")
    assert (resolved["decision"], resolved["by"]) == ("reject", "host")


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_always_asks_once(host: Host, decision: str) -> None:
    talk, question = await asked(host)
    host.answer = lambda call: {"result": {"output": "paid"}} if call["method"] == "tool.call" else None
    host.respond(question, result={"decision": decision, "always": True})
    first = await last_words(talk)
    await talk.ask("sendText", text="And again.")
    assert await last_words(talk) == first
    assert len([call for call in host.calls if call["method"] == "tool.approve"]) == 1
    assert [e["by"] for e in talk.of("toolApprovalResolved")] == ["host", "host"]
    # It holds for this session only.
    host.answer = None
    other = await host.start(agent=agent(), script=SCRIPT)
    await other.ask("sendText", text="Pay seven euros.")
    again = [call for call in host.calls if call["method"] == "tool.approve"]
    assert len(again) == 2 or (await host.call("tool.approve", 2))["params"]["sessionId"] == other.id


async def test_a_question_stops_neither_audio_nor_other_tools(host: Host) -> None:
    talk, question = await asked(host, tools=[PAY, WEATHER])
    await talk.ask("sendText", text="How is the weather?")
    await talk.event("toolEnd", toolName="weather", status="completed")
    await talk.event("textDone", text='Told: {"city": "Rome", "degrees": 21}')
    assert talk.of("toolApprovalResolved") == []
    host.respond(question, result={"decision": "reject"})
    assert "not approved" in await last_words(talk)


async def test_the_end_of_the_session_withdraws_the_question(host: Host) -> None:
    talk, question = await asked(host)
    await talk.ask("stop")
    assert (await host.call("$/cancelRequest"))["params"] == {"id": question["id"]}
    (resolved,), (end,) = talk.of("toolApprovalResolved"), talk.of("toolEnd")
    assert (resolved["decision"], resolved["by"]) == ("reject", "policy")
    assert (end["status"], "error" in end) == ("rejected", False)
    host.respond(question, result={"decision": "approve"})
    assert await host.ask("ping") == {}


async def test_python_tools_are_asked_about_like_any_other(host: Host) -> None:
    talk = await host.start(
        agent=agent(tools=[{"run": "python:tests.support.python_tools:pay"}]), script=SCRIPT
    )
    await talk.ask("sendText", text="Pay.")
    host.respond(await host.call("tool.approve"), result={"decision": "approve"})
    assert await last_words(talk) == "Told: 7 paid"


@pytest.mark.parametrize("policy", ["approve", "reject"])
async def test_a_host_that_cannot_be_asked_leaves_it_to_the_agent(tmp_path: Path, policy: str) -> None:
    async with Host.spawn(tmp_path, approvals=False) as host:
        host.answer = lambda _: {"result": {"output": "paid"}}
        talk = await host.start(agent=agent(approval_policy=policy), script=SCRIPT)
        await talk.ask("sendText", text="Pay seven euros.")
        words = await last_words(talk)
        assert words == "Told: paid" if policy == "approve" else "not approved" in words
        (resolved,) = talk.of("toolApprovalResolved")
        assert (resolved["decision"], resolved["by"]) == (policy, "policy")


async def test_the_end_of_stdin_is_a_no_by_policy(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk, _ = await asked(host, approval_policy="approve")
        talk.tell("wait")
        host.daemon.close_stdin()
        await host.daemon.wait_exit()
        await talk.event("closed")
        (resolved,) = talk.of("toolApprovalResolved")
        assert (resolved["decision"], resolved["by"]) == ("reject", "policy")
        assert talk.of("toolEnd")[0]["status"] == "rejected"
        await host.finished(0)
