"""Calls of the daemon to its host, and what becomes of them; handoffs (PROTOCOL sections 4 and 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Message
from tests.support.host import Host, Talk

pytestmark = pytest.mark.anyio

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tool(name: str = "get_weather", **members: Any) -> Message:
    return {"name": name, "run": "host", "parameters": PARAMETERS, **members}


def agent(*tools: Message) -> Message:
    return {"name": "concierge", "instructions": "Be brief.", "tools": list(tools or (tool(),))}


def calls(*actions: Message, then: str = "done") -> Message:
    """A script that does this for a text, and speaks when it has the outputs."""
    return {
        "rules": [
            {"on": "text", "do": list(actions)},
            {"on": "tool_output", "do": [{"text": "Told: {tool_output}"}, {"say": then}]},
        ]
    }


LISBON: Message = {"call": {"tool": "get_weather", "arguments": {"city": "Lisbon"}}}


async def asked(host: Host, script: Message | None = None, **params: Any) -> Talk:
    """A session whose model was asked for the weather."""
    talk = await host.start(**{"agent": agent(), "script": script or calls(LISBON), **params})
    await talk.ask("sendText", text="What is the weather in Lisbon?")
    return talk


async def told_to_model(talk: Talk) -> list[Any]:
    """What the model got as outputs of tools, once the talk is idle."""
    await talk.ask("wait")
    outputs = [e["item"] for e in talk.of("itemAdded") if e["item"]["type"] == "functionCallOutput"]
    return [item["output"] for item in outputs]


async def test_the_host_answers_a_call_and_the_model_goes_on(host: Host) -> None:
    talk = await asked(host)
    call = await host.call("tool.call")
    params = dict(call["params"])
    call_id = params["toolCallId"]
    assert call["id"].startswith("omnirt-")
    assert params == {
        "sessionId": talk.id,
        "runId": talk.started["runId"],
        "toolCallId": call_id,
        "toolName": "get_weather",
        "arguments": {"city": "Lisbon"},
        "agent": "concierge",
        "timeoutMs": 30000,
    }
    host.respond(call, result={"output": {"sky": "sunny", "degrees": 21}})
    responses = (await talk.ask("wait"))["responses"]
    assert [r["status"] for r in responses] == ["completed", "completed"]
    assert responses[1]["text"].endswith("That is done.")
    (start,), (end,) = talk.of("toolStart"), talk.of("toolEnd")
    assert (start["toolCallId"], start["toolName"], start["agent"]) == (call_id, "get_weather", "concierge")
    assert start["arguments"] == end["arguments"] == {"city": "Lisbon"}
    assert (end["toolCallId"], end["status"]) == (call_id, "completed")
    assert end["output"] == {"sky": "sunny", "degrees": 21}
    assert end["durationMs"] >= 0
    assert "error" not in end


async def test_the_call_and_its_output_are_items(host: Host) -> None:
    host.answer = lambda _: {"result": {"output": "sunny"}}
    talk = await asked(host)
    assert await told_to_model(talk) == ["sunny"]
    items = {e["item"]["type"]: e["item"] for e in talk.of("itemAdded") + talk.of("itemUpdated")}
    call, output = items["functionCall"], items["functionCallOutput"]
    assert (call["toolName"], call["arguments"]) == ("get_weather", {"city": "Lisbon"})
    assert call["toolCallId"] == output["toolCallId"] == talk.of("toolStart")[0]["toolCallId"]


@pytest.mark.parametrize("output", ["text", "", 7, True, None, [1, "two"], {"deep": {"er": [None]}}])
async def test_an_output_may_be_any_json(host: Host, output: Any) -> None:
    host.answer = lambda _: {"result": {"output": output}}
    talk = await asked(host)
    (told,) = await told_to_model(talk)
    assert isinstance(told, str)
    assert talk.of("toolEnd")[0]["output"] == output


async def test_the_state_is_thinking_while_a_tool_runs(host: Host) -> None:
    talk = await asked(host)
    call = await host.call("tool.call")
    await talk.event("responseEnd")
    assert (await talk.ask("get"))["state"] == "thinking"
    host.respond(call, result={"output": "x"})
    await talk.ask("wait")
    assert (await talk.ask("get"))["state"] == "listening"


async def test_a_wait_includes_the_tools(host: Host) -> None:
    talk = await asked(host)
    wait = talk.tell("wait")
    call = await host.call("tool.call")
    await talk.event("responseEnd")
    assert host.waiting()
    host.respond(call, result={"output": "x"})
    assert len((await host.reply(wait))["result"]["responses"]) == 2


async def test_an_error_reply_is_told_to_the_model_in_words(host: Host) -> None:
    host.answer = lambda _: {"error": {"code": -1, "message": "The station is closed."}}
    talk = await asked(host)
    (told,) = await told_to_model(talk)
    assert "The station is closed." in told
    (end,) = talk.of("toolEnd")
    assert end["status"] == "failed"
    assert "The station is closed." in end["error"]["message"]
    assert [e["status"] for e in talk.of("responseEnd")] == ["completed"] * 2


@pytest.mark.parametrize(
    "answer", [{"result": {}}, {"result": "text"}, {"result": None}, {"result": {"out": 1}}]
)
async def test_an_answer_that_does_not_fit_fails_the_call_and_nothing_else(
    host: Host, answer: Message
) -> None:
    host.answer = lambda _: answer
    talk = await asked(host)
    (told,) = await told_to_model(talk)
    assert "get_weather" in told
    assert talk.of("toolEnd")[0]["status"] == "failed"
    assert talk.of("closed") == []


async def test_a_call_that_is_not_answered_times_out_and_is_withdrawn(host: Host) -> None:
    talk = await asked(host, agent=agent(tool(timeout_s=0.2)))
    call = await host.call("tool.call")
    assert call["params"]["timeoutMs"] == 200
    cancel = await host.call("$/cancelRequest")
    assert cancel["params"] == {"id": call["id"]}
    (told,) = await told_to_model(talk)
    assert "0.2 s" in told
    (end,) = talk.of("toolEnd")
    assert (end["status"], end["error"]["kind"]) == ("timedOut", "timed_out")
    host.respond(call, result={"output": "late"})
    assert await talk.ask("wait") == {"state": "idle", "responses": []}
    assert len(talk.of("toolEnd")) == 1


async def test_an_answer_to_nothing_is_ignored(host: Host) -> None:
    for answer in ({"id": "omnirt-9999"}, {"id": None}, {"id": 5}):
        host.daemon.send({"jsonrpc": "2.0", **answer, "result": {"output": 1}})
    assert await host.ask("ping") == {}


async def test_several_calls_run_at_once_and_are_answered_in_any_order(host: Host) -> None:
    actions = [{"tool": "get_weather", "arguments": {"city": city}} for city in ("Lisbon", "Rome", "Oslo")]
    talk = await asked(host, calls({"call": actions}))
    got = [await host.call("tool.call", n) for n in (1, 2, 3)]
    assert len({call["id"] for call in got}) == 3
    for call in reversed(got):
        host.respond(call, result={"output": call["params"]["arguments"]["city"]})
    assert sorted(await told_to_model(talk)) == ["Lisbon", "Oslo", "Rome"]
    assert [e["output"] for e in talk.of("toolEnd")] == ["Oslo", "Rome", "Lisbon"]
    assert len(talk.of("responseEnd")) == 2


async def test_arguments_that_do_not_fit_never_reach_the_host(host: Host) -> None:
    bad = [
        {"tool": "get_weather", "arguments": {"city": 5}},
        {"tool": "get_weather", "arguments": '{"city": '},
    ]
    talk = await asked(host, calls({"call": bad}))
    told = await told_to_model(talk)
    assert len(told) == 2
    assert host.calls == []
    ends = talk.of("toolEnd")
    assert [end["status"] for end in ends] == ["failed", "failed"]
    assert [end["arguments"] for end in ends] == [{"city": 5}, '{"city": ']


async def test_a_tool_that_is_not_there_is_told_to_the_model_which_goes_on(host: Host) -> None:
    talk = await asked(host, calls({"call": {"tool": "fly"}}))
    (told,) = await told_to_model(talk)
    assert "fly" in told
    assert talk.of("toolEnd")[0]["status"] == "failed"
    assert talk.of("responseEnd")[-1]["status"] == "completed"
    assert len(talk.of("responseEnd")) == 2


async def test_a_call_is_withdrawn_when_its_session_is_closed(host: Host) -> None:
    talk = await asked(host)
    call = await host.call("tool.call")
    await talk.ask("stop")
    assert (await host.call("$/cancelRequest"))["params"] == {"id": call["id"]}
    (end,) = talk.of("toolEnd")
    assert (end["status"], end["error"]["kind"]) == ("failed", "cancelled")
    host.respond(call, result={"output": "late"})
    assert await host.ask("ping") == {}


async def test_calls_of_two_sessions_do_not_mix(host: Host) -> None:
    one, two = await asked(host), await asked(host)
    got = [await host.call("tool.call", n) for n in (1, 2)]
    assert {call["params"]["sessionId"] for call in got} == {one.id, two.id}
    for call in got:
        host.respond(call, result={"output": call["params"]["sessionId"]})
    assert (await told_to_model(one), await told_to_model(two)) == ([one.id], [two.id])


async def test_a_host_that_answers_no_calls_gets_agent_invalid(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path, tools=False) as host:
        talk, start = host.begin(agent=agent(), script=calls(LISBON))
        error = (await host.reply(start))["error"]
        assert (error["code"], error["data"]["kind"]) == (-32021, "agent_invalid")
        assert error["data"]["path"].startswith("$.tools")
        handing = {"name": "front", "handoffs": [agent()]}
        talk, start = host.begin(agent=handing)
        assert (await host.reply(start))["error"]["data"]["kind"] == "agent_invalid"
        assert talk.events == []


HANDING = {"name": "front", "handoffs": [{**agent(), "name": "Billing Desk"}, "front"]}


async def test_a_handoff_changes_the_agent(host: Host) -> None:
    script = {
        "rules": [
            {"match": "bill", "do": [{"hand_off": "Billing Desk"}]},
            {"on": "tool_output", "tool": "transfer_to_billing_desk", "do": [{"say": "colleague"}]},
            {"on": "text", "do": [LISBON]},
            {"on": "tool_output", "do": [{"say": "weather"}]},
        ]
    }
    host.answer = lambda _: {"result": {"output": "sunny"}}
    talk = await host.start(agent=HANDING, script=script)
    await talk.ask("sendText", text="My bill, please.")
    await talk.ask("wait")
    (handoff,) = talk.of("handoff")
    assert (handoff["fromAgent"], handoff["toAgent"]) == ("front", "Billing Desk")
    assert [event["agent"] for event in talk.of("agentStart")] == ["front", "Billing Desk"]
    assert (await talk.ask("get"))["agent"] == "Billing Desk"
    assert talk.of("toolStart") == []
    await talk.ask("sendText", text="And the weather?")
    await talk.ask("wait")
    assert host.calls[0]["params"]["agent"] == talk.of("toolStart")[0]["agent"] == "Billing Desk"


async def test_settings_of_the_session_outlive_a_handoff(host: Host) -> None:
    script = {"rules": [{"match": "bill", "do": [{"hand_off": "Billing Desk"}]}, {"do": [{"say": "heard"}]}]}
    talk = await host.start(
        agent=HANDING, script=script, raw=True, realtime={"voice": "sage", "turn_detection": None}
    )
    await talk.ask("sendText", text="My bill, please.")
    await talk.ask("wait")
    updates = [r["event"]["session"] for r in talk.of("raw") if r["event"]["type"] == "session.updated"]
    assert len(updates) >= 2
    assert updates[-1]["audio"]["input"]["turn_detection"] is None
    assert updates[-1]["audio"]["output"]["voice"] == "sage"
    assert [t["name"] for t in updates[-1]["tools"]] == ["get_weather"]
