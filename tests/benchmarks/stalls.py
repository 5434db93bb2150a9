"""The worst stall of the event loop: a host that reads slowly, the garbage collector, recording."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks import load, ways
from tests.benchmarks.child import LIMIT_S, LOAD_CORE, pin
from tests.benchmarks.load import Load
from tests.benchmarks.peer import Part
from tests.benchmarks.stolen import Stolen, watch
from tests.benchmarks.table import Row, Target, plain

ROUNDS = 5
RECORDING = 20
SECONDS = 4.0
SLOW_DELTAS = 1500
PAUSE_S = 0.05


class Found(NamedTuple):
    """In ms: the worst stall, and the CPU time of the worst collection, full ones too."""

    stall: float
    collection: float


class Probed:
    """A daemon with a probe.

    Args:
        way: The daemon.
        report: Where its probe writes.
    """

    def __init__(self, way: ways.Daemon, report: Path) -> None:
        self.way = way
        self._report = report
        self._read = 0

    async def told(self) -> dict[str, Any]:
        """What the probe found since the last time."""
        os.kill(self.way.child.pid, signal.SIGUSR1)
        async with asyncio.timeout(LIMIT_S):
            while not (lines := self._lines())[self._read :]:
                await asyncio.sleep(0.01)
        self._read = len(lines)
        told: dict[str, Any] = json.loads(lines[-1])
        return told

    def _lines(self) -> list[str]:
        text = self._report.read_text(encoding="ascii") if self._report.exists() else ""
        return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


@asynccontextmanager
async def probed(url: str, sessions: int, told: dict[str, Any]) -> AsyncIterator[ways.Daemon]:
    """A daemon with its sessions; what its probe finds while it is used is put into `told`."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "probe.jsonl"
        os.environ["OMNIRT_PROBE"] = str(report)
        async with ways.daemon(url, sessions, module=("-m", "tests.benchmarks.probed")) as way:
            probe = Probed(way, report)
            await probe.told()  # what the start of the sessions did
            yield way
            told.update(await probe.told())


def found(told: dict[str, Any], stolen: Stolen) -> Found:
    """What a probe told, less what was the machine's doing."""
    stalls = [late - stolen.within(begin, end) for begin, end, late in told["stalls"]]
    return Found(max(stalls, default=0) / 1e6, told["collection_ms"])


async def slow_reader(deltas: int) -> Found:
    """A flood of audio to a host that reads now and then."""
    pin(LOAD_CORE)
    told: dict[str, Any] = {}
    part = Part(deltas=deltas, interval_s=0)
    async with ways.peer(part) as (url, _), probed(url, 1, told) as way, watch() as stolen:
        over = ways.ask(way, deltas)
        while not over.is_set():
            way.child.pause()
            await asyncio.sleep(PAUSE_S)
            way.child.resume()
            await asyncio.sleep(0.002)
    return found(told, stolen)


async def recording(sessions: int, seconds: float) -> tuple[Load, Found]:
    """Sessions that record, at the pace of speech."""
    told: dict[str, Any] = {}
    carried = await load.through(partial(probed, told=told), sessions, seconds)
    return carried, found(told, carried.stolen)


def rows() -> list[Row]:
    """Several rounds of each."""
    slow: list[Found] = []
    busy: list[Found] = []
    for _ in range(ROUNDS):
        slow.append(asyncio.run(slow_reader(SLOW_DELTAS)))
        busy.append(asyncio.run(recording(RECORDING, SECONDS))[1])
    collections = [
        max(pair) for pair in zip([f.collection for f in slow], [f.collection for f in busy], strict=True)
    ]
    return [
        plain("a host that reads nothing 50 ms at a time", [f.stall for f in slow], "ms", Target(10, "ms")),
        plain("the longest garbage collection, full ones too", collections, "ms", Target(10, "ms")),
        plain(f"{RECORDING} sessions that record", [f.stall for f in busy], "ms", Target(5, "ms")),
    ]
