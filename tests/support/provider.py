"""A provider for tests: a real WebSocket server on the loopback interface that says what a test tells it to.

It answers the settings by itself, unless told not to; all else is the test's:

    async with Provider.open() as provider:
        …  # connect a client to provider.url
        await provider.expect("response.create")
        await provider.send(events.created("r1"), events.audio("r1", "i1", 100))
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

Json = dict[str, Any]

WAIT_S = 10.0
"""Every wait ends by then; only ever used up by a failure."""


class Provider:
    """The server, and the one conversation that a test holds over it."""

    def __init__(self, *, answers: bool, expires_at: float | None) -> None:
        self.received: list[Json] = []
        """Every event of the client, in order."""
        self.requests: list[Request] = []
        """The handshakes."""
        self.url = ""
        self._answers = answers
        self._connection: ServerConnection | None = None
        self._changed = asyncio.Condition()
        self._read = 0
        self._session: Json = {
            "type": "realtime",
            "object": "realtime.session",
            "id": "sess_1",
            "model": "gpt-realtime",
            "output_modalities": ["audio"],
            "expires_at": expires_at,
        }

    @classmethod
    @asynccontextmanager
    async def open(cls, *, answers: bool = True, expires_at: float | None = None) -> AsyncIterator[Provider]:
        """Run a server; with `answers` false it sends nothing by itself. `expires_at` is only said."""
        provider = cls(answers=answers, expires_at=expires_at)
        server: Server = await serve(
            provider._converse,
            "127.0.0.1",
            0,
            process_request=provider._admit,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=1,
        )
        provider.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        try:
            yield provider
        finally:
            provider.abort()
            server.close()
            await asyncio.wait_for(server.wait_closed(), WAIT_S)

    async def connected(self) -> ServerConnection:
        """The client's connection, once it is there."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: self._connection is not None)
        assert self._connection is not None
        return self._connection

    async def send(self, *messages: Json | str) -> None:
        """Send events, or text just as it is."""
        connection = await self.connected()
        for message in messages:
            await connection.send(message if isinstance(message, str) else json.dumps(message))

    async def expect(self, kind: str) -> Json:
        """The next event of this type that the client sends, or sent and nobody asked for yet."""
        async with asyncio.timeout(WAIT_S), self._changed:
            while True:
                while self._read < len(self.received):
                    event = self.received[self._read]
                    self._read += 1
                    if event["type"] == kind:
                        return event
                await self._changed.wait()

    def types(self) -> list[str]:
        """The types of all that the client sent."""
        return [event["type"] for event in self.received]

    def of(self, kind: str) -> list[Json]:
        """Everything of one type that the client sent."""
        return [event for event in self.received if event["type"] == kind]

    async def close(self, code: int, reason: str = "") -> None:
        """End the connection with a close frame."""
        await (await self.connected()).close(code, reason)

    def abort(self) -> None:
        """End the connection without a word."""
        if self._connection is not None:
            self._connection.transport.abort()

    async def fall_silent(self) -> None:
        """Keep the connection and neither read nor answer any more, not even a close frame."""
        (await self.connected()).transport.pause_reading()

    def _admit(self, _connection: ServerConnection, request: Request) -> None:
        self.requests.append(request)

    async def _converse(self, connection: ServerConnection) -> None:
        async with self._changed:
            self._connection = connection
            self._changed.notify_all()
        if self._answers:
            await self.send({"type": "session.created", "event_id": "e0", "session": self._session})
        try:
            async for message in connection:
                await self._take(json.loads(message))
        except ConnectionClosed:
            pass  # by the test, or by the client

    async def _take(self, event: Json) -> None:
        if self._answers and event["type"] == "session.update":
            self._session |= {k: value for k, value in event["session"].items() if value is not None}
            await self.send({"type": "session.updated", "event_id": "e1", "session": self._session})
        async with self._changed:
            self.received.append(event)
            self._changed.notify_all()
