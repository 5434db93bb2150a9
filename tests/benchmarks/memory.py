"""Memory: idle, with the SDK, per session, after an hour of audio; and how the telling of a talk grows."""

from __future__ import annotations

import asyncio

from tests.benchmarks import ways
from tests.benchmarks.child import LIMIT_S, LOAD_CORE, TESTED_CORE, Child, pin
from tests.benchmarks.peer import Part
from tests.benchmarks.startup import INITIALIZE, SDK
from tests.benchmarks.table import Row, Target, against, plain

ROUNDS = 5
FURTHER = 20
HALF_HOUR_CHUNKS = 30 * 60 * 50
HALF_HOUR_DELTAS = 30 * 60 * 10
RESPONSES = 30
"""In half an hour of audio: a minute each."""
TURNS = 50
BURST = 1000


async def at_first_reply() -> float:
    """MB when the daemon answers `initialize`."""
    child = await Child.spawn("-m", "omnirt", "serve", core=TESTED_CORE)
    child.send(INITIALIZE)
    await child.until(b'"id":1')
    found = child.rss_mb
    await child.kill()
    return found


async def sdk_alone() -> float:
    """MB of a Python that imported the SDK."""
    code = f"{SDK}; print('there', flush=True); input()"
    child = await Child.spawn("-c", code, core=TESTED_CORE)
    await child.until(b"there")
    found = child.rss_mb
    child.send(b"")
    await child.close()
    return found


async def sessions(further: int) -> tuple[float, float]:
    """MB with one session, and for each further one."""
    async with ways.peer(Part()) as (url, _), ways.daemon(url, 1) as way:
        one = way.child.rss_mb
        for session in range(1, further + 1):
            await ways.start(way, str(session), url)
        return one, (way.child.rss_mb - one) / further


async def hour(chunks: int, deltas: int, responses: int) -> tuple[float, float]:
    """MB after half an hour of audio both ways through one session, and after a whole one."""
    found: list[float] = []
    # A hundred times as fast as it is spoken, but not as fast as it goes: else queues are measured.
    part = Part(expect=chunks, deltas=deltas // responses, interval_s=0.001)
    async with ways.peer(part) as (url, _), ways.daemon(url, 1) as way:
        for half in range(2):
            await push(way, chunks, half * chunks)
            for _ in range(responses):
                way.child.send(way.ask(0))
                await way.child.until(b'"realtime.responseEnd"')
            found.append(way.child.rss_mb)
    return found[0], found[1]


async def push(way: ways.Daemon, chunks: int, first: int) -> None:
    """Audio as fast as it goes, in bursts that the daemon's queue takes."""
    for number in range(first, first + chunks, BURST):
        for one in range(number, min(number + BURST, first + chunks)):
            way.child.send(way.append(0, one))
        async with asyncio.timeout(LIMIT_S):
            while (await way.request("session.get", sessionId="0"))["queues"]["inputMs"]:
                await asyncio.sleep(0.01)


async def history(turns: int) -> tuple[int, int]:
    """Bytes of `realtime.item…` after so many turns, and after twice as many."""
    sizes: list[int] = []
    total = 0
    async with ways.daemon("", 0) as way:
        await way.request(
            "session.start", sessionId="s", agent={"name": "a"}, settings={"provider": "simulator"}
        )
        for turn in range(2 * turns):
            way.notify("session.sendText", sessionId="s", text=f"Turn {turn:06}")
            while b'"realtime.responseEnd"' not in (line := await way.child.until(b"")):
                total += len(line) if b'"realtime.item' in line[:60] else 0
            sizes.append(total)
    return sizes[turns - 1], sizes[-1]


def rows() -> list[Row]:
    """Several rounds of what is quick."""
    pin(LOAD_CORE)
    first, sdk, one, each = [], [], [], []
    for _ in range(ROUNDS):
        first.append(asyncio.run(at_first_reply()))
        sdk.append(asyncio.run(sdk_alone()))
        loaded, further = asyncio.run(sessions(FURTHER))
        one.append(loaded)
        each.append(further)
    half, whole = asyncio.run(hour(HALF_HOUR_CHUNKS, HALF_HOUR_DELTAS, RESPONSES))
    once, twice = asyncio.run(history(TURNS))
    return [
        plain("at the first reply", first, "MB", Target(27, "MB")),
        plain(f"python -c '{SDK}'", sdk, "MB"),
        against("with the SDK loaded and one session", one, "MB", sdk, "SDK alone", Target(1.1)),
        plain("each further session", each, "MB", Target(1, "MB")),
        plain("growth from half an hour's audio to a whole hour's", [whole - half], "MB", Target(1, "MB")),
        against(
            f"items told in {2 * TURNS} turns",
            [twice / 1000],
            "kB",
            [once / 1000],
            f"{TURNS} turns",
            Target(2.1),
        ),
    ]
