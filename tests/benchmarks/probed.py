"""`omnirt serve` with a probe in its loop, which at SIGUSR1 appends what it found to the file OMNIRT_PROBE.

A stall is how much later than asked for a timer of one millisecond fires, less the time for which the system
let the thread wait for a core. All that are longer are told with their times, so that those in which the
machine itself did not run can be taken away as well.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from omnirt.daemon import process

SERVE = process._serve
BEAT_NS = 1_000_000


class Probe:
    """In one loop; see the module's first lines."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Path) -> None:
        self._loop = loop
        self._report = report
        self._schedule = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._begin()
        self._collecting = 0
        self._reset()
        gc.callbacks.append(self._collected)
        loop.add_signal_handler(signal.SIGUSR1, self._tell)
        self._beat()

    def _reset(self) -> None:
        self._stalls: list[tuple[int, int, int]] = []
        """Begin and end, and how long the thread did not wait for a core meanwhile: of each, in ns."""
        self._collection = 0

    def _begin(self) -> None:
        self._beaten, self._waited = time.monotonic_ns(), self._waited_ns()

    def _waited_ns(self) -> int:
        """For how long this thread has waited for a core, in all."""
        return int(os.pread(self._schedule, 64, 0).split()[1])

    def _beat(self) -> None:
        due, waited = self._beaten + BEAT_NS, self._waited
        self._begin()
        late = self._beaten - due - (self._waited - waited)
        if late > BEAT_NS:
            self._stalls.append((due, self._beaten, late))
        self._loop.call_later(BEAT_NS / 1e9, self._beat)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.thread_time_ns()
        else:
            self._collection = max(self._collection, time.thread_time_ns() - self._collecting)

    def _tell(self) -> None:
        """What came since the last time, then a full collection, as the last thing of this report."""
        told: dict[str, Any] = {"stalls": self._stalls}
        gc.collect()
        told["collection_ms"] = self._collection / 1e6
        with self._report.open("a", encoding="ascii") as report:
            report.write(json.dumps(told) + "\n")
        self._reset()
        self._begin()


async def probed(*args: Any) -> int:
    """What `omnirt serve` runs in its loop, after the probe has begun."""
    Probe(asyncio.get_running_loop(), Path(os.environ["OMNIRT_PROBE"]))
    return await SERVE(*args)


if __name__ == "__main__":
    process._serve = probed  # type: ignore[assignment] # the loop is made in there, and the probe belongs into it
    sys.exit(process.run(sys.argv[2:]))
