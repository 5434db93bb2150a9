"""Every disguise of a provider, end to end: what the server is asked for, behind TLS and a proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec import Struct

from tests.support.host import AGENT, Host, Talk
from tests.support.internet import EPHEMERAL, KEY, Internet, internet

pytestmark = pytest.mark.anyio

AUTHORIZATIONS = ("Authorization", "api-key")


class Disguise(Struct, kw_only=True):
    """Settings, and what the server must see."""

    title: str
    settings: dict[str, Any]
    host: str
    target: str
    headers: dict[str, str] = {}
    """Exactly these authorizations, and these among the others."""
    provider: str = "openai"
    model: str = "gpt-realtime"
    warning: str | None = None


AZURE = {"openai_api_key": KEY, "azure_openai_deployment_name": "dep"}
DISGUISES = [
    Disguise(
        title="OpenAI",
        settings={"openai_api_key": KEY},
        host="api.openai.com",
        target="/v1/realtime?model=gpt-realtime",
        headers={"Authorization": f"Bearer {KEY}"},
    ),
    Disguise(
        title="OpenAI with an ephemeral key, a model and headers in all four tables",
        settings={
            "api_key": EPHEMERAL,
            "openai_realtime_model": "gpt-realtime-mini",
            "headers": {"OpenAI-Project": "p1", "X-Order": "1"},
            "extra_headers": {"x-order": "2"},
            "openai_headers": {"X-Order": "3"},
            "openai_extra_headers": {"X-ORDER": "4"},
        },
        host="api.openai.com",
        target="/v1/realtime?model=gpt-realtime-mini",
        headers={"Authorization": f"Bearer {EPHEMERAL}", "OpenAI-Project": "p1", "X-Order": "4"},
        model="gpt-realtime-mini",
    ),
    Disguise(
        title="Azure's current form, without a scheme",
        settings={**AZURE, "azure_openai_endpoint": "res.openai.azure.com"},
        host="res.openai.azure.com",
        target="/openai/v1/realtime?model=dep",
        headers={"api-key": KEY},
        provider="azure",
        model="dep",
    ),
    Disguise(
        title="Azure's preview form",
        settings={
            **AZURE,
            "azure_openai_endpoint": "https://res.openai.azure.com/",
            "azure_openai_api_version": "2025-04-01-preview",
        },
        host="res.openai.azure.com",
        target="/openai/realtime?api-version=2025-04-01-preview&deployment=dep",
        headers={"api-key": KEY},
        provider="azure",
        model="dep",
        warning="/openai/v1/realtime?model=dep",
    ),
    Disguise(
        title="Azure with a bearer token of one's own",
        settings={
            "azure_openai_endpoint": "https://res.openai.azure.com",
            "openai_realtime_deployment": "other",
            "headers": {"authorization": f"Bearer {KEY}"},
        },
        host="res.openai.azure.com",
        target="/openai/v1/realtime?model=other",
        headers={"Authorization": f"Bearer {KEY}"},
        provider="azure",
        model="other",
    ),
    Disguise(
        title="Azure's services host",
        settings={**AZURE, "azure_openai_endpoint": "https://res.services.ai.azure.com/api/projects/p"},
        host="res.services.ai.azure.com",
        target="/openai/v1/realtime?model=dep",
        headers={"api-key": KEY},
        provider="azure",
        model="dep",
    ),
    Disguise(
        title="Azure's cognitive services host, as a base URL",
        settings={**AZURE, "openai_base_url": "https://res.cognitiveservices.azure.com"},
        host="res.cognitiveservices.azure.com",
        target="/openai/v1/realtime?model=dep",
        headers={"api-key": KEY},
        provider="azure",
        model="dep",
    ),
    Disguise(
        title="a compatible server below an odd path",
        settings={
            "openai_api_key": KEY,
            "openai_base_url": "https://compatible.test/odd/v2/realtime/?tenant=a%20b&x=",
            "openai_realtime_force_api_key_header": "YES",
        },
        host="compatible.test",
        target="/odd/v2/realtime?tenant=a%20b&x=&model=gpt-realtime",
        headers={"api-key": KEY},
        provider="compatible",
    ),
    Disguise(
        title="a whole URL, as it stands, with the key in its query",
        settings={
            "openai_api_key": KEY,
            "openai_realtime_url": "wss://compatible.test/a/realtime?b=%20c&model=m1&d",
            "openai_realtime_api_key_in_query": True,
        },
        host="compatible.test",
        target=f"/a/realtime?b=%20c&model=m1&d&api-key={KEY}",
        provider="compatible",
        model="m1",
    ),
]


@pytest.fixture(scope="module")
async def world(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Internet]:
    """One for the module."""
    async with internet(tmp_path_factory.mktemp("internet")) as made:
        yield made


@pytest.fixture(scope="module")
async def serving(world: Internet, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """A daemon in that internet."""
    async with Host.spawn(tmp_path_factory.mktemp("data"), env=world.env) as host:
        yield host


async def start(host: Host, settings: dict[str, Any], **params: Any) -> Talk:
    """A session that says one thing, to see that it works."""
    talk = await host.start(agent=dict(AGENT), settings=settings, **params)
    await talk.ask("sendText", text="Hello")
    waited = await talk.ask("wait")
    assert [response["status"] for response in waited["responses"]] == ["completed"]
    return talk


@pytest.mark.parametrize("row", DISGUISES, ids=lambda row: row.title)
async def test_a_server_is_asked_for_what_it_wants(host: Host, world: Internet, row: Disguise) -> None:
    asked = len(world.front.heads)
    talk = await start(host, row.settings, raw=True)
    assert (talk.started["provider"], talk.started["model"]) == (row.provider, row.model)
    [head] = world.front.heads[asked:]
    assert world.proxy.heads[-1].target == f"{row.host}:443"
    assert (head.target, head.all("Host")) == (row.target, [row.host])
    for name in AUTHORIZATIONS:
        assert head.all(name) == ([row.headers[name]] if name in row.headers else [])
    for name, value in row.headers.items():
        assert head.all(name) == [value]
    warnings = [error["message"] for error in talk.of("error")]
    assert len(warnings) == (row.warning is not None)
    assert row.warning is None or row.warning in warnings[0]
    query = parse_qs(urlsplit(head.target).query)
    updated = [raw["event"] for raw in talk.of("raw") if raw["event"]["type"] == "session.updated"]
    assert {updated[0]["session"]["model"], *query.get("model", []), *query.get("deployment", [])} == {
        row.model
    }


async def test_the_handshake_offers_no_compression_and_says_who_we_are(host: Host, world: Internet) -> None:
    """Deflating 100 ms of audio costs more than all else that is done to it."""
    await start(host, {"openai_api_key": KEY})
    head = world.front.heads[-1]
    assert head.all("Sec-WebSocket-Extensions") == []
    assert head.all("User-Agent")[0].startswith("omnirt/")


async def test_a_redirect_is_not_followed_and_takes_no_key_along(host: Host, world: Internet) -> None:
    asked = len(world.proxy.heads)
    world.front.answer = (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: wss://api.openai.com/v1/realtime\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    try:
        settings = {"openai_api_key": KEY, "openai_base_url": "https://compatible.test/v1"}
        error = await host.refused("session.start", agent=dict(AGENT), settings=settings)
    finally:
        world.front.answer = None
    assert (error["kind"], error["reason"], error["status"]) == ("provider_unreachable", "redirect", 307)
    assert [head.target for head in world.proxy.heads[asked:]] == ["compatible.test:443"]


async def test_variables_and_the_configuration_file_lead_there_as_well(
    world: Internet, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('openai_realtime_model = "from-file"\n[openai_headers]\nX-File = "1"\n')
    env = {**world.env, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://compatible.test/env"}
    async with Host.spawn(tmp_path / "data", "--config", str(config), env=env) as host:
        await start(host, {})
        head = world.front.heads[-1]
        assert head.target == "/env/realtime?model=from-file"
        assert (head.all("X-File"), head.all("Authorization")) == (["1"], [f"Bearer {KEY}"])
        hidden = {"openai_api_key": None}
        error = await host.refused("session.start", agent=dict(AGENT), settings=hidden)
        assert error["kind"] == "auth_failed"
        assert world.front.heads[-1].all("Authorization") == []
