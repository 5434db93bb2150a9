"""`make bench`: every benchmark, one table."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

from tests.benchmarks import interrupt, latency, startup
from tests.benchmarks.table import Row, render

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "Start-up": startup.rows,
    "Interrupt": interrupt.rows,
    "Added latency, one session, a chunk each way every 20 ms": latency.rows,
}


def main(wanted: list[str]) -> None:
    """Run those whose title has one of the words, or all."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for title, rows in BENCHMARKS.items():
        if not wanted or any(word.lower() in title.lower() for word in wanted):
            print(f"\n{title}\n{render(rows())}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
