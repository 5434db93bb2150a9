"""Added latency of the daemon, both ways, against the bare relay and against the SDK alone."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tests.benchmarks.peer import INTERVAL_S, age_us, stamped
from tests.benchmarks.table import Row, median, percentile, spread

CHUNKS = 250
ROUNDS = 3
LIMIT_S = 60


class Ages(NamedTuple):
    """Latencies of one round, µs."""

    up: list[float]
    down: list[float]


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """The provider's end: its URL, and where it reports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.peer",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
        env={**os.environ, "BENCH_DELTAS": str(CHUNKS)},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), LIMIT_S))
    try:
        yield f"ws://127.0.0.1:{port}/v1/realtime", process.stdout
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), LIMIT_S)


class Child:
    """A child that speaks lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._in, self._out = process, process.stdin, process.stdout

    @classmethod
    async def spawn(cls, *argv: str) -> Child:
        """Start it."""
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, limit=2**26))

    def send(self, line: bytes) -> None:
        """Write one line at once."""
        self._in.write(line + b"\n")

    async def until(self, word: bytes) -> bytes:
        """The next line with this word."""
        while True:
            line = await asyncio.wait_for(self._out.readline(), LIMIT_S)
            assert line, "the child ended"
            if word in line:
                return line

    async def close(self) -> None:
        """End of stdin, and wait."""
        self._in.close()
        await asyncio.wait_for(self.process.wait(), LIMIT_S)


async def relay() -> Ages:
    """Through the bare relay."""
    async with peer() as (url, report):
        child = await Child.spawn(sys.executable, "-m", "tests.benchmarks.relay", url)
        await child.until(b"session.created")
        child.send(b'{"type":"session.update","session":{}}')
        await child.until(b"session.updated")

        def append(chunk: bytes) -> None:
            child.send(b'{"type":"input_audio_buffer.append","audio":"%b"}' % base64.b64encode(chunk))

        down = await _talk(
            child, append, b'{"type":"response.create"}', b"output_audio.delta", _provider_delta
        )
        await child.close()
        return Ages(json.loads(await asyncio.wait_for(report.readline(), LIMIT_S)), down)


async def daemon() -> Ages:
    """Through `omnirt serve`, recording as it does by default."""
    async with peer() as (url, report):
        with tempfile.TemporaryDirectory() as folder:
            child = await Child.spawn(sys.executable, "-m", "omnirt", "serve", "--data-dir", folder)
            settings = {"provider": "compatible", "openai_realtime_url": url, "api_key": "bench-key"}
            params = {
                "sessionId": "s",
                "agent": {"name": "a"},
                "settings": settings,
                "realtime": {"turn_detection": None},
            }
            start = {"jsonrpc": "2.0", "id": 1, "method": "session.start", "params": params}
            child.send(json.dumps(start).encode())
            reply = await child.until(b'"id":1')
            assert b'"result"' in reply, reply

            def append(chunk: bytes) -> None:
                child.send(
                    b'{"jsonrpc":"2.0","method":"session.sendAudio","params":{"sessionId":"s","audio":"%b"}}'
                    % base64.b64encode(chunk)
                )

            ask = b'{"jsonrpc":"2.0","method":"session.respond","params":{"sessionId":"s"}}'
            down = await _talk(child, append, ask, b'realtime.audio"', _daemon_delta)
            await child.close()
            return Ages(json.loads(await asyncio.wait_for(report.readline(), LIMIT_S)), down)


async def sdk() -> Ages:
    """The SDK alone, in this process, without the daemon."""
    from agents.realtime import RealtimeAgent, RealtimeRunner
    from agents.realtime.model_inputs import RealtimeModelSendRawMessage

    async with peer() as (url, report):
        runner = RealtimeRunner(RealtimeAgent(name="a"), config={"tracing_disabled": True})
        down: list[float] = []
        async with await runner.run(model_config={"url": url, "headers": {}}) as session:
            await session.model.send_event(RealtimeModelSendRawMessage(message={"type": "response.create"}))

            async def listen() -> None:
                async for event in session:
                    if event.type == "audio":
                        down.append(age_us(event.audio.data))
                        if len(down) == CHUNKS:
                            return

            listening = asyncio.create_task(listen())
            for _ in range(CHUNKS):
                await session.send_audio(stamped())
                await asyncio.sleep(INTERVAL_S)
            await asyncio.wait_for(listening, LIMIT_S)
        return Ages(json.loads(await asyncio.wait_for(report.readline(), LIMIT_S)), down)


async def _talk(child: Child, append: object, ask: bytes, word: bytes, age: object) -> list[float]:
    assert callable(append)
    assert callable(age)
    child.send(ask)
    ages: list[float] = []

    async def listen() -> None:
        while len(ages) < CHUNKS:
            line = await child.until(word)
            ages.append(age(line))

    listening = asyncio.create_task(listen())
    for _ in range(CHUNKS):
        append(stamped())
        await asyncio.sleep(INTERVAL_S)
    await asyncio.wait_for(listening, LIMIT_S)
    return ages


def _provider_delta(line: bytes) -> float:
    return age_us(base64.b64decode(json.loads(line)["delta"]))


def _daemon_delta(line: bytes) -> float:
    return age_us(base64.b64decode(json.loads(line)["params"]["audio"]))


def rows() -> list[Row]:
    """Run the three side by side, several rounds, and compare."""
    rounds: dict[str, list[Ages]] = {"relay": [], "sdk": [], "daemon": []}
    for _ in range(ROUNDS):
        for name, way in (("relay", relay), ("sdk", sdk), ("daemon", daemon)):
            rounds[name].append(asyncio.run(way()))
    found: list[Row] = []
    for direction, title in (("up", "stdin → provider's socket"), ("down", "provider's socket → stdout")):
        p50 = {name: [median(getattr(ages, direction)) for ages in all_] for name, all_ in rounds.items()}
        p99 = {
            name: [percentile(getattr(ages, direction), 99) for ages in all_] for name, all_ in rounds.items()
        }
        for name, values in p50.items():
            figure = f"p50 {median(values):.0f} µs ({spread(values)}), p99 {median(p99[name]):.0f} µs"
            against = [f"{median(values) / median(p50[floor]):.2f}× {floor}" for floor in ("relay", "sdk")]
            found.append(Row(f"{title}: {name}", figure, ", ".join(against)))
    return found
