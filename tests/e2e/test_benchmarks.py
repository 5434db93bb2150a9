"""The benchmarks still run: a tiny round of each kind, in which nothing is timed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import (
    __main__ as bench,
    dispatch,
    flood,
    load,
    memory,
    report,
    stalls,
    stolen,
    table,
    ways,
)
from tests.benchmarks.child import LOAD_CORE, TESTED_CORE

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="benchmarks read the clocks of other processes"
)


@pytest.fixture(autouse=True)
def _any_core() -> Iterator[None]:
    """Benchmarks keep this process to one core."""
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


def test_every_section_has_its_heading_on_the_page() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert [title for title in bench.BENCHMARKS if f"\n## {title}\n" not in page] == []


def test_a_dispatch_answers_the_same_in_all_ways() -> None:
    assert {name: len(rounds) for name, rounds in dispatch.measure(1, 5).items()} == {
        "bare": 1,
        "stock": 1,
        "ours": 1,
    }


def test_the_relay_carries_a_load_in_order() -> None:
    found = asyncio.run(load.through(ways.relay, 2, 0.2))
    assert found.in_order
    assert (len(found.up), len(found.down)) == (20, 4)


def test_the_sdk_alone_carries_a_load_in_order() -> None:
    found = asyncio.run(load.sdk_alone(1, 0.2))
    assert found.in_order
    assert (len(found.up), len(found.down)) == (10, 2)


def test_the_daemon_carries_a_load_in_order_and_a_probe_reports() -> None:
    carried, found = asyncio.run(stalls.recording(1, 0.2))
    assert carried.in_order
    assert (len(carried.up), len(carried.down)) == (10, 2)
    assert found.collection > 0


def test_times_of_a_core_that_was_away_are_told_from_others() -> None:
    gone = stolen.Stolen()
    assert (gone.within(0, 100), gone.spoilt(50)) == (0, False)
    ms = 1_000_000
    gone.by_core = {TESTED_CORE: [(10 * ms, 20 * ms), (90 * ms, 91 * ms)], LOAD_CORE: [(200 * ms, 300 * ms)]}
    assert gone.within(15 * ms, 95 * ms) == 6 * ms
    assert [at for at in (7, 51, 87, 95, 197, 601) if gone.spoilt(at * ms)] == []
    assert all(gone.spoilt(at * ms) for at in (9, 15, 49, 89, 93, 199, 599))


def test_the_naive_daemon_is_flooded() -> None:
    costs = asyncio.run(flood.flood(lambda url, count: ways.naive(url, count, store=True), 20, 10))
    assert costs.up > 0
    assert costs.down > 0


def test_memory_is_read_after_half_of_the_audio_and_after_all() -> None:
    half, whole = asyncio.run(memory.hour(chunks=20, deltas=4, responses=2))
    assert half > 0
    assert whole > 0


def test_the_page_keeps_what_was_not_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nHead.\n\n## One\n\nWords.\n\n| old |\n\n## Two\n\nKept.\n", encoding="utf-8")
    for _ in range(2):
        report.write({"One": table.render([table.Row("what", "1 µs")])}, "a machine.", page)
    text = page.read_text(encoding="utf-8")
    assert text.count("Measured on a machine.") == 1
    assert text.startswith("# Page\n\nHead.\n\n## One\n\nWords.\n\n| what")
    assert text.endswith("## Two\n\nKept.\n")
    assert "old" not in text


def test_a_target_is_met_or_missed_by_the_median_of_the_rounds() -> None:
    at_most, at_least = table.Target(2), table.Target(10, at_least=True)
    row = table.against("a", [3.0, 30.0, 3.0], "µs", [2.0, 2.0, 2.0], "floor", at_most)
    assert (row.met, row.target) == (True, "≤ 2×")
    assert table.against("a", [1.0], "µs", [9.0], "floor", at_least).met is False
    assert table.verdict(row) == "met (1 of 3 not)"
    assert table.verdict(table.plain("a", [1.0], "ms", table.Target(2, "ms"))) == "met"
    assert table.verdict(table.plain("a", [3.0], "ms", table.Target(2, "ms"))) == "**missed** (1 of 1 not)"
