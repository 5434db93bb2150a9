"""What a session costs at the pace of speech: 50 chunks a second up, 10 deltas a second down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Literal

from tests.benchmarks import load, ways
from tests.benchmarks.load import Load
from tests.benchmarks.table import Row, Target, against, percentile, plain

SESSIONS = 32
LATENCY_SESSIONS = 8
ROUNDS = 5
SECONDS = 4.0
DISTURBED = 33.0
"""Percent of the audio that the machine held up: in a round with more, little is left."""
TRIES = 3


def measure(sessions: int, rounds: int, seconds: float) -> dict[str, list[Load]]:
    """Relay, SDK and daemon in turn, several rounds."""
    doors: dict[str, Callable[[], Coroutine[None, None, Load]]] = {
        "relay": lambda: load.through(ways.relay, sessions, seconds),
        "sdk": lambda: load.sdk_alone(sessions, seconds),
        "daemon": lambda: load.through(ways.daemon, sessions, seconds),
    }
    found: dict[str, list[Load]] = {name: [] for name in doors}
    for _ in range(rounds):
        for name, door in doors.items():
            found[name].append(undisturbed(door))
    return found


def undisturbed(door: Callable[[], Coroutine[None, None, Load]]) -> Load:
    """A round in which the machine held up less than a third; after three tries that with the least."""
    tries = [asyncio.run(door())]
    while tries[-1].left_out > DISTURBED and len(tries) < TRIES:
        tries.append(asyncio.run(door()))
    return min(tries, key=lambda one: one.left_out)


def cost_rows() -> list[Row]:
    """CPU time per session."""
    found = measure(SESSIONS, ROUNDS, SECONDS)
    cpu = {name: [one.cpu for one in loads] for name, loads in found.items()}
    return [
        plain("raw relay", cpu["relay"], "%"),
        plain("SDK alone, in-process", cpu["sdk"], "%"),
        against("omnirt, recording", cpu["daemon"], "%", cpu["relay"], "relay", Target(2.3)),
        against("omnirt, recording", cpu["daemon"], "%", cpu["sdk"], "SDK alone", Target(1.4)),
    ]


def latency_rows() -> list[Row]:
    """How long audio is on its way, harness included."""
    found = measure(LATENCY_SESSIONS, ROUNDS, SECONDS)
    rows: list[Row] = []
    directions: dict[Literal["up", "down"], str] = {
        "up": "stdin → provider's socket",
        "down": "provider's socket → stdout",
    }
    for direction, title in directions.items():
        for percent, limit in ((50, 2), (99, 3)):
            at = {
                name: [percentile(one.ages(direction), percent) for one in loads]
                for name, loads in found.items()
            }
            what = f"{title}, p{percent}"
            rows.append(plain(f"{what}: raw relay", at["relay"], "µs"))
            if direction == "down":  # upwards the SDK has the audio in its own process
                rows.append(plain(f"{what}: SDK alone", at["sdk"], "µs"))
            rows.append(against(f"{what}: omnirt", at["daemon"], "µs", at["relay"], "relay", Target(limit)))
        everything = {
            name: [percentile(one.all_ages(direction), 99) for one in found[name]]
            for name in ("relay", "daemon")
        }
        what = f"{title}, p99, with what the machine held up: omnirt"
        rows.append(against(what, everything["daemon"], "µs", everything["relay"], "relay"))
    left_out = [one.left_out for loads in found.values() for one in loads]
    rows.append(plain("left out, as the machine held them up, all ways", left_out, "%"))
    disorder = [sum(not one.in_order for one in loads) for loads in found.values()]
    rows.append(
        plain("rounds with a message out of order, all ways", [float(sum(disorder))], "", Target(0, ""))
    )
    return rows
