"""What a daemon without sessions still holds."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.host import Host

MAX_THREADS = 4 + 4 + (os.cpu_count() or 1)
"""Those of the daemon (main, storage, reading, loading), and asyncio's pool, which fills up at leisure."""
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


def grown(first: Figures, last: Figures) -> list[str]:
    """What there is more of than after the first round, and more threads than there should ever be."""
    counted = ("tasks", "descriptors", "children")
    found = [(name, getattr(first, name), getattr(last, name)) for name in counted]
    if last.threads > MAX_THREADS:
        found.append(("threads", MAX_THREADS, last.threads))
    return [
        f"{name}: {after} at the end, {before} are right" for name, before, after in found if after > before
    ]


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
