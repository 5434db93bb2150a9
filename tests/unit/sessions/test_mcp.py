"""MCP servers, real ones, in a session: ready or failed, called, lost, closed, and no process left."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omnirt.daemon.family import children
from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.methods import SessionWaitResult
from omnirt.protocol.types import ErrorInfo
from omnirt.sessions.services import Services
from omnirt.sessions.session import RealtimeSession
from omnirt.storage import AudioStorage
from tests.support.daemon import driven
from tests.support.mcp_servers import ended, serving, stdio
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
        result = await reply
        assert isinstance(result, SessionWaitResult)
        responses = result.responses
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

    def end(self) -> Any:
        """The last end of a tool."""
        return self.of(ev.RealtimeToolEnd)[-1]


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


@pytest.mark.parametrize("transport", ["http", "sse"])
def test_a_server_behind_a_url_is_used_too_and_wants_its_headers(transport: Any, tmp_path: Path) -> None:
    @driven
    async def run() -> None:
        async with serving(tmp_path, transport, "--token", "t0p-secret") as server:
            named = {**server, "headers": {"Authorization": "Bearer t0p-secret"}}
            async with desk(tmp_path, named, rules=[calling("add", a=2, b=3)]) as talk:
                assert await talk.ask() == "Told: 5"
            assert talk.statuses() == ["starting", "ready", "closed"]
            wrong = {**server, "headers": {"Authorization": "Bearer wr0ng-secret"}}
            async with desk(tmp_path, wrong) as talk:
                failed = await talk.status("failed")
                assert isinstance(failed.error, ErrorInfo)
                assert "401" in failed.error.message
                assert "wr0ng-secret" not in str(failed)

    run()


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (stdio("--fault", "exit"), "no license found"),
        (stdio("--fault", "hang", connect_timeout_s=2), "not ready within 2 s"),
        (stdio("--fault", "garbage", connect_timeout_s=2), "not ready within 2 s"),
        (stdio(command="no-such-program"), "no program `no-such-program`"),
        (stdio(cwd="/no/such/folder"), "does not exist"),
        ({"name": "test", "type": "http", "url": "http://127.0.0.1:9/mcp"}, "test"),
        ({"name": "test", "type": "sse", "url": "http://127.0.0.1:9/sse"}, "test"),
    ],
)
def test_a_server_that_fails_is_told_and_fails_nothing_else(
    server: dict[str, Any], says: str, tmp_path: Path
) -> None:
    @driven
    async def run() -> None:
        async with desk(tmp_path, server, rules=[calling("add", a=2, b=3)]) as talk:
            failed = await talk.status("failed")
            assert isinstance(failed.error, ErrorInfo)
            assert failed.error.kind == "mcp_server_failed"
            assert says in failed.error.message
            assert "There is no tool named add" in await talk.ask()
        assert talk.statuses() == ["starting", "failed"]
        with pytest.raises(OmnirtError) as refused:
            async with desk(tmp_path, {**server, "required": True}):
                pass
        assert refused.value.kind == "mcp_server_failed"
        assert says in refused.value.message
        assert refused.value.facts == {"server": "test"}

    run()


@driven
async def test_servers_connect_at_once_and_one_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    slow = [stdio("--fault", "hang", name=f"slow{n}", connect_timeout_s=3) for n in range(3)]
    async with desk(tmp_path, *slow, stdio(), rules=[calling("add", a=2, b=3)]) as talk:
        assert await talk.ask() == "Told: 5"
        kinds = [event.status for event in talk.of(ev.RealtimeMcpStatus)]
        assert kinds[:4] == ["starting"] * 4  # all of them before one was done
        assert sorted(kinds[4:]) == [*["failed"] * 3, "ready"]


@driven
async def test_the_start_can_be_called_off_while_a_server_hangs(tmp_path: Path) -> None:
    spec = {**AGENT, "mcp_servers": [stdio("--fault", "hang")]}
    services = Services(storage=AudioStorage(tmp_path), environ=os.environ)
    session = RealtimeSession(spec, services=services, settings=simulated())
    before = children()
    await session.start()
    async with asyncio.timeout(WAIT_S):
        while not (started := children() - before):
            await asyncio.sleep(0.02)
    await asyncio.wait_for(session.stop(force=True), WAIT_S)
    await ended(started)
    await services.close()


@driven
async def test_an_error_of_a_tool_is_told_in_its_words(tmp_path: Path) -> None:
    async with desk(tmp_path, stdio(), rules=[calling("fail", reason="No such file")]) as talk:
        assert "The tool fail failed" in await talk.ask()
        end = talk.end()
        assert end.status == "failed"
        assert end.error.kind == "tool_failed"


@driven
async def test_unfit_arguments_do_not_reach_the_server(tmp_path: Path) -> None:
    async with desk(tmp_path, stdio(), rules=[calling("add", a="two")]) as talk:
        await talk.ask()
        assert talk.end().error.kind == "invalid_params"


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_slow_tool_times_out_and_the_others_go_on(transport: str, tmp_path: Path) -> None:
    @asynccontextmanager
    async def started() -> AsyncIterator[dict[str, Any]]:
        if transport == "stdio":
            yield stdio()
        else:
            async with serving(tmp_path, "http") as server:
                yield server

    @driven
    async def run() -> None:
        at_once = {
            "on": "user",
            "match": "both",
            "do": [
                {
                    "call": [
                        {"tool": "slow", "arguments": {"seconds": 60}},
                        {"tool": "add", "arguments": {"a": 1, "b": 1}},
                    ]
                }
            ],
        }
        async with started() as server:
            rules = [at_once, calling("add", a=2, b=3)]
            async with desk(tmp_path, {**server, "timeout_s": 1}, rules=rules) as talk:
                await talk.ask("both")
                ends = {end.tool_name: end for end in talk.of(ev.RealtimeToolEnd)}
                assert (ends["add"].status, ends["slow"].status) == ("completed", "timedOut")
                assert ends["slow"].error.kind == "timed_out"
                assert await talk.ask() == "Told: 5"

    run()


@driven
async def test_a_server_that_dies_in_a_call_is_told_and_the_talk_goes_on(tmp_path: Path) -> None:
    rules = [{**calling("die"), "match": "die"}, calling("add", a=2, b=3)]
    async with desk(tmp_path, stdio(), rules=rules) as talk:
        assert "The tool die failed" in await talk.ask("die")
        failed = await talk.status("failed")
        assert "ended by itself" in str(failed.error)
        assert talk.end().error.kind == "mcp_server_failed"
        # It is started again for the next use.
        assert await talk.ask("add") == "Told: 5"
    assert talk.statuses() == ["starting", "ready", "failed", "starting", "ready", "closed"]


@driven
async def test_a_server_that_cannot_be_started_again_says_so(tmp_path: Path) -> None:
    once = tmp_path / "once"
    program = tmp_path / "program"
    real = stdio()
    command = " ".join([real["command"], *real["args"]])
    program.write_text(f"#!/bin/sh\ntest -e {once} && exit 1; touch {once}; exec {command}\n")
    program.chmod(0o755)
    rules = [{**calling("die"), "match": "die"}, calling("add", a=2, b=3)]
    async with desk(tmp_path, {**real, "command": str(program), "args": []}, rules=rules) as talk:
        await talk.ask("die")
        assert "ended before it was ready" in await talk.ask("add")
        assert "ended before it was ready" in await talk.ask("add")
    assert talk.statuses() == ["starting", "ready", "failed", *["starting", "failed"] * 2]


@pytest.mark.parametrize("transport", ["http", "sse"])
def test_a_server_behind_a_url_may_come_back(transport: Any, tmp_path: Path) -> None:
    @driven
    async def run() -> None:
        rules = [calling("add", a=2, b=3)]
        async with AsyncExitStack() as stack:
            first = AsyncExitStack()
            server = await first.enter_async_context(serving(tmp_path, transport))
            talk = await stack.enter_async_context(desk(tmp_path, server, rules=rules))
            assert await talk.ask() == "Told: 5"
            await first.aclose()
            assert "The tool add failed" in await talk.ask()
            await talk.status("failed")
            port = server["url"].split(":")[2].split("/")[0]
            await stack.enter_async_context(serving(tmp_path, transport, "--port", port))
            assert await talk.ask() == "Told: 5"
        assert talk.statuses()[:2] == ["starting", "ready"]
        assert talk.statuses()[-3:] == ["starting", "ready", "closed"]

    run()


@driven
async def test_allowed_and_denied_tools_are_all_that_the_model_sees(tmp_path: Path) -> None:
    server = stdio(allowed_tools=["add", "say"], denied_tools=["say"])
    async with desk(tmp_path, server, rules=[calling("say", text="x")]) as talk:
        assert "There is no tool named say" in await talk.ask()


@driven
async def test_names_are_what_a_provider_takes_and_may_begin_with_the_servers(tmp_path: Path) -> None:
    async with desk(tmp_path, stdio(), rules=[calling("files_read", path="a.txt")]) as talk:
        assert await talk.ask() == "Told: contents of a.txt"
    named = {"mcp_config": {"include_server_in_tool_names": True, "convert_schemas_to_strict": True}}
    async with desk(tmp_path, stdio(), rules=[calling("mcp_test__add", a=2, b=3)], agent=named) as talk:
        assert await talk.ask() == "Told: 5"


@driven
async def test_a_tool_with_the_name_of_another_is_left_out_and_told(tmp_path: Path) -> None:
    two = [stdio(name="one", allowed_tools=["add"]), stdio(name="two", allowed_tools=["add", "say"])]
    async with desk(tmp_path, *two, rules=[calling("add", a=2, b=3)]) as talk:
        warning = await talk.heard.first(of(ev.RealtimeError))
        assert isinstance(warning, ev.RealtimeError)
        assert (warning.kind, warning.fatal) == ("agent_invalid", False)
        assert "`add`" in warning.message
        assert "server two" in warning.message
        assert await talk.ask() == "Told: 5"


@driven
async def test_approvals_are_for_all_tools_of_a_server_or_for_those_it_names(tmp_path: Path) -> None:
    rules = [calling("add", a=2, b=3)]
    async with desk(tmp_path, stdio(needs_approval=True), rules=rules) as talk:
        assert "was not approved" in await talk.ask()
        assert talk.end().status == "rejected"
        [resolved] = talk.of(ev.RealtimeToolApprovalResolved)
        assert (resolved.decision, resolved.by) == ("reject", "policy")
    async with desk(tmp_path, stdio(needs_approval=["say"]), rules=rules) as talk:
        assert await talk.ask() == "Told: 5"


@driven
async def test_agents_share_a_server_and_see_their_own_part_of_it(tmp_path: Path) -> None:
    other = {"name": "adder", "mcp_servers": [stdio(allowed_tools=["add"])]}
    rules = [
        {"on": "user", "match": "over", "do": [{"hand_off": "adder"}]},
        {**calling("say", text="x"), "match": "say"},
        calling("add", a=2, b=3),
    ]
    mine = stdio(allowed_tools=["say"])
    async with desk(tmp_path, mine, rules=rules, agent={"handoffs": [other]}) as talk:
        assert await talk.ask("say") == "Told: said"
        await talk.ask("over")
        assert "There is no tool named say" in await talk.ask("say")
        assert await talk.ask("add") == "Told: 5"
    assert talk.statuses() == ["starting", "ready", "closed"]


@driven
async def test_an_update_connects_new_servers_keeps_the_same_and_closes_the_rest(tmp_path: Path) -> None:
    rules = [calling("add", a=2, b=3)]
    async with desk(tmp_path, stdio(name="old"), stdio(name="kept", allowed_tools=[]), rules=rules) as talk:
        await talk.status("ready", "old")
        others = [stdio(name="kept", allowed_tools=["add"]), stdio(name="new", allowed_tools=[])]
        talk.session.put_update({**AGENT, "mcp_servers": others}, None, None)
        assert await talk.ask() == "Told: 5"
        await talk.status("closed", "old")
        broken = {**AGENT, "mcp_servers": [stdio("--fault", "exit", name="bad", required=True)]}
        talk.session.put_update(broken, None, None)
        assert await talk.ask() == "Told: 5"
    assert [talk.statuses(name) for name in ("old", "kept", "new")] == [["starting", "ready", "closed"]] * 3
    assert talk.statuses("bad") == ["starting", "failed"]
    assert [e.method for e in talk.of(ev.RealtimeError)] == ["session.update"]


@driven
async def test_a_server_sees_no_key_of_a_provider_but_what_it_is_given(tmp_path: Path) -> None:
    environ = {**os.environ, "OPENAI_API_KEY": "sk-of-the-provider", "EDITOR": "ed"}
    names = ("OPENAI_API_KEY", "EDITOR", "EXTRA")
    rules = [{**calling("variable", name=name), "match": name} for name in names]
    server = stdio(env={"EXTRA": "more"})
    async with desk(tmp_path, server, rules=rules, environ=environ) as talk:
        told = [await talk.ask(name) for name in names]
    assert told == ["Told: (not set)", "Told: ed", "Told: more"]


@driven
async def test_what_a_server_writes_to_stderr_is_logged_under_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="omnirt"):
        async with desk(tmp_path, stdio(), rules=[calling("say", text="a word")]) as talk:
            await talk.ask()
    assert any(record.getMessage() == "MCP server test: a word" for record in caplog.records)


@pytest.mark.parametrize("fault", ["", "deaf"])
def test_no_process_of_a_server_outlives_the_session(fault: str, tmp_path: Path) -> None:
    @driven
    async def run() -> None:
        server = stdio(*(["--fault", fault] if fault else []))
        async with desk(tmp_path, server, rules=[calling("pids")]) as talk:
            await talk.ask()
            pids = json.loads(talk.end().output)
        await ended(pids.values())

    run()
