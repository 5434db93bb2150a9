"""Agents as a host sees them: from files and Python objects, all their problems, and no code on request."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.host import Host, start_params

pytestmark = pytest.mark.anyio

MODULE = """
import os
from omnirt.specs import AgentSpec

desk = AgentSpec(
    name="desk", instructions="You are at the desk of {{ hotel }}.", build_context=f"{__name__}:hotel"
)

def hotel(variables):
    print("on stdout")
    return {"hotel": variables.get("hotel", "the Sol")}

def broken(variables):
    raise ValueError("sk-secret")
"""
SLOW = """
with open({gate!r}) as gate:
    gate.read()
agent = {{"name": "slow"}}
"""
COUNT = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `agents` for specs, and `code` for modules."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "agents").mkdir()
    (folder / "code").mkdir()
    (folder / "code" / "shop_agents.py").write_text(MODULE)
    for name, text in {
        "porter": "name: porter\ndescription: Carries\ninstructions: You carry.\nhandoffs: [cook]\n",
        "cook": "name: cook\nhandoffs: [porter]\ninstructions: '{% include \"menu.md\" %}'\n",
        "broken": "name: broken\nvoice: ash\ntools: 3\n",
        "late": "name: late\nbuild_context: shop_agents:broken\n",
    }.items():
        (folder / "agents" / f"{name}.yaml").write_text(text)
    (folder / "agents" / "menu.md").write_text("You cook {{ dish }}.")
    return folder


@pytest.fixture(scope="module")
async def serving(
    anyio_backend: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Host]:
    env = {"PYTHONPATH": str(folder / "code")}
    async with Host.spawn(
        tmp_path_factory.mktemp("data"), "--agents", str(folder / "agents"), env=env
    ) as host:
        yield host


class Slow:
    """A module whose import waits for the test."""

    def __init__(self, folder: Path) -> None:
        name = f"slow_{next(COUNT)}"
        self.agent = f"python:{name}:agent"
        self._gate = folder / f"{name}.gate"
        os.mkfifo(self._gate)
        (folder / "code" / f"{name}.py").write_text(SLOW.format(gate=str(self._gate)))

    def go(self) -> None:
        self._gate.write_text("go")


async def test_known_agents_are_listed_and_files_that_are_none_are_told(host: Host, folder: Path) -> None:
    listed = await host.ask("agent.list")
    assert [agent for agent in listed["agents"] if agent["path"].startswith(str(folder))] == [
        {"name": "cook", "path": str(folder / "agents" / "cook.yaml")},
        {"name": "late", "path": str(folder / "agents" / "late.yaml")},
        {"name": "porter", "path": str(folder / "agents" / "porter.yaml"), "description": "Carries"},
    ]
    told = [message["params"] for message in host.seen if message.get("method") == "log.message"]
    assert [message["level"] for message in told] == ["warning"]
    assert str(folder / "agents" / "broken.yaml") in told[0]["message"]


async def test_all_problems_are_told_at_once(host: Host, folder: Path) -> None:
    told = await host.ask("agent.validate", agent="broken")
    file = str(folder / "agents" / "broken.yaml")
    assert [(problem["path"], problem["file"]) for problem in told["problems"]] == [
        ("$.voice", file),
        ("$.tools", file),
    ]
    for good in ("porter", "python:shop_agents:desk"):
        assert await host.ask("agent.validate", agent=good) == {"valid": True, "problems": []}
    assert (await host.refused("agent.validate", agent="nobody"))["kind"] == "agent_not_found"


async def test_a_broken_agent_is_not_started_and_says_why(host: Host, folder: Path) -> None:
    error = await host.refused("session.start", **start_params(agent="broken"))
    assert (error["kind"], error["path"]) == ("agent_invalid", "$.voice")
    assert error["file"] == str(folder / "agents" / "broken.yaml")
    late = await host.refused("session.start", **start_params(agent="late"))
    assert (late["kind"], late["path"]) == ("agent_invalid", "$.build_context")
    assert "sk-secret" not in late["message"]
    assert "raised ValueError" in late["message"]


async def test_inputs_get_the_error_of_a_start_whose_agent_nobody_has(host: Host) -> None:
    _, start = host.begin("s-none", agent="nobody")
    text = host.tell("session.sendText", sessionId="s-none", text="Hello")
    get = host.tell("session.get", sessionId="s-none")
    kinds = [(await host.reply(request))["error"]["data"]["kind"] for request in (start, text, get)]
    assert kinds == ["agent_not_found", "agent_not_found", "session_not_found"]
    assert host.order(text, start) == [start, text]


async def test_a_python_object_is_an_agent_and_its_context_is_made(host: Host) -> None:
    talk = await host.start(agent="python:shop_agents:desk", raw=True)
    assert talk.started["agent"] == "desk"

    def told(text: str) -> list[object] | None:
        return [event for event in talk.of("raw") if text in str(event["event"].get("session"))] or None

    await talk.ask("update", variables={"hotel": "the Luna"})
    await host.until(lambda: told("You are at the desk of the Luna."), "the new instructions")


async def test_nothing_waits_for_an_agent_that_takes_long_to_import_but_its_own_session(
    host: Host, folder: Path
) -> None:
    slow = Slow(folder)
    talk, start = host.begin(agent=slow.agent)
    text = talk.tell("sendText", text="Hello")
    wait = talk.tell("wait")
    listed = host.tell("session.list")
    again = host.tell("session.start", **start_params(sessionId=talk.id))
    other = await host.start()
    await other.ask("sendText", text="Hello")
    assert (await other.ask("wait"))["responses"]
    assert not {start, text, wait, listed, again} - {r for r in host.sent if r not in host._replies}
    slow.go()
    assert (await host.reply(start))["result"]["agent"] == "slow"
    assert (await host.reply(wait))["result"]["responses"]
    assert talk.id in [info["sessionId"] for info in (await host.reply(listed))["result"]["sessions"]]
    assert (await host.reply(again))["error"]["data"]["kind"] == "session_exists"
    assert host.order(wait, text, start) == [start, text, wait]


async def test_a_start_that_is_cancelled_while_its_agent_is_imported_leaves_nothing(
    host: Host, folder: Path
) -> None:
    slow = Slow(folder)
    talk, start = host.begin(agent=slow.agent)
    text = talk.tell("sendText", text="Hello")
    host.notify("$/cancelRequest", id=start)
    assert (await host.reply(start))["error"]["data"]["kind"] == "cancelled"
    slow.go()
    assert (await host.reply(text))["error"]["data"]["kind"] == "cancelled"
    assert (await host.refused("session.get", sessionId=talk.id))["kind"] == "session_not_found"


async def test_an_update_to_an_agent_by_name_keeps_the_order_of_inputs(host: Host) -> None:
    talk = await host.start(raw=True)
    update = talk.tell("update", agent="porter")
    text = talk.tell("sendText", text="Hello")
    wait = talk.tell("wait")
    await host.reply(wait)
    assert host.order(wait, text, update) == [update, text, wait]
    assert (await talk.ask("get"))["agent"] == "porter"
    assert (await talk.refused("update", agent="nobody"))["kind"] == "agent_not_found"
    assert (await talk.refused("update", agent="python:no_such:x"))["kind"] == "agent_invalid"


async def test_without_code_nothing_of_it_runs_wherever_it_stands(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ran.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    command = {"name": "x", "type": "stdio", "command": "touch", "args": [str(tmp_path / "ran")]}
    specs = {
        "$": "python:ran:agent",
        "$.build_context": {"name": "a", "build_context": "ran:x"},
        "$.tools[0].run": {"name": "a", "tools": [{"run": "python:ran:x"}]},
        "$.output_guardrails[0]": {"name": "a", "output_guardrails": ["python:ran:x"]},
        "$.mcp_servers[0].command": {"name": "a", "mcp_servers": [command]},
        "$.handoffs[0].build_context": {"name": "a", "handoffs": [{"name": "b", "build_context": "ran:x"}]},
    }
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{folder / 'code'}", "OMNIRT_NO_CODE": "1"}
    async with Host.spawn(tmp_path / "data", "--agents", str(folder / "agents"), env=env) as host:
        for path, agent in specs.items():
            error = await host.refused("session.start", **start_params(agent=agent))
            assert (error["kind"], error["path"]) == ("agent_invalid", path)
            assert "--no-code" in error["message"]
            told = await host.ask("agent.validate", agent=agent)
            assert [problem["path"] for problem in told["problems"]] == [path]
        named = {"name": "a", "handoffs": ["late"]}
        error = await host.refused("session.start", **start_params(agent=named))
        assert (error["path"], Path(error["file"]).name) == ("$.build_context", "late.yaml")
    assert not (tmp_path / "ran").exists()
