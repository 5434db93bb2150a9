"""What a session costs at the pace of speech: 50 chunks a second up, 10 deltas a second down."""

from __future__ import annotations

import asyncio
from typing import Literal

from tests.benchmarks import load, ways
from tests.benchmarks.load import Load
from tests.benchmarks.table import Row, Target, against, percentile, plain

SESSIONS = 32
LATENCY_SESSIONS = 8
ROUNDS = 5
SECONDS = 4.0


def measure(sessions: int, rounds: int, seconds: float) -> dict[str, list[Load]]:
    """Relay, SDK and daemon in turn, several rounds."""
    found: dict[str, list[Load]] = {"relay": [], "sdk": [], "daemon": []}
    for _ in range(rounds):
        found["relay"].append(asyncio.run(load.through(ways.relay, sessions, seconds)))
        found["sdk"].append(asyncio.run(load.sdk_alone(sessions, seconds)))
        found["daemon"].append(asyncio.run(load.through(ways.daemon, sessions, seconds)))
    return found


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
    left_out = [one.left_out for loads in found.values() for one in loads]
    rows.append(plain("left out, as the machine held them up, all ways", left_out, "%"))
    disorder = [sum(not one.in_order for one in loads) for loads in found.values()]
    rows.append(
        plain("rounds with a message out of order, all ways", [float(sum(disorder))], "", Target(0, ""))
    )
    return rows
