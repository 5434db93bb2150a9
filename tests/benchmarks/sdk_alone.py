"""The other floor: the voice SDK alone (`RealtimeRunner`), in a process that has the audio at hand.

Prints `ready` when its sessions are connected. A line on stdin sets it off: for each session chunks of audio
at the pace of speech, while it listens to what comes. When all is over it prints when the audio that it
received was made and arrived.
"""

from __future__ import annotations

import asyncio
import json
import sys

from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

from tests.benchmarks.audio import Ages, stamped
from tests.benchmarks.pace import paced


async def listen(session: RealtimeSession, deltas: int) -> Ages:
    """The audio of one session."""
    ages = Ages()
    if deltas:
        async for event in session:
            if event.type == "audio":
                ages.add_raw(event.audio.data)
                if len(ages) == deltas:
                    break
    return ages


async def main(url: str, count: int, chunks: int, deltas: int) -> None:
    """Hold `count` conversations."""
    runners = [
        RealtimeRunner(RealtimeAgent(name="a"), config={"tracing_disabled": True}) for _ in range(count)
    ]
    sessions = [await runner.run(model_config={"url": url, "headers": {}}) for runner in runners]
    for session in sessions:
        await session.enter()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    listening = [asyncio.create_task(listen(session, deltas)) for session in sessions]

    async def begin(index: int) -> None:
        # Not by a raw message of the SDK's, which costs 10 ms, and is no part of a conversation's pace.
        await sessions[index].model._websocket.send('{"type":"response.create"}')  # type: ignore[attr-defined] # private

    async def chunk(index: int, number: int) -> None:
        await sessions[index].send_audio(stamped(number))

    await paced(count, chunks, begin, chunk)
    down = [await task for task in listening]
    told = {
        "down": [times for ages in down for times in ages.times],
        "in_order": all(ages.in_order for ages in down),
    }
    print(json.dumps(told), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for session in sessions:
        await session.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:5])))
