"""The provider's end of the latency benchmarks, in a process of its own.

Speaks just enough of the realtime protocol to keep a client content. Every chunk of audio starts with the
time it was made (nanoseconds of the system's monotonic clock, which all processes share), so that either end
can tell how long it was on its way. Prints its port first; at the end of a connection a line of JSON with the
latencies of what it received.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import sys
import time

from websockets.asyncio.server import ServerConnection, serve

CHUNK_BYTES = 4800
INTERVAL_S = 0.02
STAMP = struct.Struct("<q")


def stamped() -> bytes:
    """A chunk of audio that carries the time of its making."""
    return STAMP.pack(time.monotonic_ns()).ljust(CHUNK_BYTES, b"\0")


def age_us(chunk: bytes) -> float:
    """How old a stamped chunk is, in µs."""
    made: int = STAMP.unpack_from(chunk)[0]
    return (time.monotonic_ns() - made) / 1000


async def speak(connection: ServerConnection, count: int) -> None:
    """One response of `count` audio deltas at a steady rate."""
    await send(connection, "response.created", response={"id": "resp_1", "object": "realtime.response"})
    for _ in range(count):
        await asyncio.sleep(INTERVAL_S)
        part = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
        await send(
            connection, "response.output_audio.delta", delta=base64.b64encode(stamped()).decode(), **part
        )
    await send(
        connection,
        "response.done",
        response={"id": "resp_1", "object": "realtime.response", "status": "completed"},
    )


async def send(connection: ServerConnection, kind: str, **members: object) -> None:
    """One event."""
    await connection.send(json.dumps({"type": kind, "event_id": f"event_{time.monotonic_ns()}", **members}))


async def converse(connection: ServerConnection) -> None:
    """One connection."""
    received: list[float] = []
    session = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "gpt-realtime"}
    audio = {"input": {"turn_detection": None}, "output": {"format": {"type": "audio/pcm", "rate": 24000}}}
    await send(connection, "session.created", session={**session, "audio": audio})
    speaking: asyncio.Task[None] | None = None
    async for message in connection:
        event = json.loads(message)
        if event["type"] == "input_audio_buffer.append":
            received.append(age_us(base64.b64decode(event["audio"])))
        elif event["type"] == "session.update":
            await send(connection, "session.updated", session={**session, "audio": audio})
        elif event["type"] == "response.create":
            speaking = asyncio.create_task(speak(connection, int(os.environ["BENCH_DELTAS"])))
    if speaking is not None:
        speaking.cancel()
    sys.stdout.write(json.dumps(received) + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Serve until stdin ends."""
    async with serve(converse, "127.0.0.1", 0, compression=None, max_size=None) as server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
