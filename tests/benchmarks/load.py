"""Conversations at the pace of speech through one way: what they cost, and how long audio is on its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple

from tests.benchmarks import ways
from tests.benchmarks.audio import Ages
from tests.benchmarks.child import LIMIT_S, LOAD_CORE, TESTED_CORE, Child, pin
from tests.benchmarks.pace import INTERVAL_S, paced
from tests.benchmarks.peer import Part
from tests.benchmarks.stolen import Stolen, Times, watch

DELTA_S = 0.1
Open = Callable[[str, int], AbstractAsyncContextManager[ways.Way]]


class Load(NamedTuple):
    """What one round found.

    Attributes:
        cpu: Percent of one core, per session.
        up, down: When each chunk was made and when it arrived, at the provider's and at the host's end.
        in_order: Whether none overtook another.
        stolen: When the machine did not run.
    """

    cpu: float
    up: Times
    down: Times
    in_order: bool
    stolen: Stolen

    def ages(self, direction: Literal["up", "down"]) -> list[float]:
        """How long those were on their way that the machine did not hold up, in µs; all, if these are few."""
        times = self.up if direction == "up" else self.down
        clean = [(begin, end) for begin, end in times if not self.stolen.spoilt(begin)]
        return _ages(clean if len(clean) * 10 >= len(times) else times)

    def all_ages(self, direction: Literal["up", "down"]) -> list[float]:
        """The same of all."""
        return _ages(self.up if direction == "up" else self.down)

    @property
    def left_out(self) -> float:
        """How many the machine held up, in percent."""
        made = [begin for begin, _ in [*self.up, *self.down]]
        return 100 * sum(map(self.stolen.spoilt, made)) / len(made)


def _ages(times: Times) -> list[float]:
    return [(end - begin) / 1000 for begin, end in times]


def part_of(seconds: float) -> Part:
    """What the provider does in so much time."""
    return Part(expect=round(seconds / INTERVAL_S), deltas=round(seconds / DELTA_S), interval_s=DELTA_S)


async def through(open_way: Open, sessions: int, seconds: float) -> Load:
    """One round through pipes."""
    pin(LOAD_CORE)
    part = part_of(seconds)
    async with ways.peer(part) as (url, provider), open_way(url, sessions) as way, watch() as stolen:
        ages = [Ages() for _ in range(sessions)]
        over = asyncio.Event()
        left = sessions * part.deltas

        def heard(line: bytes) -> None:
            nonlocal left
            found = way.delta(line)
            if found is not None:
                ages[found[0]].add(line, found[1])
                left -= 1
                if not left:
                    over.set()

        async def begin(session: int) -> None:
            way.child.send(way.ask(session))

        async def chunk(session: int, number: int) -> None:
            way.child.send(way.append(session, number))

        way.child.on_line = heard
        before = way.child.cpu_s
        await paced(sessions, part.expect, begin, chunk)
        await asyncio.wait_for(over.wait(), LIMIT_S)
        up, up_in_order = await reports(provider, sessions)
        cpu = (way.child.cpu_s - before) / sessions / seconds * 100
        down = [times for one in ages for times in one.times]
        return Load(cpu, up, down, up_in_order and all(one.in_order for one in ages), stolen)


async def sdk_alone(sessions: int, seconds: float) -> Load:
    """One round of the SDK by itself, which has the audio in its own process."""
    pin(LOAD_CORE)
    part = part_of(seconds)
    async with ways.peer(part) as (url, provider), watch() as stolen:
        counts = [str(count) for count in (sessions, part.expect, part.deltas)]
        child = await Child.spawn("-m", "tests.benchmarks.sdk_alone", url, *counts, core=TESTED_CORE)
        await child.until(b"ready")
        before = child.cpu_s
        child.send(b"")
        found: dict[str, Any] = json.loads(await child.until(b'"down"'))
        up, in_order = await reports(provider, sessions)
        cpu = (child.cpu_s - before) / sessions / seconds * 100
        child.send(b"")
        await child.close()
        return Load(cpu, up, found["down"], in_order and found["in_order"], stolen)


async def reports(provider: Child, sessions: int) -> tuple[Times, bool]:
    """When what the provider received was made and arrived, and whether it came in order."""
    told = [json.loads(await provider.until(b'"up"')) for _ in range(sessions)]
    return [times for one in told for times in one["up"]], all(one["in_order"] for one in told)
