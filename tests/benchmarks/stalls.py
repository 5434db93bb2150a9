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
from typing import NamedTuple

from tests.benchmarks import load, ways
from tests.benchmarks.child import LIMIT_S, LOAD_CORE, pin
from tests.benchmarks.load import Load
from tests.benchmarks.peer import Part
from tests.benchmarks.table import Row, Target, plain

ROUNDS = 5
RECORDING = 20
SECONDS = 4.0
SLOW_DELTAS = 1500
PAUSE_S = 0.05


class Found(NamedTuple):
    """ms: the worst stall, the CPU time of the busiest, and that of the worst collection, full ones too."""

    stall: float
    busy: float
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

    async def found(self) -> Found:
        """What the probe found since the last time."""
        os.kill(self.way.child.pid, signal.SIGUSR1)
        async with asyncio.timeout(LIMIT_S):
            while not (lines := self._lines())[self._read :]:
                await asyncio.sleep(0.01)
        self._read = len(lines)
        told = json.loads(lines[-1])
        return Found(told["stall_ms"], told["busy_ms"], told["collection_ms"])

    def _lines(self) -> list[str]:
        text = self._report.read_text(encoding="ascii") if self._report.exists() else ""
        return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


@asynccontextmanager
async def probed(url: str, sessions: int, results: list[Found]) -> AsyncIterator[ways.Daemon]:
    """A daemon with its sessions; what its probe finds while it is used is added to `results`."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "probe.jsonl"
        os.environ["OMNIRT_PROBE"] = str(report)
        async with ways.daemon(url, sessions, module=("-m", "tests.benchmarks.probed")) as way:
            probe = Probed(way, report)
            await probe.found()  # what the start of the sessions did
            yield way
            results.append(await probe.found())


async def slow_reader(deltas: int, results: list[Found]) -> None:
    """A flood of audio to a host that reads now and then."""
    pin(LOAD_CORE)
    async with ways.peer(Part(deltas=deltas, interval_s=0)) as (url, _), probed(url, 1, results) as way:
        over = ways.ask(way, deltas)
        while not over.is_set():
            way.child.pause()
            await asyncio.sleep(PAUSE_S)
            way.child.resume()
            await asyncio.sleep(0.002)


async def recording(sessions: int, seconds: float, results: list[Found]) -> Load:
    """Sessions that record, at the pace of speech."""
    return await load.through(partial(probed, results=results), sessions, seconds)


def rows() -> list[Row]:
    """Several rounds of each."""
    slow: list[Found] = []
    busy: list[Found] = []
    for _ in range(ROUNDS):
        asyncio.run(slow_reader(SLOW_DELTAS, slow))
        asyncio.run(recording(RECORDING, SECONDS, busy))
    collections = [
        max(pair) for pair in zip((f.collection for f in slow), (f.collection for f in busy), strict=True)
    ]
    return [
        plain("a host that reads nothing 50 ms at a time", [f.stall for f in slow], "ms", Target(10, "ms")),
        plain("the longest garbage collection, full ones too", collections, "ms", Target(10, "ms")),
        plain(f"{RECORDING} sessions that record", [f.stall for f in busy], "ms", Target(5, "ms")),
    ]
