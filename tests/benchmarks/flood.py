"""What a message costs in CPU time when as many come as go through: audio upwards, deltas downwards."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

from tests.benchmarks import load, ways
from tests.benchmarks.child import LIMIT_S, LOAD_CORE, pin
from tests.benchmarks.peer import Part
from tests.benchmarks.table import Row, Target, against, plain

ROUNDS = 5
CHUNKS = 4000
"""80 s of audio: the daemon queues 120 s at most, and refuses what comes beyond."""
DELTAS = 2000
WARM = 200


class Costs(NamedTuple):
    """CPU time per message in µs."""

    up: float
    down: float


async def flood(open_way: load.Open, chunks: int = CHUNKS, deltas: int = DELTAS) -> Costs:
    """Both floods through one way, one after the other."""
    pin(LOAD_CORE)
    part = Part(expect=chunks, deltas=deltas, interval_s=0)
    async with ways.peer(part) as (url, provider), open_way(url, 1) as way:
        before = way.child.cpu_s
        for number in range(chunks):
            way.child.send(way.append(0, number))
        _, in_order = await load.reports(provider, 1)
        between = way.child.cpu_s
        over = ways.ask(way, deltas)
        await asyncio.wait_for(over.wait(), LIMIT_S)
        if not in_order:
            raise RuntimeError("audio came out of order")
        after = way.child.cpu_s
    return Costs((between - before) / chunks * 1e6, (after - between) / deltas * 1e6)


def rows() -> list[Row]:
    """All ways in turn, several rounds."""
    doors: dict[str, load.Open] = {
        "relay": ways.relay,
        "daemon": ways.daemon,
        "requests": partial(ways.daemon, requests=True),
        "silent": partial(ways.daemon, record="none"),
        "naive": partial(ways.naive, requests=False),
        "answering": ways.naive,
        "storing": partial(ways.naive, store=True),
    }
    found: dict[str, list[Costs]] = {name: [] for name in doors}
    for _ in range(ROUNDS):
        for name, door in doors.items():
            # A commit per chunk is so slow that a tenth tells enough.
            size = (CHUNKS // 10, DELTAS // 10) if name == "storing" else (CHUNKS, DELTAS)
            found[name].append(asyncio.run(flood(door, *size)))
    up = {name: [cost.up for cost in costs] for name, costs in found.items()}
    down = {name: [cost.down for cost in costs] for name, costs in found.items()}
    less = Target(25, "×", at_least=True)
    return [
        plain("sendAudio of 20 ms, stdin → socket: raw relay", up["relay"], "µs"),
        plain("the same: naive daemon, not recording, notifications", up["naive"], "µs"),
        plain("the same: naive daemon, not recording, requests", up["answering"], "µs"),
        plain("the same: naive daemon, recording, requests", up["storing"], "µs"),
        against("the same: omnirt, notifications", up["daemon"], "µs", up["relay"], "relay", Target(3.5)),
        against("the same: omnirt, requests", up["requests"], "µs", up["relay"], "relay", Target(3.5)),
        against("the same: omnirt, notifications", up["daemon"], "µs", up["naive"], "naive", less),
        against("the same: omnirt, requests", up["requests"], "µs", up["answering"], "naive", less),
        plain("delta of 100 ms, socket → stdout: raw relay", down["relay"], "µs"),
        plain("the same: naive daemon (json + base64), not recording", down["naive"], "µs"),
        against("the same: omnirt, recording", down["daemon"], "µs", down["relay"], "relay"),
        against(
            "the same: omnirt, not recording",
            down["silent"],
            "µs",
            down["naive"],
            "naive",
            Target(5, "×", True),
        ),
        plain("the same: naive daemon, recording", down["storing"], "µs"),
        against(
            "the same: omnirt, recording",
            down["daemon"],
            "µs",
            down["storing"],
            "naive",
            Target(5, "×", True),
        ),
    ]
