"""`make soak`: twenty sessions at a time, with speech, tools, interrupts, drops and restarts at random.

The daemon is a real process. Sessions end and are resumed, and so does the provider that a third of them
talks to. In rounds: sessions live and die for a while, then all are ended, all that the daemon wrote is read
by the checker (order, `seq`, pairs, one reply each), and what the idle daemon still holds is counted: tasks,
threads, file descriptors, children, memory. Fails when a rule was broken or something grew, and says which,
with the seed of what happened.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.soak.figures import Figures, grown, memory, take
from tests.soak.life import TEXTS, Life, Tally
from tests.soak.provider import restarted_provider
from tests.support.host import Host

SESSIONS = 20
SECONDS = 300
ROUNDS = 7
"""At least: two for warming up, and enough of the others for a slope."""
ROUND_S = 20.0
PATIENCE_S = 120.0
"""For a reply: twenty sessions on a slow machine with other work."""
ROOT = Path(__file__).resolve().parents[2]
EXPECTED = (
    "sessions", "resumed", "turns of speech", "tool calls", "approvals", "interrupts", "reconnects",
    "restarts of the provider",
)  # fmt: skip
"""Each of these happened, or this was no soak; but on a machine where hardly any session gets to live."""
ENOUGH = 60


async def soak(seconds: float, sessions: int, seed: int, tally: Tally) -> list[str]:
    """Run, print figures, and return what went wrong."""
    samples: list[tuple[float, Figures]] = []
    ended: list[str] = []
    rng = random.Random(f"{seed}/provider")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        env = {"PYTHONPATH": str(ROOT)}  # where the tools are
        async with Host.spawn(Path(folder), env=env) as host, restarted_provider(rng, tally) as provider:
            host.wait_s = PATIENCE_S
            await (await host.start()).ask("stop")  # the voice SDK is loaded, the simulator's server is up
            await host.settle()
            try:
                while not samples or time.monotonic() - began < seconds:
                    lasts_s = min(ROUND_S, seconds / ROUNDS)
                    await round_of(host, sessions, lasts_s, f"{seed}/{len(samples)}", tally, provider, ended)
                    figures = await take(host)
                    samples.append(((time.monotonic() - began) / 60, figures))
                    print(f"{time.monotonic() - began:5.0f} s  {figures}  {tally}", flush=True)
            except BaseException:
                print(f"the daemon said last:\n{host.daemon.stderr.decode(errors='replace')[-4000:]}")
                raise
    return [*grown([figure for _, figure in samples]), *memory(samples)]


async def round_of(
    host: Host,
    sessions: int,
    seconds: float,
    seed: str,
    tally: Tally,
    provider: dict[str, Any],
    ended: list[str],
) -> None:
    """Let sessions live for a while, end them all, and check what the daemon said."""
    until = time.monotonic() + seconds
    rngs = [random.Random(f"{seed}/{number}") for number in range(sessions)]
    lives = [
        Life(host, rng, tally, provider, ended, TEXTS[number % len(TEXTS)]) for number, rng in enumerate(rngs)
    ]
    host.answer = lives[0].answer_call
    async with asyncio.TaskGroup() as group:
        for life in lives:
            group.create_task(life.live(until))
    await host.settle()


def causes(error: BaseException) -> Iterator[BaseException]:
    """What a group of exceptions is made of."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from causes(part)
    else:
        yield error


def main() -> int:
    """0 when nothing was broken, lost or left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"how long (default {SECONDS})")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help=f"at once (default {SESSIONS})")
    parser.add_argument("--seed", type=int, default=None, help="of what happens; random by default")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    command = f"--seconds {args.seconds:g} --sessions {args.sessions} --seed {seed}"
    print(f'make soak SOAK_ARGS="{command}"', flush=True)
    tally = Tally()
    try:
        problems = asyncio.run(soak(args.seconds, args.sessions, seed, tally))
        if tally["sessions"] >= ENOUGH:
            problems += [f"no {name} at all" for name in EXPECTED if not tally[name]]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told with its seed
        problems = [f"{type(cause).__name__}: {cause}" for cause in causes(error)]
    for problem in problems:
        print(f"FAILED: {problem}"[:3000])
    if problems:
        print(f"{len(problems)} failed: {command}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
