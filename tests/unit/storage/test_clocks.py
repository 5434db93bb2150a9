"""Clocks that are set: the order of what is stored stands, and retention does not believe a jump at once."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from pathlib import Path

import pytest

from omnirt.storage import AudioStorage
from omnirt.storage.keeper import Keeper
from omnirt.storage.retention import Policy
from tests.support.daemon import driven
from tests.unit.storage.helpers import LIMIT_S, query, run_info


@driven
async def run_of(data_dir: Path, number: int, started_at: str, ended_at: str) -> None:
    storage = AudioStorage(data_dir)
    info = dataclasses.replace(run_info(run_id=f"{9 - number}-run"), started_at=started_at)
    await (await storage.start_run(info)).finish("stopped", ended_at, 1000)
    await storage.close()


def test_runs_are_in_the_order_of_their_start_though_the_clock_was_set_back(tmp_path: Path) -> None:
    for number, started_at in enumerate(
        ("2026-06-01T12:00:00.000Z", "2026-06-01T07:00:00.000Z", "2018-01-01T00:00:00.000Z")
    ):
        run_of(tmp_path, number, started_at, started_at)
    run_of(tmp_path, 3, "2026-06-01T13:00:00.000Z", "2026-06-01T08:00:00.000Z")
    rows = query(tmp_path, "SELECT run_id, started_at, ended_at FROM runs ORDER BY started_at, run_id")
    assert [row[0] for row in rows] == ["9-run", "8-run", "7-run", "6-run"]
    assert [row[1] for row in rows] == [
        "2026-06-01T12:00:00.000Z",
        "2026-06-01T12:00:00.001Z",
        "2026-06-01T12:00:00.002Z",
        "2026-06-01T13:00:00.000Z",
    ]
    assert all(str(ended_at) >= str(started_at) for _, started_at, ended_at in rows)


@pytest.mark.parametrize(("set_by_s", "waits"), [(10 * 3600.0, True), (-10 * 3600.0, False), (60.0, False)])
def test_retention_waits_for_an_hour_after_the_clock_was_set_ahead(
    set_by_s: float,
    waits: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = time.time
    monkeypatch.setattr("omnirt.storage.keeper.START_S", 0.0)
    rounds: list[int] = []

    @driven
    async def live() -> None:
        loop, asked = asyncio.get_running_loop(), asyncio.Event()

        def policy() -> Policy:
            rounds.append(len(caplog.records))
            loop.call_soon_threadsafe(asked.set)
            return Policy()

        storage = AudioStorage(tmp_path)
        keeper = Keeper(storage.archive, policy)
        monkeypatch.setattr("omnirt.storage.keeper.time.time", lambda: now() + set_by_s)
        monkeypatch.setattr("omnirt.storage.keeper.EVERY_S", 0.01)
        await asyncio.wait_for(asked.wait(), LIMIT_S)
        keeper.close()
        await storage.close()

    with caplog.at_level(logging.WARNING):
        live()
    assert rounds[0] == waits, "a warning comes first"
