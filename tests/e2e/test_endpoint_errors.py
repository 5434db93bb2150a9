"""What a host is told when there is no session: of providers, proxies and networks that really refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.support.host import AGENT, Host
from tests.support.internet import KEY, Internet, internet
from tests.support.network import Authority, front

pytestmark = pytest.mark.anyio

REFUSED = {status: f"sk-refused-{status}-canary" for status in (403, 404, 429, 503)}
UNKNOWN = "sk-unknown-canary"
QUOTA = b'{"error": {"type": "insufficient_quota", "message": "Pay for %b."}}' % UNKNOWN.encode()
AZURE = {"azure_openai_endpoint": "res.openai.azure.com", "azure_openai_deployment_name": "dep"}


@pytest.fixture(scope="module")
async def world(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Internet]:
    """One for the module, in which some keys are refused in some way."""
    scripts = {key: {"faults": [{"refuse": status}]} for status, key in REFUSED.items()}
    async with internet(tmp_path_factory.mktemp("internet"), scripts) as made:
        yield made


@pytest.fixture(scope="module")
async def serving(world: Internet, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """A daemon in that internet."""
    async with Host.spawn(tmp_path_factory.mktemp("data"), env=world.env) as host:
        yield host


async def refused(host: Host, **settings: Any) -> dict[str, Any]:
    """The error of a start; nothing of it stays, and the next one works."""
    error = await host.refused("session.start", agent=dict(AGENT), settings=settings, sessionId="s")
    assert "canary" not in str(error)
    assert (await host.ask("session.list"))["sessions"] == []
    return error


class Refusal(Struct, kw_only=True):
    """Settings, and what the host is told."""

    settings: dict[str, Any]
    kind: str
    retryable: bool
    says: tuple[str, ...]


REFUSALS = {
    "a key that is unknown": Refusal(
        settings={"openai_api_key": UNKNOWN},
        kind="auth_failed",
        retryable=False,
        says=("refuses the key (HTTP 401)", "gpt-realtime"),
    ),
    "a key that may not": Refusal(
        settings={"openai_api_key": REFUSED[403], "openai_realtime_model": "gpt-x"},
        kind="auth_failed",
        retryable=False,
        says=("HTTP 403", "gpt-x"),
    ),
    "Azure's 404": Refusal(
        settings={**AZURE, "openai_api_key": REFUSED[404]},
        kind="provider_error",
        retryable=False,
        says=("wss://<resource>.openai.azure.com/openai/v1/realtime?model=<deployment>", "`dep`"),
    ),
    "another's 404": Refusal(
        settings={"openai_api_key": REFUSED[404], "openai_base_url": "https://compatible.test/v9"},
        kind="provider_error",
        retryable=False,
        says=("wss://compatible.test/v9/realtime", "HTTP 404"),
    ),
    "a rate limit": Refusal(
        settings={"openai_api_key": REFUSED[429]},
        kind="provider_error",
        retryable=True,
        says=("rate limit", "HTTP 429"),
    ),
    "a service that is down": Refusal(
        settings={"openai_api_key": REFUSED[503]},
        kind="provider_unreachable",
        retryable=True,
        says=("HTTP 503",),
    ),
    "nobody there": Refusal(
        settings={"openai_base_url": "ws://127.0.0.1:1/v1"},
        kind="provider_unreachable",
        retryable=True,
        says=("nothing listens there",),
    ),
    "a host that the proxy does not find": Refusal(
        settings={"openai_base_url": "wss://nobody.test/v1"},
        kind="provider_unreachable",
        retryable=False,
        says=("the proxy refuses to connect (HTTP 502)",),
    ),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_says_what_to_do(host: Host, row: Refusal) -> None:
    error = await refused(host, **row.settings)
    assert (error["kind"], error["retryable"]) == (row.kind, row.retryable)
    for words in row.says:
        assert words in error["message"]


@pytest.mark.parametrize(
    ("head", "body", "kind", "retryable", "says"),
    [
        (b"429 No", QUOTA, "provider_error", False, "no quota left"),
        (b"200 OK", b"<html>", "provider_unreachable", False, "a plain HTTP server answers"),
        (
            b"101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade",
            b"",
            "provider_unreachable",
            False,
            "no WebSocket handshake",
        ),
    ],
)
async def test_an_answer_that_is_no_session_says_what_it_is(
    host: Host, world: Internet, head: bytes, body: bytes, kind: str, retryable: bool, says: str
) -> None:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    world.front.answer = b"HTTP/1.1 %b\r\n%b\r\n%b" % (head, length, body)
    try:
        error = await refused(host, openai_api_key=UNKNOWN)
    finally:
        world.front.answer = None
    assert (error["kind"], error["retryable"]) == (kind, retryable)
    assert says in error["message"]


@pytest.mark.parametrize(
    ("status", "says"), [(407, "a user name and a password"), (403, "refuses to connect")]
)
async def test_a_proxy_that_refuses_says_so(host: Host, world: Internet, status: int, says: str) -> None:
    asked = len(world.front.heads)
    world.proxy.answer = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
    try:
        error = await refused(host, openai_api_key=UNKNOWN)
    finally:
        world.proxy.answer = None
    assert (error["kind"], error["reason"], error["retryable"]) == ("provider_unreachable", "proxy", False)
    assert f"HTTP {status}" in error["message"]
    assert says in error["message"]
    assert len(world.front.heads) == asked


async def test_a_certificate_of_an_unknown_authority_is_never_let_pass(host: Host, tmp_path: Path) -> None:
    async with front(0, Authority(tmp_path).context("127.0.0.1")) as server:
        error = await refused(host, openai_base_url=f"wss://127.0.0.1:{server.port}", api_key=UNKNOWN)
        assert (error["kind"], error["reason"], error["retryable"]) == ("provider_unreachable", "tls", False)
        assert server.heads == []


@pytest.mark.parametrize(
    ("realtime", "path"),
    [
        ({"temperature": 0.8}, "$.realtime.temperature"),
        ({"input_audio_format": "opus"}, "$.realtime.input_audio_format"),
        (
            {"input_audio_format": {"type": "audio/pcm", "rate": 16000}},
            "$.realtime.input_audio_format.rate",
        ),
        ({"audio": {"output": {"format": {"type": "audio/opus"}}}}, "$.realtime.audio.output.format"),
    ],
)
async def test_a_realtime_setting_that_would_be_dropped_is_refused_by_name(
    host: Host, world: Internet, realtime: dict[str, Any], path: str
) -> None:
    asked = len(world.front.heads)
    settings = {"openai_api_key": KEY}
    error = await host.refused(
        "session.start", agent=dict(AGENT), settings=settings, realtime=realtime, sessionId="s"
    )
    assert error["kind"] == "invalid_params"
    assert error["path"].startswith(path)
    assert len(world.front.heads) == asked


async def test_neither_key_nor_url_names_what_would_do(host: Host) -> None:
    error = await refused(host)
    assert (error["kind"], error["code"], error["retryable"]) == ("endpoint_unresolved", -32030, False)
    assert error["settings"] == ["openai_api_key", "openai_headers"]
    for words in ("OPENAI_API_KEY", "configuration file", "omnirt auth set", "provider: simulator"):
        assert words in error["message"]


async def test_after_all_that_a_session_starts(host: Host) -> None:
    await host.start("s", agent=dict(AGENT), settings={"openai_api_key": KEY})
