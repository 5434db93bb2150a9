"""Hazards of the voice SDK's approvals and of its MCP servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
from agents import function_tool
from agents.mcp import MCPServerManager, MCPServerStdio, MCPServerStreamableHttp

from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolApproveResult
from omnirt.protocol.types import ErrorInfo
from omnirt.sessions.mcp_link import McpLink
from omnirt.specs.parts import AnyServer, HttpServer, StdioServer
from tests.hazards.test_tools import bare_agent, call_look
from tests.support.daemon import driven
from tests.support.mcp_servers import alive, ended, serving, stdio
from tests.support.provider import Provider
from tests.support.talks import Heard, bare_talk, of, of_type, omnirt_talk


def link_of(server: dict[str, Any], told: list[Any]) -> McpLink:
    """A link of ours to this server of a spec, which tells its statuses here."""
    spec: AnyServer = msgspec.convert(server, StdioServer | HttpServer)

    def tell(status: str, **fields: Any) -> None:
        told.append((status, fields.get("error")))

    return McpLink(spec, os.environ, tell, str)


class TestARejectedTool:
    """A tool that is rejected ends without having started."""

    @driven
    async def test_bare_it_never_started(self) -> None:
        @function_tool(needs_approval=True)
        def look() -> str:
            return "seen"

        async with Provider.open() as provider, bare_talk(provider.url, agent=bare_agent(look)) as session:
            events = Heard(session.__aiter__())
            await call_look(provider)
            asked: Any = await events.first(of_type("tool_approval_required"))
            await session.reject_tool_call(asked.call_id)
            await events.first(of_type("tool_end"))
            assert not [e for e in events.events if e.type == "tool_start"]
            await events.stop()

    @driven
    async def test_omnirt_starts_it_and_ends_it(self, tmp_path: Path) -> None:
        async def call_host(method: str, params: object, timeout_s: float) -> ToolApproveResult:
            return ToolApproveResult(decision="reject")

        tool = {"name": "look", "run": "host", "needs_approval": True}
        agent = {"name": "greeter", "tools": [tool]}
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=agent, call_host=call_host) as session,
        ):
            events = Heard(session.stream_events())
            await call_look(provider)
            end = await events.first(of(ev.RealtimeToolEnd))
            assert isinstance(end, ev.RealtimeToolEnd)
            assert end.status == "rejected"
            assert [e for e in events.events if isinstance(e, ev.RealtimeToolStart)]
            await events.stop()


class TestTwoToolsOfOneHttpServer:
    """The SDK lets a server behind a URL run one tool at a time."""

    @driven
    async def test_bare_a_quick_tool_waits_for_a_slow_one(self, tmp_path: Path) -> None:
        async with (
            serving(tmp_path, "http") as spec,
            MCPServerStreamableHttp({"url": spec["url"]}, client_session_timeout_seconds=20) as server,
        ):
            slow = asyncio.create_task(server.call_tool("slow", {"seconds": 0.5}))
            await asyncio.sleep(0)
            quick = asyncio.create_task(server.call_tool("add", {"a": 1, "b": 1}))
            await asyncio.wait({slow, quick}, return_when=asyncio.FIRST_COMPLETED)
            assert not quick.done()
            await quick

    @driven
    async def test_omnirt_does_not_wait(self, tmp_path: Path) -> None:
        async with serving(tmp_path, "http") as spec:
            link = link_of(spec, [])
            await link.settled()
            slow = asyncio.create_task(link.call("slow", {"seconds": 60}))
            await asyncio.sleep(0)
            assert await link.call("add", {"a": 1, "b": 1}) == "2"
            assert not slow.done()
            slow.cancel()
            await link.close()


class TestAServerThatRefuses:
    """Why a server behind a URL refuses is nowhere."""

    @driven
    async def test_bare_the_status_is_lost(self, tmp_path: Path) -> None:
        async with serving(tmp_path, "http", "--token", "sesame") as spec:
            manager = MCPServerManager([MCPServerStreamableHttp({"url": spec["url"]})])
            await manager.connect_all()
            [error] = manager.errors.values()
            assert "401" not in repr(error)
            await manager.cleanup_all()

    @driven
    async def test_omnirt_tells_it(self, tmp_path: Path) -> None:
        async with serving(tmp_path, "http", "--token", "sesame") as spec:
            told: list[Any] = []
            link = link_of(spec, told)
            await link.settled()
            status, error = told[-1]
            assert status == "failed"
            assert isinstance(error, ErrorInfo)
            assert "401" in error.message
            await link.close()


class TestTheProcessesOfAServer:
    """A server that ends by itself leaves what it started."""

    @driven
    async def test_bare_a_process_of_the_server_lives_on(self) -> None:
        spec = stdio()
        params: Any = {name: spec[name] for name in ("command", "args", "cwd")}
        async with MCPServerStdio(params, client_session_timeout_seconds=20) as server:
            result = await server.call_tool("pids", {})
        child = json.loads(result.content[0].text)["child"]
        assert alive(child)
        os.kill(child, signal.SIGKILL)

    @driven
    async def test_omnirt_leaves_none(self) -> None:
        told: list[Any] = []
        link = link_of(stdio(), told)
        await link.settled()
        pids = json.loads(await link.call("pids", {})).values()
        await link.close()
        await ended(pids)
        assert [status for status, _ in told] == ["starting", "ready", "closed"]
