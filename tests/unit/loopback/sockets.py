"""A plain WebSocket client of the simulator, for tests over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from omnirt.loopback import LoopbackEndpoint, LoopbackServer, SimulatorProfile, load_script
from tests.unit.loopback.helpers import Event

LIMIT_S = 20.0  # a bound for what takes milliseconds, on a machine that may be busy
SPEED = 20.0


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous test within the limit."""
    asyncio.run(asyncio.wait_for(test, LIMIT_S))


@asynccontextmanager
async def simulator(
    script: Mapping[str, object] | None = None, speed: float = SPEED
) -> AsyncIterator[LoopbackEndpoint]:
    """A server with one endpoint."""
    async with LoopbackServer() as server:
        yield server.open(SimulatorProfile(load_script(script or {}), speed))


@asynccontextmanager
async def connected(endpoint: LoopbackEndpoint) -> AsyncIterator[ClientConnection]:
    """A connection that is let in."""
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    async with connect(endpoint.url, additional_headers=headers, compression=None, close_timeout=1) as socket:
        yield socket


@asynccontextmanager
async def session(
    script: Mapping[str, object] | None = None, speed: float = SPEED
) -> AsyncIterator[ClientConnection]:
    """A connection to a server of its own."""
    async with simulator(script, speed) as endpoint, connected(endpoint) as socket:
        yield socket


async def send(socket: ClientConnection, type_: str, /, **members: object) -> None:
    """Send one event."""
    await socket.send(json.dumps({"type": type_, **members}))


async def ask(socket: ClientConnection, text: str) -> None:
    """Write to it, and ask for a response."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await send(socket, "conversation.item.create", item=item)
    await send(socket, "response.create")


async def until(socket: ClientConnection, wanted: str | Callable[[Event], bool]) -> list[Event]:
    """The events up to and with the one that is wanted."""
    events: list[Event] = []
    while True:
        event: Event = json.loads(await socket.recv())
        events.append(event)
        if event["type"] == wanted if isinstance(wanted, str) else wanted(event):
            return events


async def until_closed(socket: ClientConnection) -> tuple[list[Event], ConnectionClosed]:
    """The events up to the end, and the end."""
    events: list[Event] = []
    while True:
        try:
            events.append(json.loads(await socket.recv()))
        except ConnectionClosed as end:
            return events, end
