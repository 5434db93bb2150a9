"""Connecting to servers that misbehave, and what a host would be told."""

from __future__ import annotations

import json

from websockets.asyncio.server import ServerConnection

from omnirt.errors import OmnirtError
from omnirt.providers.connect_errors import explain
from omnirt.providers.dialing import dial
from omnirt.providers.endpoint import Endpoint, resolve

KEY = "sk-canary-0815"


def endpoint_at(port: int, *, scheme: str = "ws", azure: bool = False) -> Endpoint:
    settings = {
        "openai_realtime_url": f"{scheme}://127.0.0.1:{port}/v1/realtime?model=m&token={KEY}",
        "provider": "azure" if azure else "compatible",
    }
    return resolve(settings, {}, {"OPENAI_API_KEY": KEY})


async def connect(endpoint: Endpoint, *, open_timeout: float = 5) -> OmnirtError:
    """Connects as a session does, and what comes of it."""
    try:
        connection = await dial(endpoint.url, endpoint.headers, open_timeout=open_timeout)
        async with connection:
            await connection.recv()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is under test
        return checked(explain(error, endpoint))
    raise AssertionError("it connected, and a message came")


def checked(error: OmnirtError) -> OmnirtError:
    """No key, no query, no repr in what a host would see."""
    seen = json.dumps([error.message, error.data])
    assert KEY not in seen
    assert "token=" not in seen
    assert "Error(" not in seen
    return error


async def silent(connection: ServerConnection) -> None:
    """A WebSocket server that accepts and says nothing."""
    await connection.wait_closed()
