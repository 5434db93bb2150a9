"""Faults of the system around the daemon, which have no test elsewhere; rows of the matrix in `faults`."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.daemon import WAIT_S, Daemon, Message
from tests.support.host import Host, Talk, says
from tests.support.speech import silence

pytestmark = pytest.mark.anyio

TOKEN = "of-the-tests"


@asynccontextmanager
async def simulate(url: str = "ws://127.0.0.1:0") -> AsyncIterator[tuple[Process, str]]:
    """A provider as a process of its own, and its URL; with a URL, there again."""
    port = str(urlsplit(url).port)
    command = (sys.executable, "-m", "omnirt", "simulate", "--port", port, "--token", TOKEN, "--json")
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        assert process.stdout is not None
        facts = json.loads(await asyncio.wait_for(process.stdout.readline(), WAIT_S))
        yield process, facts["url"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def at(url: str, **reconnect: int) -> Message:
    endpoint = {"provider": "compatible", "openai_realtime_url": url, "openai_api_key": TOKEN}
    return {**endpoint, "reconnect": reconnect}


async def begun(host: Host, settings: Message) -> Talk:
    talk, start = host.begin(settings=settings)
    assert "result" in await host.reply(start)
    return talk


async def test_a_provider_that_is_killed_and_comes_back_is_found_again(host: Host) -> None:
    async with simulate() as (process, url):
        talk = await begun(host, at(url, max_delay_ms=200, attempts=100))
        process.kill()
        await talk.event("state", 2, state="reconnecting")
    await talk.ask("sendText", text="Hello")
    async with simulate(url):
        assert (await talk.event("state", 2, state="connected"))["restored"] is True
        assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == ["completed"]
        await talk.ask("stop")


async def test_a_provider_that_is_killed_for_good_ends_the_session_with_the_first_reason(host: Host) -> None:
    async with simulate() as (process, url):
        talk = await begun(host, at(url, max_delay_ms=50, attempts=3))
        process.kill()
        closed = await talk.event("closed")
    assert (closed["reason"], closed["error"]["kind"]) == ("connectionLost", "provider_unreachable")


async def test_a_full_disk_is_told_once_and_the_talk_goes_on(tmp_path: Path) -> None:
    limited = ("bash", "-c", 'ulimit -f 200; exec "$@"', "bash", sys.executable, "-m", "omnirt", "serve")
    async with Daemon.spawn(["--data-dir", str(tmp_path)], command=limited) as daemon:
        host = Host(daemon)
        talk = await host.start(script=says("heard"), record="both")
        await talk.say(silence(20_000), 1000)
        await talk.ask("sendText", text="Hello")
        assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["I heard you."]
        assert [(error["kind"], error["fatal"]) for error in talk.of("error")] == [("storage_failed", False)]
        await host.finish()
