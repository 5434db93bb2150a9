"""The time in which the machine itself did not run: on a shared one, others have its cores now and then.

No account of this system shows exactly when. So a process on each core, which goes before all others there,
beats every millisecond and notes when it was late. `python -m tests.benchmarks.stolen CORE` is one; at the
end of stdin it prints what it noted. It needs the right to real-time priority: without it nothing is noted.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.benchmarks.child import LOAD_CORE, TESTED_CORE, Child, pin

BEAT_NS = 1_000_000
LATE_NS = 1_000_000
"""A beat is this late only if the core was away: it is 0.1 ms late by itself."""
AHEAD_NS = 2_000_000
"""What is made so shortly before may still be on its way, whichever way it goes."""
CATCHING_UP = 3
"""What came while a core was away is dealt with in up to so many times that, and is nobody's fault."""
Times = Sequence[tuple[int, int]]


class Stolen:
    """Times without a core, in ns of the monotonic clock, which all processes share.

    Attributes:
        by_core: Begin and end of each; filled in when the watch ends.
        began, ended: Of the watch.
    """

    def __init__(self) -> None:
        self.by_core: dict[int, Times] = {}
        self.began = self.ended = time.monotonic_ns()

    def within(self, begin: int, end: int, core: int = TESTED_CORE) -> int:
        """How much of this time one core was away, in ns."""
        times = self.by_core.get(core, ())
        return sum(max(0, min(end, until) - max(begin, since)) for since, until in times)

    def spoilt(self, made: int) -> bool:
        """Whether what was made then may have waited for a core that was away, or for what did.

        By that alone, not by its arrival: else what is slow by itself would be left out more often.
        """
        return any(
            since - AHEAD_NS < made < until + CATCHING_UP * (until - since)
            for times in self.by_core.values()
            for since, until in times
        )

    def share(self, core: int = TESTED_CORE) -> float:
        """How much of the time of its watch a core was away, in percent."""
        return self.within(self.began, self.ended, core) / max(1, self.ended - self.began) * 100


@asynccontextmanager
async def watch() -> AsyncIterator[Stolen]:
    """Watches both cores; what was found is there at the end of the block."""
    stolen = Stolen()
    cores = {TESTED_CORE, LOAD_CORE} if (os.cpu_count() or 1) > 1 else {TESTED_CORE}
    children = {
        core: await Child.spawn("-m", "tests.benchmarks.stolen", str(core), core=core) for core in cores
    }
    for child in children.values():
        await child.until(b"watching")
    stolen.began = time.monotonic_ns()
    yield stolen
    stolen.ended = time.monotonic_ns()
    for core, child in children.items():
        child.end()
        stolen.by_core[core] = [(since, until) for since, until in json.loads(await child.until(b"["))]
        await child.close()


def beat() -> Times:
    """Beats until the end of stdin; when it was late, and until when."""
    late: list[tuple[int, int]] = []
    due = time.monotonic_ns() + BEAT_NS
    while True:
        ended, _, _ = select.select([0], [], [], max(0, due - time.monotonic_ns()) / 1e9)
        now = time.monotonic_ns()
        if ended:
            return late
        if now - due > LATE_NS:
            late.append((due, now))
        due = max(due, now) + BEAT_NS


def main(core: int) -> None:
    """One core's watch."""
    pin(core)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except OSError:
        print("watching nothing", flush=True)
        sys.stdin.read()
        print("[]", flush=True)
        return
    print("watching", flush=True)
    print(json.dumps(beat()), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
