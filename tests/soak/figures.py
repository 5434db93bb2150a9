"""What a daemon without sessions still holds."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.host import Host

MAX_THREADS = 5 + 8 + 4 + (os.cpu_count() or 1)
"""Those of the daemon (main, storage, reading, loading, Python tools), some that read or run Python tools,
and asyncio's pool, which fills up at leisure."""
WARM_UP = 2
"""Rounds in which caches fill and the allocator settles."""
MAX_SLOPE_MB = 1.5
"""Per minute, over the rounds after those."""
SPARE_DESCRIPTORS = 16
"""SQLite keeps those of connections that were closed while others lock the file, for the next ones: as many
as there ever were at once. What leaks with sessions is many more."""
NOISE_MB = 8.0
"""By so much the allocator may stray: in a short soak, no slope is seen through it."""
SETTLE_S = 10.0
"""For sockets to be closed and helper threads to end."""


class Figures(NamedTuple):
    """Of one process."""

    rss_mb: float
    tasks: int
    threads: int
    descriptors: int
    children: int

    def __str__(self) -> str:
        return (
            f"{self.rss_mb:6.1f} MB  {self.tasks} tasks  {self.threads} threads  "
            f"{self.descriptors} descriptors  {self.children} children"
        )


async def take(host: Host) -> Figures:
    """The least of what is seen while the daemon settles: only what stays is a leak."""
    deadline = time.monotonic() + SETTLE_S
    least = await _now(host)
    same = 0
    while same < 5 and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        fresh = await _now(host)
        lower = [min(pair) for pair in zip(least[1:], fresh[1:], strict=True)]
        same = same + 1 if lower == list(least[1:]) else 0
        least = Figures(min(least.rss_mb, fresh.rss_mb), *lower)
    return least


def grown(figures: Sequence[Figures]) -> list[str]:
    """What there is more of than after the first round, and more threads than there should ever be."""
    first, last = figures[0], figures[-1]
    counted = (("tasks", 0), ("descriptors", SPARE_DESCRIPTORS), ("children", 0))
    found = [(name, getattr(first, name) + spare, getattr(last, name)) for name, spare in counted]
    if last.threads > MAX_THREADS:
        found.append(("threads", MAX_THREADS, last.threads))
    return [
        f"{name}: {after} at the end, {before} are right" for name, before, after in found if after > before
    ]


def memory(samples: Sequence[tuple[float, Figures]]) -> list[str]:
    """Whether memory grows by the minute; prints the slope."""
    settled = [(minute, figure.rss_mb) for minute, figure in samples[WARM_UP:]]
    if len(settled) < 3:
        print("memory: too few rounds for a slope")
        return []
    slope, minutes = slope_mb_per_minute(settled), settled[-1][0] - settled[0][0]
    middle = statistics.median(rss_mb for _, rss_mb in settled)
    print(f"memory: {middle:.0f} MB, {slope:+.2f} MB a minute over {minutes:.1f} minutes")
    if slope * minutes <= MAX_SLOPE_MB * minutes + NOISE_MB:
        return []
    return [f"memory grows by {slope:.2f} MB a minute"]


def slope_mb_per_minute(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the least-squares line."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


async def _now(host: Host) -> Figures:
    stats = await host.ask("server.stats")
    process = Path(f"/proc/{stats['pid']}")
    threads = list((process / "task").iterdir())
    children = [word for thread in threads for word in (thread / "children").read_text().split()]
    return Figures(
        rss_mb=stats["rssBytes"] / 2**20,
        tasks=stats["tasks"],
        threads=len(threads),
        descriptors=len(list((process / "fd").iterdir())),
        children=len(children),
    )
