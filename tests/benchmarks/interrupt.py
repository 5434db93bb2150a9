"""From `session.interrupt` during speech to `realtime.audioInterrupted`, and to the end of the response."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.benchmarks import ways
from tests.benchmarks.table import Row, Target, plain

ROUNDS = 7
STORY: dict[str, Any] = {
    "provider": "simulator",
    "simulator": {"script": {"rules": [{"on": "text", "do": [{"say": "story"}]}]}},
}


async def measure(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds to `audioInterrupted`, and to the response's end as cancelled."""
    cut: list[float] = []
    cancelled: list[float] = []
    async with ways.daemon("", 0) as way:
        await way.request("session.start", sessionId="s", agent={"name": "a"}, settings=STORY)
        for _ in range(rounds):
            way.notify("session.sendText", sessionId="s", text="Tell me a story")
            await way.child.until(b'"realtime.audio"')
            began = time.perf_counter()
            way.notify("session.interrupt", sessionId="s")
            await way.child.until(b'"realtime.audioInterrupted"')
            cut.append((time.perf_counter() - began) * 1000)
            await way.child.until(b'"realtime.responseEnd"')
            cancelled.append((time.perf_counter() - began) * 1000)
    return cut, cancelled


def rows() -> list[Row]:
    """Measure."""
    cut, cancelled = asyncio.run(measure(ROUNDS))
    return [
        plain("session.interrupt → audioInterrupted", cut, "ms", Target(100, "ms")),
        plain("session.interrupt → response cancelled by the simulator", cancelled, "ms"),
    ]
