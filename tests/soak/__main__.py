"""`make soak`: twenty sessions at a time, with speech, tools, interrupts, drops and restarts at random.

The daemon is a real process. In rounds: sessions live and die for a while, then all are ended, all that the
daemon wrote is read by the checker (order, `seq`, pairs, one reply each), and what the idle daemon still
holds is counted: tasks, threads, file descriptors, children, memory. Fails when a rule was broken or
something grew.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.figures import Figures, grown, slope_mb_per_minute, take
from tests.soak.life import Life, Tally
from tests.support.host import Host

SESSIONS = 20
SECONDS = 300
ROUND_S = 20.0
MAX_SLOPE_MB = 1.5
"""Per minute, over the rounds after the first ones, in which caches fill and the allocator settles."""
WARM_UP = 2


async def soak(seconds: float, sessions: int, seed: int) -> list[str]:
    """Run, print figures, and return what went wrong."""
    tally = Tally()
    samples: list[tuple[float, Figures]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with Host.spawn(Path(folder)) as host:
            await (await host.start()).ask("stop")  # the voice SDK is loaded, the simulator's server is up
            await host.settle()
            while not samples or time.monotonic() - began < seconds:
                await round_of(host, sessions, min(ROUND_S, seconds / 3), seed + len(samples), tally)
                figures = await take(host)
                samples.append(((time.monotonic() - began) / 60, figures))
                print(f"{time.monotonic() - began:5.0f} s  {figures}  {tally}", flush=True)
    return verdict(samples)


async def round_of(host: Host, sessions: int, seconds: float, seed: int, tally: Tally) -> None:
    """Let sessions live for a while, end them all, and check what the daemon said."""
    until = time.monotonic() + seconds
    lives = [Life(host, random.Random(f"{seed}/{number}"), tally) for number in range(sessions)]
    host.answer = lives[0].answer_call
    async with asyncio.TaskGroup() as group:
        for life in lives:
            group.create_task(life.live(until))
    await host.settle()


def verdict(samples: list[tuple[float, Figures]]) -> list[str]:
    """What grew from the first round to the last."""
    figures = [figure for _, figure in samples]
    problems = grown(figures[0], figures[-1])
    settled = samples[WARM_UP:]
    if len(settled) >= 3:
        slope = slope_mb_per_minute([(minute, figure.rss_mb) for minute, figure in settled])
        print(f"memory: {statistics.median(f.rss_mb for f in figures):.0f} MB, {slope:+.2f} MB a minute")
        if slope > MAX_SLOPE_MB:
            problems.append(f"memory grows by {slope:.2f} MB a minute")
    else:
        print("memory: too few rounds for a slope")
    return problems


def main() -> int:
    """0 when nothing was broken, lost or left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"how long (default {SECONDS})")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help=f"at once (default {SESSIONS})")
    parser.add_argument("--seed", type=int, default=None, help="of what happens; random by default")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    print(f"{args.sessions} sessions for {args.seconds:.0f} s, --seed {seed}", flush=True)
    problems = asyncio.run(soak(args.seconds, args.sessions, seed))
    for problem in problems:
        print(f"FAILED: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
