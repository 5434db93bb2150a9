"""Every example agent, started by its name and put through what it shows, with the simulator for a model."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omnirt import check_command
from omnirt.specs.load import AgentLibrary
from tests.support.daemon import Message
from tests.support.documents import ROOT
from tests.support.host import Host, Talk
from tests.support.speech import b64, utterance

pytestmark = pytest.mark.anyio

AGENTS = ROOT / "examples" / "agents"
CODE = ROOT / "examples" / "code"
ENV = {
    "PYTHONPATH": str(CODE),
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
TOLD = {"on": "tool_output", "do": [{"text": "Told: {tool_output}"}]}
"""Says what a tool gave."""


@pytest.fixture(scope="module")
async def serving(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    async with Host.spawn(tmp_path_factory.mktemp("data"), "--agents", str(AGENTS), env=ENV) as host:
        yield host


def calls(tool: str, **arguments: Any) -> Message:
    """A script whose model calls a tool and tells its output."""
    do = [{"call": {"tool": tool, "arguments": arguments}}]
    return {"rules": [{"on": "text", "do": do}, TOLD]}


async def asked(talk: Talk, text: str = "Go on") -> str:
    """What is said to a text, in the end."""
    await talk.ask("sendText", text=text)
    responses: list[Message] = (await talk.ask("wait"))["responses"]
    return str(responses[-1]["text"])


async def test_the_examples_have_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    sys.path.insert(0, str(CODE))
    try:
        assert check_command.run([str(AGENTS), "python:hotel.agents:night_desk"]) == 0, capsys.readouterr()
    finally:
        sys.path.remove(str(CODE))


async def test_every_example_is_tested_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = [info.name for info in AgentLibrary([AGENTS]).list()]
    assert len(names) == len([f for f in AGENTS.iterdir() if f.suffix in (".yaml", ".toml", ".json")])
    assert [name for name in names if f'agent="{name}"' not in text and name != "billing"] == []


async def test_the_greeter_greets(host: Host) -> None:
    talk = await host.start(agent="greeter")
    await talk.ask("respond")
    assert (await talk.ask("wait"))["responses"][0]["text"] == "Hello! How can I help you today?"


async def test_the_weather_is_asked_of_the_host_with_arguments_that_fit(host: Host) -> None:
    host.answer = lambda call: {"result": {"output": f"sunny in {call['params']['arguments']['city']}"}}
    talk = await host.start(agent="weather", script=calls("get_weather", city="Oslo"))
    assert await asked(talk) == "Told: sunny in Oslo"
    assert (await host.call("tool.call"))["params"]["timeoutMs"] == 10_000
    talk = await host.start(agent="weather", script=calls("get_weather", town="Oslo"))
    assert "do not fit" in await asked(talk)
    assert len(host.calls) == 1


async def test_the_editor_is_asked_for_what_is_open_and_its_user_before_it_is_changed(host: Host) -> None:
    def answer(call: Message) -> Message:
        if call["method"] == "tool.approve":
            return {"result": {"decision": "reject"}}
        return {"result": {"output": {"text": "print(1)"}}}

    host.answer = answer
    talk = await host.start(agent="editor", script=calls("read_buffer"))
    assert await asked(talk) == 'Told: {"text": "print(1)"}'
    talk = await host.start(agent="editor", script=calls("insert_text", text="x"))
    await asked(talk)
    assert (await talk.event("toolEnd"))["status"] == "rejected"
    assert [call["method"] for call in host.calls] == ["tool.call", "tool.approve"]


async def test_rooms_are_known_to_python(host: Host) -> None:
    talk = await host.start(agent="rooms", script=calls("free_rooms", beds=2))
    assert await asked(talk) == 'Told: ["201", "204"]'
    talk = await host.start(agent="rooms", script=calls("room_price", room="310"))
    assert await asked(talk) == "Told: 71 euros"
    talk = await host.start(agent="rooms", script=calls("room_price", room="the best"))
    assert "There is no room the best." in await asked(talk)
    assert (await talk.event("toolEnd"))["status"] == "failed"


async def test_the_cashier_asks_before_it_returns_money(host: Host) -> None:
    def answer(call: Message) -> Message:
        if call["method"] == "tool.approve":
            small = call["params"]["arguments"]["euros"] < 50
            return {"result": {"decision": "approve" if small else "reject", "message": "Too much."}}
        return {"result": {"output": "returned"}}

    host.answer = answer
    talk = await host.start(agent="cashier", script=calls("refund", euros=20))
    assert await asked(talk) == "Told: returned"
    talk = await host.start(agent="cashier", script=calls("refund", euros=500))
    assert "Too much." in await asked(talk)
    assert (await talk.event("toolApprovalResolved"))["decision"] == "reject"
    assert (await talk.event("toolEnd"))["status"] == "rejected"


async def test_the_librarian_has_the_tools_of_a_server(host: Host) -> None:
    talk = await host.start(agent="librarian", script=calls("find_book", title="Emma"))
    assert (await talk.event("mcpStatus", status="ready"))["tools"] == ["find_book"]
    assert "Emma is on shelf 4." in await asked(talk)


async def test_the_reception_hands_over_and_billing_hands_back(host: Host) -> None:
    rules = [
        {"match": "bill", "do": [{"hand_off": "billing"}]},
        {"match": "massage", "do": [{"hand_off": "spa"}]},
        {"match": "back", "do": [{"hand_off": "reception"}]},
    ]
    talk = await host.start(agent="reception", script={"rules": rules})
    for text, agent in {"my bill": "billing", "go back": "reception", "a massage": "spa"}.items():
        await asked(talk, text)
        assert (await talk.ask("get"))["agent"] == agent
    moves = [(event["fromAgent"], event["toAgent"]) for event in talk.of("handoff")]
    assert moves == [("reception", "billing"), ("billing", "reception"), ("reception", "spa")]


@pytest.mark.parametrize(
    ("said", "guardrail"),
    [("That costs $20.", "no_prices"), ("Ms Miller is in room 3.", "no_other_guests")],
)
async def test_the_tactful_do_not_say_what_they_must_not(host: Host, said: str, guardrail: str) -> None:
    rules = [{"on": "text", "match": "tell", "do": [{"text": f"Well. {said} There you are."}]}]
    talk = await host.start(agent="tactful", script={"rules": rules}, realtime={"modalities": ["text"]})
    await asked(talk, "tell me")
    tripped = await talk.event("guardrailTripped")
    assert tripped["guardrails"] == [guardrail]
    assert said not in str(talk.of("textDelta"))


async def test_the_concierge_knows_who_is_there(host: Host) -> None:
    talk = await host.start(agent="concierge", variables={"guest": "Ana"}, raw=True)
    await talk.ask("update", variables={"language": "Portuguese"})

    def told() -> object:
        sessions = [event["event"].get("session", {}) for event in talk.of("raw")]
        texts = [session.get("instructions", "") for session in sessions]
        return next((text for text in texts if "Portuguese" in text), None)

    text = str(await host.until(told, "the new instructions"))
    assert text.endswith(
        "You are the concierge of the Sol. You speak Portuguese with Ana, who stays for 3 nights.\n"
        "- Breakfast is from 7 to 10.\n- No pets.\n"
    )
    assert not talk.of("error")


async def test_with_push_to_talk_the_host_ends_the_turn(host: Host) -> None:
    talk = await host.start(agent="push_to_talk")
    await talk.ask("sendAudio", audio=b64(utterance("weather")), commit=True)
    assert (await talk.ask("wait"))["responses"]
    assert not talk.of("inputSpeechStart")
    assert (await talk.event("transcriptDone", role="user"))[
        "text"
    ] == "What is the weather like in Lisbon today?"


async def test_a_program_makes_the_night_desk(host: Host) -> None:
    host.answer = lambda call: {
        "result": {"decision": "approve"} if call["method"] == "tool.approve" else {"output": "open"}
    }
    talk = await host.start(agent="python:hotel.agents:night_desk", script=calls("open_door"))
    assert await asked(talk) == "Told: open"


async def test_without_code_the_others_still_run(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path, "--agents", str(AGENTS), "--no-code", env=ENV) as host:
        names = {agent["name"] for agent in (await host.ask("agent.list"))["agents"]}
        assert names >= {"greeter", "weather", "cashier", "reception", "billing", "push_to_talk"}
        assert not names & {"rooms", "librarian", "tactful", "concierge"}
        await asyncio.wait_for(host.ask("agent.validate", agent="rooms"), 30)
