"""The simulator's server, given anything at all on its sockets: the next client is served as ever."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct

from hypothesis import given, settings, strategies as st
from websockets.asyncio.client import connect

from omnirt.loopback import LoopbackServer, SimulatorProfile

LIMIT_S = 10
UPGRADE = (
    "GET /v1/realtime?model=m HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n"
)
TYPES = ["session.update", "input_audio_buffer.append", "conversation.item.create", "response.create", ""]


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame as a client sends it, of whatever kind."""
    mask = bytes(4)
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([0x80 | opcode]) + length + mask + payload


json_messages = st.builds(
    lambda kind, member: json.dumps({"type": kind, "event_id": "e", **member}).encode(),
    st.sampled_from(TYPES),
    st.dictionaries(
        st.sampled_from(["session", "audio", "item", "response"]),
        st.none() | st.integers() | st.text(max_size=8) | st.dictionaries(st.text(max_size=4), st.integers()),
        max_size=2,
    ),
)
frames = st.builds(frame, st.integers(0, 15), json_messages | st.binary(max_size=200))
sent = st.tuples(st.booleans(), st.lists(frames | st.binary(max_size=40), max_size=6))


async def serve_after(upgraded: bool, pieces: list[bytes]) -> None:
    async with LoopbackServer() as server, asyncio.timeout(LIMIT_S):
        endpoint = server.open(SimulatorProfile(speed=1000))
        port = int(endpoint.url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if upgraded:
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(UPGRADE.format(key=key, token=endpoint.token).encode())
            assert b"101" in await reader.readline()
        writer.write(b"".join(pieces))
        writer.write_eof()
        while await reader.read(65536):
            pass
        writer.close()
        headers = {"Authorization": f"Bearer {endpoint.token}"}
        async with connect(endpoint.url, additional_headers=headers, proxy=None) as client:
            assert json.loads(await client.recv())["type"] == "session.created"
            await client.send('{"type":"input_audio_buffer.clear"}')
            assert json.loads(await client.recv())["type"] == "input_audio_buffer.cleared"


@settings(deadline=None, max_examples=60)
@given(sent)
def test_any_bytes_on_a_connection_cost_that_connection(given_bytes: tuple[bool, list[bytes]]) -> None:
    asyncio.run(serve_after(*given_bytes))
