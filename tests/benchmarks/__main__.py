"""`make bench`: every benchmark side by side with its floors; writes docs/BENCHMARKS.md."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable

from tests.benchmarks import (
    capacity,
    dispatch,
    flood,
    interrupt,
    local,
    memory,
    realtime,
    report,
    stalls,
    startup,
    storage,
)
from tests.benchmarks.table import Row, render

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "Start-up": startup.rows,
    "Dispatch": dispatch.rows,
    "Flood": flood.rows,
    "Cost at real time": realtime.cost_rows,
    "Latency": realtime.latency_rows,
    "Interrupt": interrupt.rows,
    "Stalls": stalls.rows,
    "Storage": storage.rows,
    "Memory": memory.rows,
    "Capacity": capacity.rows,
    "Local": local.rows,
}


def main(wanted: list[str]) -> None:
    """Run those whose title has one of the words, or all."""
    with tempfile.TemporaryDirectory() as folder:
        # As an installed package has it, whatever is set here: or each start would compile the source anew.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        startup.compile_all()
        run(wanted)


def run(wanted: list[str]) -> None:
    """The same, in an environment that is prepared."""
    state = report.machine()
    print(state)
    for title, rows in BENCHMARKS.items():
        if not wanted or any(word.lower() in title.lower() for word in wanted):
            table = render(rows())
            print(f"\n{title}\n{table}", flush=True)
            report.write({title: table}, state)


if __name__ == "__main__":
    main(sys.argv[1:])
