"""MCP servers, real ones, in a session: ready or failed, called, lost, closed, and no process left."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.sessions.services import Services
from omnirt.sessions.session import RealtimeSession
from omnirt.storage import AudioStorage
from tests.support.daemon import driven
from tests.support.mcp import ended, serving, stdio
from tests.support.talks import WAIT_S, Heard, of, simulated

AGENT: dict[str, Any] = {"name": "clerk", "instructions": "Be brief."}
CALL: dict[str, Any] = {
    "rules": [
        {"on": "tool_output", "do": [{"text": "Told: {tool_output}"}]},
    ]
}


def calling(tool: str, **arguments: Any) -> dict[str, Any]:
    """What the model does when it is asked."""
    return {"on": "user", "do": [{"call": {"tool": tool, "arguments": arguments}}]}


class Desk:
    """A session with servers."""

    def __init__(self, session: RealtimeSession, heard: Heard[Any]) -> None:
        self.session = session
        self.heard = heard

    async def ask(self, text: str = "Go on") -> str:
        """The last words of the model."""
        await self.session.send_text(text)
        reply = self.session.put_wait(WAIT_S)
        assert isinstance(reply, asyncio.Future)
        responses = (await reply).responses
        return str(responses[-1].text) if responses else ""

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.heard.events if isinstance(event, kind)]

    def statuses(self, server: str = "test") -> list[str]:
        """What was told of a server."""
        return [event.status for event in self.of(ev.RealtimeMcpStatus) if event.server == server]

    async def status(self, status: str, server: str = "test") -> ev.RealtimeMcpStatus:
        """This status, now or later."""
        event = await self.heard.first(
            lambda e: isinstance(e, ev.RealtimeMcpStatus) and (e.server, e.status) == (server, status)
        )
        assert isinstance(event, ev.RealtimeMcpStatus)
        return event

    def end(self) -> ev.RealtimeToolEnd:
        """The last end of a tool."""
        last: ev.RealtimeToolEnd = self.of(ev.RealtimeToolEnd)[-1]
        return last


@asynccontextmanager
async def desk(
    folder: Path,
    *servers: Mapping[str, Any],
    rules: list[dict[str, Any]] | None = None,
    agent: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[Desk]:
    """A live session whose agent has these servers, and whose model does this."""
    spec = {**AGENT, "mcp_servers": list(servers), **(agent or {})}
    services = Services(storage=AudioStorage(folder), environ=environ)
    script = {"rules": [*CALL["rules"], *(rules or [])]}
    session = RealtimeSession(spec, services=services, settings=simulated(script))
    try:
        async with session.managed():
            heard = Heard(session.stream_events())
            await heard.first(of(ev.RealtimeState))
            yield Desk(session, heard)
        await heard.end()
    finally:
        await services.close()


@driven
async def test_the_tools_of_a_server_are_called_like_any_other(tmp_path: Path) -> None:
    async with desk(tmp_path, stdio(), rules=[calling("add", a=2, b=3)]) as talk:
        ready = await talk.status("ready")
        assert isinstance(ready.tools, list)
        assert {"add", "files.read", "fail"} <= set(ready.tools)
        assert await talk.ask() == "Told: 5"
        [start] = talk.of(ev.RealtimeToolStart)
        assert (start.tool_name, start.arguments, start.agent) == ("add", {"a": 2, "b": 3}, "clerk")
        assert (talk.end().output, talk.end().status) == ("5", "completed")
    assert talk.statuses() == ["starting", "ready", "closed"]
