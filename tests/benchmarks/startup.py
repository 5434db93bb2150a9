"""From spawn to the reply to `initialize` and to a session, and how soon a `ping` is answered in between."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import time
from typing import NamedTuple

from tests.benchmarks import ways
from tests.benchmarks.child import PYTHON, Child, unpin
from tests.benchmarks.table import Row, Target, against, median, plain

ROUNDS = 15
SLOW_ROUNDS = 5
PING_EVERY_S = 0.005
INITIALIZE = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
PING = b'{"jsonrpc":"2.0","id":2,"method":"ping"}'
BARE = "import asyncio, msgspec"
SDK = "import agents.realtime"
START = (
    b'{"jsonrpc":"2.0","id":3,"method":"session.start","params":'
    b'{"sessionId":"s","agent":{"name":"a"},"settings":{"provider":"simulator"}}}'
)


class Start(NamedTuple):
    """ms until it was there, by the clock and of CPU time."""

    wall: float
    cpu: float


def python(code: str) -> Start:
    """A Python that does so much and ends."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([PYTHON, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Start((time.perf_counter() - began) * 1000, cpu * 1000)


async def initialize(code: str = "") -> Start:
    """Spawn → reply to `initialize`; `code` is run first."""
    first = f"{code}; import runpy; runpy.run_module('omnirt', run_name='__main__')"
    command = ("-c", first) if code else ("-m", "omnirt")
    began = time.perf_counter()
    child = await Child.spawn(*command, "serve", core=None)
    child.send(INITIALIZE)
    await child.until(b'"id":1')
    found = Start((time.perf_counter() - began) * 1000, child.cpu_s * 1000)
    await child.kill()
    return found


def compile_all() -> None:
    """Leave bytecode of all that the ways import, so that the first round is like the others."""
    python(BARE)
    python("import tests.benchmarks.relay, tests.benchmarks.peer, tests.benchmarks.naive")
    asyncio.run(session_ms())


async def session_ms() -> float:
    """Spawn → reply to a `session.start` on the simulator."""
    began = time.perf_counter()
    async with ways.daemon("", 0, core=None) as way:
        await way.request(
            "session.start", sessionId="s", agent={"name": "a"}, settings={"provider": "simulator"}
        )
        return (time.perf_counter() - began) * 1000


async def worst_ping_ms() -> float:
    """The slowest `ping` from the reply to `initialize` until a session is connected; the SDK loads then."""
    worst = 0.0
    async with ways.daemon("", 0, core=None) as way:
        await way.request("initialize")
        way.child.send(START)
        connected = False
        while not connected:
            began = time.perf_counter()
            way.child.send(PING)
            while b'"id":2' not in await way.child.until(b'"id":'):
                connected = True  # the other reply there is
            worst = max(worst, time.perf_counter() - began)
            await asyncio.sleep(PING_EVERY_S)
    return worst * 1000


def rows() -> list[Row]:
    """Each in turn with its floor, so that both meet the same noise."""
    unpin()
    bare, reply = [], []
    for _ in range(ROUNDS):
        bare.append(python(BARE))
        reply.append(asyncio.run(initialize()))
    sdk, first, session, pings = [], [], [], []
    for _ in range(SLOW_ROUNDS):
        sdk.append(python(SDK).wall)
        session.append(asyncio.run(session_ms()))
        first.append(asyncio.run(initialize(SDK)).wall)
        pings.append(asyncio.run(worst_ping_ms()))
    wall, floor = [one.wall for one in reply], [one.wall for one in bare]
    cpu, cpu_floor = [one.cpu for one in reply], [one.cpu for one in bare]
    what = "spawn → reply to initialize"
    return [
        plain(f"python -c '{BARE}'", floor, "ms"),
        plain("CPU time of that", cpu_floor, "ms"),
        against(what, wall, "ms", floor, "bare", Target(1.4)),
        against("CPU time of that", cpu, "ms", cpu_floor, "bare", Target(1.4)),
        plain("the same with the SDK imported first", first, "ms"),
        # As many rounds as the other has, each the median of all.
        against(what, [median(wall)] * len(first), "ms", first, "SDK first", Target(12, "×", True)),
        plain("worst ping while the SDK loads", pings, "ms", Target(25, "ms")),
        plain(f"python -c '{SDK}'", sdk, "ms"),
        against("spawn → session connected on the simulator", session, "ms", sdk, "SDK", Target(1.15)),
    ]
