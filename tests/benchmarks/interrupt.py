"""From `session.interrupt` during speech to `realtime.audioInterrupted`, and to the provider's cancel."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time

from tests.benchmarks.latency import Child
from tests.benchmarks.table import Row, median, spread

ROUNDS = 7
SCRIPT = {"rules": [{"on": "text", "do": [{"say": "story"}]}]}


async def measure() -> tuple[list[float], list[float]]:
    """Milliseconds to `audioInterrupted`, and to the response's end as cancelled."""
    cut: list[float] = []
    cancelled: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        child = await Child.spawn(sys.executable, "-m", "omnirt", "serve", "--data-dir", folder)
        settings = {"provider": "simulator", "simulator": {"script": SCRIPT}}
        await _request(child, 1, "session.start", sessionId="s", agent={"name": "a"}, settings=settings)
        for count in range(ROUNDS):
            await _request(child, 100 + count, "session.sendText", sessionId="s", text="Tell me a story")
            await child.until(b'"realtime.audio"')
            began = time.perf_counter()
            _send(child, 200 + count, "session.interrupt", sessionId="s")
            await child.until(b'"realtime.audioInterrupted"')
            cut.append((time.perf_counter() - began) * 1000)
            await child.until(b'"realtime.responseEnd"')
            cancelled.append((time.perf_counter() - began) * 1000)
        await child.close()
    return cut, cancelled


def _send(child: Child, request_id: int, method: str, **params: object) -> None:
    child.send(json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode())


async def _request(child: Child, request_id: int, method: str, **params: object) -> None:
    _send(child, request_id, method, **params)
    reply = await child.until(b'"id":%d' % request_id)
    assert b'"result"' in reply, reply


def rows() -> list[Row]:
    """Measure."""
    cut, cancelled = asyncio.run(measure())
    return [
        Row(
            "session.interrupt → audioInterrupted",
            f"{median(cut):.1f} ms ({min(cut):.1f}–{max(cut):.1f})",
            "target 100 ms",
        ),
        Row(
            "session.interrupt → response cancelled",
            f"{median(cancelled):.1f} ms ({spread(cancelled)})",
            "upstream",
        ),
    ]
