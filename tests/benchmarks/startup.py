"""From spawn to the reply to `initialize`, against a Python that imports asyncio and msgspec; memory then."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.table import Row, median, spread

ROUNDS = 12
INITIALIZE = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}\n'


def floor_ms() -> float:
    """The floor."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import asyncio, msgspec"], check=True)
    return (time.perf_counter() - began) * 1000


def daemon_ms() -> tuple[float, float]:
    """Milliseconds to the reply, and MB resident at that moment."""
    began = time.perf_counter()
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "omnirt", "serve"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(INITIALIZE)
        process.stdin.flush()
        process.stdout.readline()
        took = (time.perf_counter() - began) * 1000
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        process.kill()
    return took, int(status.split("VmRSS:")[1].split()[0]) / 1024


def rows() -> list[Row]:
    """Alternate the two, so that both meet the same noise."""
    floors, daemons, memory = [], [], []
    for _ in range(ROUNDS):
        floors.append(floor_ms())
        took, resident = daemon_ms()
        daemons.append(took)
        memory.append(resident)
    ratio = median(daemons) / median(floors)
    return [
        Row("python -c 'import asyncio, msgspec'", f"{median(floors):.0f} ms ({spread(floors)})", ""),
        Row(
            "spawn → reply to initialize",
            f"{median(daemons):.0f} ms ({spread(daemons)})",
            f"{ratio:.2f}× (target 1.6×)",
        ),
        Row("memory at that reply", f"{median(memory):.1f} MB", "target 30 MB"),
    ]
