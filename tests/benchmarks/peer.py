"""The provider's end of the benchmarks, in a process of its own.

Speaks just enough of the realtime protocol to keep a client content. Prints its port first; for each
connection, when it has received `expect` chunks of audio, a line of JSON that says when each was made
and when it arrived. It is built of what costs least, so that it is never what a benchmark waits for.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from typing import NamedTuple

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from tests.benchmarks.audio import DELTA_BYTES, Ages, stamp, tail

_AUDIO = {"input": {"turn_detection": None}, "output": {"format": {"type": "audio/pcm", "rate": 24000}}}
_SESSION = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "gpt-realtime"}
_TAIL = tail(DELTA_BYTES)
ROOM_BYTES = 1 << 20
"""What waits for a client that is behind."""


class Part(NamedTuple):
    """What the provider does: chunks to expect on each connection, deltas of each response, their pace."""

    expect: int = 0
    deltas: int = 0
    interval_s: float = 0.1


class Peer(WSListener):
    """One connection."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._ages = Ages()
        self._responses = 0
        self._speaking: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Of picows."""
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(ROOM_BYTES)
        self._tell("session.created", session={**_SESSION, "audio": _AUDIO})

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Of picows."""
        for task in self._speaking:
            task.cancel()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Of picows."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        text = frame.get_payload_as_bytes()
        if b"input_audio_buffer.append" in text:
            self._hear(text)
        elif b"session.update" in text:
            self._tell("session.updated", session={**_SESSION, "audio": _AUDIO})
        elif b"response.create" in text:
            self._responses += 1
            self._speaking.add(asyncio.create_task(self._speak(self._responses)))

    def pause_writing(self) -> None:
        """Of picows."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Of picows."""
        self._room.set()

    def _hear(self, text: bytes) -> None:
        ages = self._ages
        ages.add(text, text.index(b'"', text.index(b'"audio":') + 8) + 1)
        if len(ages) == self._part.expect:
            sys.stdout.write(json.dumps({"up": ages.times, "in_order": ages.in_order}) + "\n")
            sys.stdout.flush()

    async def _speak(self, response: int) -> None:
        """One response, its deltas at a steady rate (or as fast as they go)."""
        loop = asyncio.get_running_loop()
        response_id, item_id = f"resp_{response}", f"item_{response}"
        self._tell("response.created", response={"id": response_id, "object": "realtime.response"})
        members = {
            "type": "response.output_audio.delta",
            "event_id": "event_1",
            "response_id": response_id,
            "item_id": item_id,
            "output_index": 0,
            "content_index": 0,
        }
        head = json.dumps(members)[:-1].encode()
        due = loop.time()
        for number in range(self._part.deltas):
            if self._part.interval_s:
                due += self._part.interval_s
                await asyncio.sleep(due - loop.time())
            await self._room.wait()
            self._transport.send(WSMsgType.TEXT, b'%b,"delta":"%b%b"}' % (head, stamp(number), _TAIL))
        done = {"id": response_id, "object": "realtime.response", "status": "completed"}
        self._tell("response.done", response=done)

    def _tell(self, kind: str, **members: object) -> None:
        event = {"type": kind, "event_id": "event_1", **members}
        self._transport.send(WSMsgType.TEXT, json.dumps(event).encode())


async def main(part: Part) -> None:
    """Serve until stdin ends."""
    server = await ws_create_server(lambda request: Peer(part), "127.0.0.1", 0)
    sys.stdout.write(f"port {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    gc.disable()  # what it makes is little, and a collection would be taken for the way that is measured
    uvloop.run(main(Part(**json.loads(sys.argv[1]))))
