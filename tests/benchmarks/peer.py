"""The provider's end of the benchmarks, in a process of its own.

Speaks just enough of the realtime protocol to keep a client content. Prints its port first; for each
connection, when it has received `expect` chunks of audio, a line of JSON that says when each was made
and when it arrived.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import NamedTuple

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.benchmarks.audio import DELTA_BYTES, Ages, stamp, tail

_AUDIO = {"input": {"turn_detection": None}, "output": {"format": {"type": "audio/pcm", "rate": 24000}}}
_SESSION = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "gpt-realtime"}
_TAIL = tail(DELTA_BYTES).decode()


class Part(NamedTuple):
    """What the provider does: chunks to expect on each connection, deltas of each response, their pace."""

    expect: int = 0
    deltas: int = 0
    interval_s: float = 0.1
    compression: str | None = None


async def speak(connection: ServerConnection, part: Part, response: int) -> None:
    """One response, its deltas at a steady rate (or as fast as they go)."""
    loop = asyncio.get_running_loop()
    response_id, item_id = f"resp_{response}", f"item_{response}"
    await send(connection, "response.created", response={"id": response_id, "object": "realtime.response"})
    head = json.dumps(
        {
            "type": "response.output_audio.delta",
            "event_id": "event_1",
            "response_id": response_id,
            "item_id": item_id,
            "output_index": 0,
            "content_index": 0,
        }
    )[:-1]
    due = loop.time()
    for number in range(part.deltas):
        if part.interval_s:
            due += part.interval_s
            await asyncio.sleep(due - loop.time())
        await connection.send(f'{head},"delta":"{stamp(number).decode()}{_TAIL}"}}')
    done = {"id": response_id, "object": "realtime.response", "status": "completed"}
    await send(connection, "response.done", response=done)


async def send(connection: ServerConnection, kind: str, **members: object) -> None:
    """One event."""
    await connection.send(json.dumps({"type": kind, "event_id": "event_1", **members}))


async def converse(connection: ServerConnection, part: Part) -> None:
    """One connection."""
    await send(connection, "session.created", session={**_SESSION, "audio": _AUDIO})
    with suppress(ConnectionClosed):
        await listen(connection, part)


async def listen(connection: ServerConnection, part: Part) -> None:
    """Until the client closes."""
    ages = Ages()
    responses = 0
    speaking: set[asyncio.Task[None]] = set()
    async for message in connection:
        text = message.encode() if isinstance(message, str) else message
        if b"input_audio_buffer.append" in text:
            ages.add(text, text.index(b'"', text.index(b'"audio":') + 8) + 1)
            if len(ages) == part.expect:
                sys.stdout.write(json.dumps({"up": ages.times, "in_order": ages.in_order}) + "\n")
                sys.stdout.flush()
        elif b"session.update" in text:
            await send(connection, "session.updated", session={**_SESSION, "audio": _AUDIO})
        elif b"response.create" in text:
            responses += 1
            speaking.add(asyncio.create_task(speak(connection, part, responses)))
    for task in speaking:
        task.cancel()


async def main(part: Part) -> None:
    """Serve until stdin ends."""
    async with serve(
        lambda connection: converse(connection, part),
        "127.0.0.1",
        0,
        compression="deflate" if part.compression else None,
        max_size=None,
    ) as server:
        sys.stdout.write(f"port {server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Part(**json.loads(sys.argv[1]))))
