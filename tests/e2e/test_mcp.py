"""MCP servers of a real daemon: used, and dead with it, however it ends (PROTOCOL sections 2 and 7)."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Message
from tests.support.host import Host, Talk
from tests.support.mcp_servers import ended, stdio
from tests.support.programs import find_program, missing

pytestmark = pytest.mark.anyio

JS = Path(__file__).parents[1] / "hosts" / "js"


def script(*rules: Message) -> Message:
    return {"rules": [{"on": "tool_output", "do": [{"text": "Told: {tool_output}"}]}, *rules]}


def calling(tool: str, **arguments: Any) -> Message:
    return {"on": "user", "do": [{"call": {"tool": tool, "arguments": arguments}}]}


def clerk(*servers: Message, **members: Any) -> Message:
    return {"name": "clerk", "mcp_servers": list(servers), **members}


async def asked(talk: Talk, text: str = "Go on") -> str:
    await talk.ask("sendText", text=text)
    responses = (await talk.ask("wait"))["responses"]
    return str(responses[-1]["text"])


async def test_statuses_come_after_connected_and_the_tools_work(host: Host) -> None:
    broken = stdio(name="broken", command="no-such-program")
    talk = await host.start(agent=clerk(stdio(), broken), script=script(calling("add", a=2, b=3)))
    await talk.event("mcpStatus", server="test", status="ready")
    failed = await talk.event("mcpStatus", server="broken", status="failed")
    assert failed["error"]["kind"] == "mcp_server_failed"
    assert talk.names()[0] == "state"
    assert await asked(talk) == "Told: 5"
    (end,) = talk.of("toolEnd")
    assert (end["toolName"], end["status"], end["output"]) == ("add", "completed", "5")
    await talk.ask("stop")
    assert [e["status"] for e in talk.of("mcpStatus", server="test")] == ["starting", "ready", "closed"]


async def test_a_required_server_that_fails_fails_the_start_and_leaves_nothing(host: Host) -> None:
    server = stdio("--fault", "exit", required=True)
    talk, start = host.begin(agent=clerk(server))
    error = (await host.reply(start))["error"]
    assert (error["code"], error["data"]["kind"], error["data"]["server"]) == (
        -32034,
        "mcp_server_failed",
        "test",
    )
    assert "no license found" in error["message"]
    assert talk.events == []
    await host.start(talk.id)


async def test_approvals_are_asked_for_the_tools_of_a_server(host: Host) -> None:
    agent = clerk(stdio(needs_approval=["add"]))
    talk = await host.start(agent=agent, script=script(calling("add", a=2, b=3)))
    await talk.ask("sendText", text="Add.")
    question = await host.call("tool.approve")
    assert (question["params"]["toolName"], question["params"]["arguments"]) == ("add", {"a": 2, "b": 3})
    host.respond(question, result={"decision": "approve"})
    assert (await talk.ask("wait"))["responses"][-1]["text"] == "Told: 5"


async def test_two_servers_of_one_name_must_be_the_same(host: Host) -> None:
    other = {"name": "other", "mcp_servers": [stdio("--fault", "hang")]}
    refused = await host.refused("session.start", agent=clerk(stdio(), handoffs=[other]))
    assert (refused["kind"], refused["path"]) == ("agent_invalid", "$.handoffs[0].mcp_servers[0]")


async def test_a_server_from_npm_started_by_npx_serves_and_ends(host: Host, tmp_path: Path) -> None:
    npx = find_program("npx")
    if not (JS / "node_modules" / "@modelcontextprotocol" / "server-filesystem").exists():
        missing("the JavaScript packages are not installed")
    (tmp_path / "note.txt").write_text("Buy milk.")
    server = {
        "name": "files",
        "type": "stdio",
        "command": npx,
        "args": ["--no-install", "mcp-server-filesystem", str(tmp_path)],
        "cwd": str(JS),
        "allowed_tools": ["read_text_file"],
        "connect_timeout_s": 60,
    }
    rule = calling("read_text_file", path=str(tmp_path / "note.txt"))
    talk = await host.start(agent=clerk(server), script=script(rule))
    ready = await talk.event("mcpStatus", status="ready")
    assert ready["tools"] == ["read_text_file"]
    assert await asked(talk) == "Told: Buy milk."
    await talk.ask("stop")


async def processes(host: Host, *args: str) -> list[int]:
    """The processes of a new session's server: itself, and one that it started and that ignores signals."""
    talk = await host.start(agent=clerk(stdio(*args)), script=script(calling("pids")))
    await asked(talk)
    return list(json.loads(talk.of("toolEnd")[0]["output"]).values())


@pytest.mark.parametrize("fault", [[], ["--fault", "deaf"]])
async def test_no_process_of_a_server_outlives_a_daemon_that_is_killed(
    tmp_path: Path, fault: list[str]
) -> None:
    async with Host.spawn(tmp_path) as host:
        pids = await processes(host, *fault)
        host.daemon.signal(signal.SIGKILL)
        await host.daemon.wait_exit()
        await ended(pids)
        host._over = True


@pytest.mark.parametrize("fault", [[], ["--fault", "deaf"]])
@pytest.mark.parametrize("way", ["eof", "SIGTERM"])
async def test_no_process_of_a_server_outlives_the_daemon(tmp_path: Path, way: str, fault: list[str]) -> None:
    async with Host.spawn(tmp_path) as host:
        pids = await processes(host, *fault)
        if way == "eof":
            host.daemon.close_stdin()
        else:
            host.daemon.signal(signal.SIGTERM)
        await host.finished(0)
        await ended(pids)
