"""`make fuzz`: property tests driven by coverage instead of chance, each in a process of its own.

atheris (libFuzzer) mutates bytes towards code that was not reached yet; Hypothesis turns the bytes into what
a test takes. What fails is printed as the test would print it, and found again by running the test, whose
example database has it. The bytes that reached new code are kept in `.fuzz/`, where the next begins.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TARGETS = {
    "framing-pieces": "tests.property.test_framing:test_pieces_make_no_difference",
    "framing-limit": (
        "tests.property.test_framing:test_what_comes_out_is_a_message_within_the_limit_or_a_problem"
    ),
    "framing-recovery": "tests.property.test_framing:test_after_anything_a_good_header_frame_is_read",
    "envelopes": "tests.property.test_envelopes:test_anything_parses_or_is_a_typed_problem",
    "envelopes-damage": "tests.property.test_envelopes:test_damage_is_a_typed_problem_at_worst",
    "simulator-events": "tests.unit.loopback.test_garbage:test_any_sequence_of_events_is_survived",
    "simulator-frames": "tests.property.test_simulator:test_any_bytes_on_a_connection_cost_that_connection",
    "simulator-audio": "tests.unit.loopback.test_garbage:test_any_audio_in_any_pieces_is_survived",
    "provider-events": (
        "tests.property.test_sessions:test_whatever_comes_all_that_starts_ends_once_and_closed_is_last"
    ),
    "provider-order": "tests.property.test_sessions:test_the_provider_is_told_in_order",
}
CORPUS = Path(".fuzz")
SECONDS = 30
START_S = 120
"""Beyond its time a target may take so long to be imported, instrumented, and to end."""


def main() -> int:
    """Fuzz the targets, one for each core at a time; 1 when any of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"for each target (default {SECONDS})")
    parser.add_argument("--total", type=int, help="seconds for all of them, in place of --seconds")
    parser.add_argument("--here", action="store_true", help="fuzz the one target in this process")
    args = parser.parse_args()
    names = args.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if args.here:
        fuzz(names[0], args.seconds)
    seconds = args.seconds if args.total is None else max(1, args.total // len(names))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(names, pool.map(lambda name: passed(name, seconds), names), strict=True))
    failed = [name for name, well in results.items() if not well]
    print(f"fuzzed {len(names)} targets for {seconds} s each; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def passed(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own, as libFuzzer ends the process it runs in."""
    command = [sys.executable, "-m", "tests.fuzz", "--here", name, "--seconds", str(seconds)]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=seconds + START_S, errors="replace"
        )
    except subprocess.TimeoutExpired as late:
        print(f"{name}: did not end\n{late.stderr!r}"[-4000:], flush=True)
        return False
    runs = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
    print(f"{name}: {runs[0] if runs else 'failed'}", flush=True)
    if done.returncode != 0 or not runs:
        print(done.stdout[-2000:] + done.stderr[:6000], flush=True)  # the traceback comes first
        return False
    return True


def fuzz(name: str, seconds: int) -> None:
    """Fuzz in this process; does not return."""
    import atheris

    module, _, test = TARGETS[name].partition(":")
    with atheris.instrument_imports(include=["omnirt"]):
        target = getattr(importlib.import_module(module), test)
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=30", "-rss_limit_mb=4096", "-max_len=4096"]
    command = [name, *limits, f"-artifact_prefix={corpus}-", str(corpus)]
    atheris.Setup(command, target.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
