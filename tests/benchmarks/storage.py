"""How much recording holds the event loop up: twenty sessions, both sides, at the pace of speech."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from omnirt.protocol.types import Item
from omnirt.storage import AudioStorage, RunRecorder
from tests.benchmarks.table import Row, Target, percentile, plain
from tests.unit.storage.helpers import run_info

SESSIONS = 20
SECONDS = 5.0
ROUNDS = 3
TICK_S = 0.001
HOST_CHUNK = bytes(960)
"""20 ms of PCM16 at 24 kHz."""
DELTA = bytes(4800)
"""100 ms of it."""


class Round(NamedTuple):
    """What one round found: how late timers fired, in ms, and what handing a chunk over took, in µs."""

    late: list[float]
    handover: list[float]


async def one_round(folder: Path, record: Literal["both", "none"]) -> Round:
    """Record (or not) for a while, and watch the loop's timers."""
    storage = AudioStorage(folder)
    recorders = [
        await storage.start_run(run_info(f"s{number}", f"run{number}", record=record))
        for number in range(SESSIONS)
    ]
    handover: list[float] = []
    begin = time.monotonic()
    late: list[float] = []

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        while time.monotonic() < begin + SECONDS:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            late.append((loop.time() - due) * 1000)

    async def feed(recorder: RunRecorder, phase: float) -> None:
        for count in itertools.count():
            at_s = phase + count * 0.02
            if at_s > SECONDS:
                return
            await asyncio.sleep(begin + at_s - time.monotonic())
            at_ms = round(at_s * 1000)
            started = time.perf_counter()
            recorder.host_audio(HOST_CHUNK, at_ms)
            if count % 5 == 0:
                recorder.audio(f"item_{count // 100}", 0, DELTA, at_ms)
            handover.append((time.perf_counter() - started) * 1e6)
            if count % 25 == 0:
                item = Item(item_id=f"item_{count // 100}", type="message", status="inProgress", at_ms=at_ms)
                recorder.item(item)

    feeds = [feed(recorder, number / SESSIONS * 0.02) for number, recorder in enumerate(recorders)]
    await asyncio.gather(watch(), *feeds)
    for recorder in recorders:
        await recorder.finish("stopped", "2025-01-01T00:00:05Z", round(SECONDS * 1000))
    await storage.close()
    return Round(late, handover)


def rows() -> list[Row]:
    """The figures; each round measures with and without, in the same noise."""
    with_: list[Round] = []
    without: list[Round] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            without.append(asyncio.run(one_round(Path(folder, "none"), "none")))
            with_.append(asyncio.run(one_round(Path(folder, "both"), "both")))

    def p99(rounds: list[Round], of: Callable[[Round], list[float]]) -> list[float]:
        return [percentile(of(one), 99) for one in rounds]

    late = p99(with_, lambda one: one.late)
    before = p99(without, lambda one: one.late)
    added = [max(0.0, value - floor) for value, floor in zip(late, before, strict=True)]
    return [
        plain("a timer is late, p99, nothing recorded", before, "ms"),
        plain("a timer is late, p99, 20 sessions and both sides recorded", late, "ms"),
        plain("what recording adds to it", added, "ms", Target(5, "ms")),
        plain("to hand a chunk over, p99", p99(with_, lambda one: one.handover), "µs"),
    ]
