"""What the stock SDK really puts into its handshake: why the authorization is always ours to add."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
import websockets
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from omnirt.providers.endpoint import resolve

if TYPE_CHECKING:
    from agents.realtime import RealtimeModelConfig


def handshake(config: dict[str, Any], path: str) -> Request:
    """The request that the stock SDK opens a connection with."""

    async def run() -> Request:
        from agents.realtime import RealtimeAgent, RealtimeRunner

        requests: list[Request] = []

        def look(connection: ServerConnection, request: Request) -> Response | None:
            requests.append(request)
            return None

        async def serve(connection: ServerConnection) -> None:
            await connection.wait_closed()

        async with websockets.serve(serve, "127.0.0.1", 0, process_request=look) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"ws://127.0.0.1:{port}{path}"
            runner = RealtimeRunner(RealtimeAgent(name="a"), config={"tracing_disabled": True})
            whole = cast("RealtimeModelConfig", {**config, "url": url})
            async with asyncio.timeout(5), await runner.run(model_config=whole):
                pass
        return requests[0]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        ({}, "Authorization", "Bearer sk-a"),
        ({"headers": {"X-Tenant": "t"}}, "Authorization", "Bearer sk-a"),
        ({"headers": {"X-Tenant": "t"}}, "X-Tenant", "t"),
        ({"headers": {"authorization": "Bearer own"}}, "Authorization", "Bearer own"),
        ({"openai_realtime_force_api_key_header": "yes"}, "api-key", "sk-a"),
        ({"provider": "azure"}, "api-key", "sk-a"),
    ],
)
def test_our_headers_are_what_arrives_once_each(settings: dict[str, Any], name: str, value: str) -> None:
    settings = {"openai_base_url": "http://127.0.0.1:1/v1", "api_key": "sk-a", **settings}
    endpoint = resolve(settings, {}, {})
    path = "/" + endpoint.url.split("/", 3)[3]
    request = handshake({"headers": dict(endpoint.headers)}, path)
    assert request.headers.get_all(name) == [value]
    assert request.path == path
    keys = [header for header in ("Authorization", "api-key") if header in request.headers]
    assert len(keys) == 1


def test_a_key_in_the_query_arrives_there_only() -> None:
    settings = {"openai_base_url": "http://127.0.0.1:1/v1", "openai_realtime_api_key_in_query": "1"}
    endpoint = resolve(settings, {}, {"OPENAI_API_KEY": "sk-a"})
    request = handshake({"headers": dict(endpoint.headers)}, "/" + endpoint.url.split("/", 3)[3])
    assert request.path.endswith("&api-key=sk-a")
    assert "Authorization" not in request.headers


def test_the_bare_sdk_sends_no_authorization_once_it_is_given_headers() -> None:
    """The harm that `authorize` keeps away; once this fails, the SDK has learnt it."""
    assert "Authorization" not in handshake({"headers": {}, "api_key": "sk-a"}, "/").headers


def test_the_bare_sdk_falls_back_to_the_environment_without_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why headers are always given, empty ones too: a null key must hide the variable."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert handshake({}, "/").headers["Authorization"] == "Bearer sk-env"
    assert "Authorization" not in handshake({"headers": {}}, "/").headers
