"""Canaries in every place where a secret can stand, and none of them in anything that the daemon writes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support import provider_events as events
from tests.support.host import AGENT, Host
from tests.support.internet import NO_SETTINGS, through
from tests.support.provider import Provider

pytestmark = pytest.mark.anyio

MARK = "CANARY"
SECRET_HEADERS = (
    *("Authorization", "authorization", "AUTHORIZATION", "Api-Key", "api_key", "X-Api-Key", "X-Auth-Token"),
    *("Ocp-Apim-Subscription-Key", "Cookie", "Set-Cookie", "X-Client-Secret", "X-Access-Token", "X-Password"),
    *("CF-Access-Client-Secret", "X-Goog-Api-Key", "X-Amz-Security-Token", "Private-Token", "X-Signature"),
)
HEADER_KEYS = ("headers", "extra_headers", "openai_headers", "openai_extra_headers")
KEY_SETTINGS = ("openai_api_key", "api_key")
QUERIES = ("key", "token", "access_token", "api-key", "API_KEY", "sig", "code", "client_secret", "password")


class Aviary:
    """Gives canaries away, each one different, and knows them all."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def canary(self, prefix: str = "") -> str:
        """A new one."""
        self.given.append(f"{prefix}{MARK}{len(self.given):04}+xyz")  # the sign has other forms in a URL
        return self.given[-1]

    def headers(self) -> dict[str, str]:
        """One under each name that says so, in a cookie among others."""
        cookies = f"theme=dark; sid={self.canary()}"
        return {name: cookies if name == "Cookie" else self.canary() for name in SECRET_HEADERS}

    def url(self, base: str) -> str:
        """A URL with one in each place that has room."""
        scheme, rest = base.split("://")
        members = "&".join(f"{name}={self.canary()}" for name in QUERIES)
        return f"{scheme}://{self.canary()}:{self.canary()}@{rest}?{members}"

    def forms(self) -> Iterator[bytes]:
        """What must be seen nowhere: the mark itself, and what it looks like in an encoded header."""
        yield MARK.encode()
        yield MARK.lower().encode()
        for before, start in enumerate((0, 2, 3)):
            encoded = base64.b64encode(b" " * before + MARK.encode())
            yield encoded[start : -4 if before else None]  # letters that depend on nothing but the mark


@pytest.fixture
def birds() -> Aviary:
    return Aviary()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider.open() as made:
        yield made


def environment(birds: Aviary) -> dict[str, str]:
    """Secrets of every kind around the daemon, and proxies with passwords that lead nowhere."""
    proxy = f"http://{birds.canary()}:{birds.canary()}@127.0.0.1:1"
    return {
        **NO_SETTINGS,
        **through(proxy),
        "OPENAI_API_KEY": birds.canary("sk-"),
        "AZURE_OPENAI_API_KEY": birds.canary(),
        "AZURE_CLIENT_SECRET": birds.canary(),
        "GITHUB_TOKEN": birds.canary(),
        "OPENAI_EXTRA_HEADERS": json.dumps(birds.headers()),
        "HEADERS": "\n".join(f"{name}: {birds.canary()}" for name in SECRET_HEADERS),
    }


def configuration(birds: Aviary, folder: Path) -> Path:
    """A configuration file full of them."""
    path = folder / "config.toml"
    lines = [f'{name} = "{birds.canary()}"' for name in KEY_SETTINGS]
    lines.append(f'openai_realtime_base_url = "{birds.url("https://nobody.invalid/v1")}"')
    for table in ("openai_headers", "extra_headers"):
        lines += [f"[{table}]", *(f'"{name}" = "{value}"' for name, value in birds.headers().items())]
    path.write_text("\n".join(lines))
    return path


def settings(birds: Aviary, url: str) -> dict[str, Any]:
    """Every setting that can hold one, and a provider that takes them all."""
    return {
        "provider": "compatible",
        "reconnect": False,
        **{name: birds.canary("sk-") for name in KEY_SETTINGS},
        **{name: birds.headers() for name in HEADER_KEYS},
        "openai_realtime_url": birds.url(url),
        "azure_openai_endpoint": birds.url("https://res.openai.azure.com"),
        "openai_base_url": birds.url("https://compatible.test/v1"),
    }


def watched(data: Path, log: Path) -> tuple[str, ...]:
    """Flags with which a daemon writes all down that it ever does; the tape lies among the data."""
    data.mkdir()
    return ("--log-level", "debug", "--log-file", str(log), "--tape", str(data / "tape.jsonl"))


def nothing_leaked(birds: Aviary, *places: Path | bytes) -> None:
    """No canary in any of these texts, files and folders."""
    assert len(birds.given) > 20
    for place in places:
        files = [place] if isinstance(place, bytes) or place.is_file() else sorted(place.rglob("*"))
        assert files
        for file in files:
            if isinstance(file, Path) and not file.is_file():
                continue
            data = file if isinstance(file, bytes) else file.read_bytes()
            for form in birds.forms():
                at = data.find(form)
                assert at < 0, (
                    f"{file if isinstance(file, Path) else 'said'}: {data[max(0, at - 200) : at + 60]!r}"
                )


async def echo(provider: Provider, words: str) -> None:
    """Says everything that the client must not repeat, in every event that has room for words."""
    error = {"type": words, "code": words, "message": f"Wrong: {words}", "param": words, "event_id": words}
    item = {
        "id": "item_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": words}],
    }
    failed: dict[str, Any] = {"id": "resp_9", "object": "realtime.response", "status": "failed", "output": []}
    failed["status_details"] = {"type": "failed", "reason": words, "error": error}
    await provider.send(
        {"type": "error", "event_id": "e7", "error": error},
        {"type": "conversation.item.added", "event_id": "e8", "item": item, "previous_item_id": None},
        {"type": "response.created", "event_id": "e9", "response": {**failed, "status": "in_progress"}},
        {"type": "response.done", "event_id": "e10", "response": failed},
        {"type": "echo.unknown", "event_id": "e11", "headers": {words: words}, "list": [words]},
        '{"type": "broken", "words": "' + words,
    )


def test_the_search_finds_a_canary_in_every_form(birds: Aviary) -> None:
    word = birds.canary().encode()
    written = [word, word.lower(), *(base64.b64encode(b"user:"[:n] + word) for n in range(6))]
    for data in written:
        assert any(form in data for form in birds.forms()), data


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_a_whole_session_with_a_provider_that_repeats_everything(
    birds: Aviary, provider: Provider, tmp_path: Path, log_format: str
) -> None:
    data, log = tmp_path / "data", tmp_path / "daemon.log"
    flags = (*watched(data, log), "--log-format", log_format)
    config = configuration(birds, tmp_path)
    given = settings(birds, provider.url)
    async with Host.spawn(data, *flags, "--config", str(config), env=environment(birds)) as host:
        talk = await host.start(agent=dict(AGENT), settings=given, raw=True)
        head = provider.requests[0]
        repeated = [value for name, value in head.headers.raw_items() if MARK in value]
        repeated += [head.path, given["openai_realtime_url"]]
        assert len(repeated) > len(SECRET_HEADERS) // 2, "the server got them"
        repeated += [" ".join(birds.given), " ".join(map(quote, birds.given))]
        for words in repeated:
            await echo(provider, words)
        await talk.event("raw", len(repeated) * 5 + 2)
        await talk.ask("sendText", text="Hello", respond=False)
        await host.ask("server.stats")
        await host.ask("session.list")
        await talk.ask("get")
        host.notify("session.sendText", sessionId="nobody", text="x")
        await provider.close(1011, repeated[0][:100])
        closed = await talk.event("closed")
        assert closed["reason"] == "connectionLost"
        assert len(talk.of("error")) > len(repeated)
        daemon = host.daemon
    assert (data / "tape.jsonl").read_text().count("***") > len(SECRET_HEADERS)
    nothing_leaked(birds, daemon.stdout, daemon.stderr, log, data)


def failing_settings(birds: Aviary) -> list[dict[str, Any]]:
    """Starts that fail, each with a secret in or near what is wrong."""
    plain = {"provider": "compatible", "openai_base_url": "ws://127.0.0.1:1/v1"}
    return [
        settings(birds, "ws://127.0.0.1:1/v1/realtime"),
        {**plain, "api_key": f"sk-{birds.canary()}\nX: y"},
        {**plain, "api_key": [birds.canary()]},
        {**plain, "headers": {"X-Token": f"{birds.canary()}\r\n"}},
        {**plain, "headers": {"X-Token": {"a": birds.canary()}}},
        {**plain, "headers": {f"sk-{birds.canary()} x": "y"}},
        {**plain, "headers": {f"sk-{birds.canary()}": "y\n"}},
        {"openai_base_url": birds.url("https://a..b.test/v1")},
        {**plain, "headers": f"Authorization: Bearer {birds.canary()}"},
        {"openai_base_url": birds.url("wss://compatible.test/v1")},
        {"openai_base_url": birds.url("ftp://compatible.test/v1")},
        {"openai_base_url": f"wss://u:{birds.canary()}@h:port/x"},
        {"openai_realtime_url": f"https://h.test/x?token={birds.canary()}"},
        {"azure_openai_endpoint": birds.url("https://res.openai.azure.com"), "api_key": birds.canary()},
        {"provider": f"sk-{birds.canary()}"},
        {f"sk-{birds.canary()}": 1},
        {**plain, "openai_realtime_api_key_in_query": f"sk-{birds.canary()}"},
        {**plain, "azure_openai_api_version": f"sk-{birds.canary()}", "provider": "azure"},
    ]


async def test_starts_that_fail(birds: Aviary, provider: Provider, tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "daemon.log"
    flags = watched(data, log)
    async with Host.spawn(data, *flags, env=environment(birds)) as host:
        for given in failing_settings(birds):
            await host.refused("session.start", agent=dict(AGENT), settings=given)
        servers = [
            {
                "name": "web",
                "type": "http",
                "url": birds.url("http://127.0.0.1:1/mcp"),
                "headers": {"Authorization": f"Bearer {birds.canary()}", "X-Api-Key": birds.canary()},
                "required": True,
            }
        ]
        start = {"agent": {**AGENT, "mcp_servers": servers}, "settings": {"provider": "simulator"}}
        await host.reply(host.tell("session.start", **start))
        daemon = host.daemon
    nothing_leaked(birds, daemon.stdout, daemon.stderr, log, data)


async def test_a_refusal_that_repeats_the_key(birds: Aviary, tmp_path: Path) -> None:
    """At the handshake, by an error before the session is there, and by the words of a close."""
    data, log = tmp_path / "data", tmp_path / "daemon.log"
    flags = watched(data, log)
    async with Host.spawn(data, *flags, env=environment(birds)) as host:
        await host.start("first")  # the voice SDK takes seconds to load, and the provider waits no longer
        for way in ("error", "close", "created"):
            async with Provider.open(answers=False) as provider:
                given = settings(birds, provider.url)
                _, start = host.begin(agent=dict(AGENT), settings=given)
                update = await provider.expect("session.update")
                assert MARK not in str(update)
                words = provider.requests[0].headers["X-Api-Key"]
                match way:
                    case "error":
                        await provider.send(events.error(f"Wrong key {words}", event_id=None))
                    case "close":
                        await provider.close(4000, f"Wrong key {words}")
                    case "created":
                        await provider.send({"type": words, "message": words})
                        provider.abort()
                reply = await host.reply(start)
                assert "error" in reply
        daemon = host.daemon
    nothing_leaked(birds, daemon.stdout, daemon.stderr, log, data)


async def test_a_handshake_that_is_refused_with_the_key_in_its_body(birds: Aviary, tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "daemon.log"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"error": {"message": head.decode(), "code": "c", "type": head.decode()}}).encode()
        status = next(statuses)
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()

    wanted = [400, 401, 404, 429, 500]
    statuses = iter(wanted)
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        flags = watched(data, log)
        async with Host.spawn(data, *flags, env=environment(birds)) as host:
            for status in wanted:
                given = settings(birds, url)
                error = await host.refused("session.start", agent=dict(AGENT), settings=given)
                assert error["status"] == status
            daemon = host.daemon
    nothing_leaked(birds, daemon.stdout, daemon.stderr, log, data)


LEAK = """
import logging
import os

def leak() -> str:
    \"\"\"Fails, and says too much.\"\"\"
    found = " ".join(os.environ[name] for name in os.environ["LEAKED"].split())
    logging.getLogger("leaky").warning("found %s", found)
    raise ValueError(found)
"""


async def test_a_tool_that_logs_and_raises_what_it_found_in_the_environment(
    birds: Aviary, tmp_path: Path
) -> None:
    (tmp_path / "leaky_tools.py").write_text(LEAK)
    data, log = tmp_path / "data", tmp_path / "daemon.log"
    env = environment(birds)
    leaked = "OPENAI_API_KEY AZURE_OPENAI_API_KEY AZURE_CLIENT_SECRET GITHUB_TOKEN HTTPS_PROXY"
    env |= {"PYTHONPATH": str(tmp_path), "LEAKED": leaked}
    script = {"rules": [{"on": "text", "do": [{"call": {"tool": "leak"}}]}, {"do": [{"say": "failed"}]}]}
    async with Host.spawn(data, *watched(data, log), env=env) as host:
        agent = {**AGENT, "tools": [{"run": "python:leaky_tools:leak"}]}
        talk = await host.start(agent=agent, script=script, raw=True)
        await talk.ask("sendText", text="Hello")
        await talk.ask("wait")
        [end] = talk.of("toolEnd")
        assert (end["status"], end["error"]["code"]) == ("failed", "ValueError")
        assert "***" in end["error"]["message"]
        await host.daemon.wait_stderr(lambda said: b"WARNING leaky: found ***" in said)
        daemon = host.daemon
    nothing_leaked(birds, daemon.stdout, daemon.stderr, log, data)
