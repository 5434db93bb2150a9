"""When the disk is slow, full, locked or not what it should be, it is told once and the voice goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.types import Item
from omnirt.storage import AudioStorage, StorageProblem
from tests.unit.storage.helpers import LIMIT_S, Stall, query, run_info, stalled_disk

ENDED = "2025-01-01T00:00:05Z"
CHUNK = b"\x01\x02" * 480  # 20 ms

FULL_DISK = """
import asyncio, json, resource, sys
from pathlib import Path
from omnirt.storage import AudioStorage
from tests.unit.storage.helpers import run_info

async def main():
    problems = []
    storage = AudioStorage(Path(sys.argv[1]), on_problem=problems.append)
    recorder = await storage.start_run(run_info())
    await storage.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    for number in range(200):
        recorder.audio("long", 0, bytes(960), number * 20)
        await storage.flush()
    recorder.audio("short", 0, bytes(960), 4000)
    files = await recorder.finish("stopped", "2025-01-01T00:00:05Z", 4000)
    await storage.close()
    told = [[problem.kind, problem.session_id] for problem in problems]
    print(json.dumps({"told": told, "files": [[str(file.path), file.duration_ms] for file in files]}))

asyncio.run(main())
"""


@pytest.fixture
def read_only_dir() -> Iterator[Path]:
    """A folder that this process may not write to, whoever runs the tests."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.rmdir()


def item(number: int) -> Item:
    return Item(item_id=f"item_{number}", type="message", status="completed", at_ms=0)


def test_a_disk_slower_than_the_audio_is_told_and_what_it_lost_is_silence(tmp_path: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> Path:
        storage = AudioStorage(tmp_path, on_problem=problems.append, max_queue_bytes=10 * len(CHUNK))
        recorder = await storage.start_run(run_info())
        with stalled_disk(storage):
            for number in range(25):
                recorder.audio("item_1", 0, CHUNK, number * 20)
            assert storage.stats().queued_bytes == 10 * len(CHUNK)
            await asyncio.sleep(0)
            # The warning comes before anything is dropped, and once.
            assert [(problem.from_ms, problem.dropped_ms) for problem in problems] == [(0, 0), (200, 20)]
            assert problems[0].queued_bytes == 6 * len(CHUNK)
        await storage.flush()
        recorder.audio("item_1", 0, CHUNK, 500)
        recorder.audio_end("item_1", 0)
        [file] = await recorder.finish("stopped", ENDED, 520)
        assert file.duration_ms == 520
        assert storage.stats().dropped_ms == 300
        assert storage.stats().queued_bytes == 0
        await storage.close()
        return file.path

    path = asyncio.run(main())
    with wave.open(str(path)) as wav:
        assert wav.readframes(10_000_000) == CHUNK * 10 + bytes(15 * len(CHUNK)) + CHUNK
    assert {problem.kind for problem in problems} == {"slow"}
    assert [(p.item_id, p.from_ms, p.dropped_ms) for p in problems[1:]] == [
        ("item_1", 200, 20),
        ("item_1", 220, 280),
    ]
    assert query(tmp_path, "SELECT duration_ms, dropped_ms FROM audio") == [(520, 300)]


def test_once_full_the_queue_takes_nothing_until_half_of_it_has_gone(tmp_path: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=problems.append, max_queue_bytes=10 * len(CHUNK))
        recorder = await storage.start_run(run_info())
        stalls = [Stall(storage)]
        stalls[0].wait_reached()
        for count in (4, 2, 4):
            for _ in range(count):
                recorder.audio("item_1", 0, CHUNK, 0)
            stalls.append(Stall(storage))
        recorder.audio("item_1", 0, CHUNK, 0)
        stalls[0].end()
        stalls[1].wait_reached()
        recorder.audio("item_1", 0, CHUNK, 0)
        assert storage.stats().queued_bytes == 6 * len(CHUNK)
        stalls[1].end()
        stalls[2].wait_reached()
        recorder.audio("item_1", 0, CHUNK, 0)
        assert storage.stats().queued_bytes == 5 * len(CHUNK)
        for stall in stalls:
            stall.end()
        await recorder.finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    assert [problem.dropped_ms for problem in problems] == [0, 20, 20]


def test_a_disk_that_does_not_answer_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnirt.storage.recorder.FINISH_TIMEOUT_S", 0.05)
    monkeypatch.setattr("omnirt.storage.storage.CLOSE_TIMEOUT_S", 0.05)
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=problems.append)
        recorder = await storage.start_run(run_info())
        with stalled_disk(storage):
            with monkeypatch.context() as patch:
                patch.setattr("omnirt.storage.storage.START_TIMEOUT_S", 0.05)
                with pytest.raises(OmnirtError, match="does not answer"):
                    await storage.start_run(run_info("s2", "run2"))
            with pytest.raises(OmnirtError, match="does not answer"):
                await storage.flush()
            recorder.audio("item_1", 0, CHUNK, 0)
            [file] = await recorder.finish("stopped", ENDED, 20)
            await storage.close()
        async with asyncio.timeout(LIMIT_S):  # it answers after all: everything is made final
            while storage.stats().queued_entries:
                await asyncio.sleep(0)
        assert file.path.stat().st_size == 44 + len(CHUNK)
        assert storage.stats().open_runs == 0

    asyncio.run(main())
    assert [problem.kind for problem in problems] == ["storage_failed"]
    assert query(tmp_path, "SELECT run_id, reason FROM runs") == [("11111111-2222", "stopped")]
    assert list((tmp_path / "locks").iterdir()) == []


def test_audio_that_is_lost_at_the_end_of_a_part_is_told_with_its_end(tmp_path: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=problems.append, max_queue_entries=4)
        recorder = await storage.start_run(run_info(output_format="g711_ulaw"))
        with stalled_disk(storage):
            for number in range(10):
                recorder.audio("item_1", 0, bytes(160), number * 20)
                recorder.audio("item_2", 0, bytes(160), number * 20)
            recorder.audio_end("item_1", 0)
        await recorder.finish("stopped", ENDED, 200)
        await storage.close()

    asyncio.run(main())
    lost = {name: sum(p.dropped_ms for p in problems if p.item_id == name) for name in ("item_1", "item_2")}
    kept = {str(name): int(str(ms)) for name, ms in query(tmp_path, "SELECT item_id, duration_ms FROM audio")}
    assert {name: lost[name] + kept[name] for name in lost} == {"item_1": 200, "item_2": 200}
    assert [problem.dropped_ms > 0 for problem in problems] == [False, True, True, True, True]


def test_rows_beyond_the_bound_are_told_once_and_those_within_it_are_stored(tmp_path: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=problems.append, max_queue_entries=10)
        recorder = await storage.start_run(run_info())
        with stalled_disk(storage):
            for number in range(50):
                recorder.item(item(number))
        await recorder.finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    assert [problem.kind for problem in problems] == ["storage_failed"]
    [(count,)] = query(tmp_path, "SELECT count(*) FROM items")
    assert 10 <= int(str(count)) <= 20


def test_a_newer_database_refuses_the_start_and_leaves_the_session_free(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db")) as newer:
        newer.execute("PRAGMA user_version = 99")

    async def main() -> None:
        storage = AudioStorage(tmp_path)
        with pytest.raises(OmnirtError, match="newer omnirt") as caught:
            await storage.start_run(run_info())
        assert caught.value.kind == "storage_failed"
        assert storage.stats().open_runs == 0
        await storage.close()

    asyncio.run(main())
    assert list((tmp_path / "locks").iterdir()) == []


def test_in_a_read_only_directory_the_session_goes_on_and_hears_of_it_once(read_only_dir: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(read_only_dir, on_problem=problems.append)
        recorder = await storage.start_run(run_info())
        assert problems == []
        await asyncio.sleep(0)
        assert [problem.kind for problem in problems] == ["storage_failed"]
        assert recorder.audio("item_1", 0, CHUNK, 0) is None
        recorder.item(item(1))
        assert await recorder.finish("stopped", ENDED, 1) == []
        await storage.close()

    asyncio.run(main())
    [problem] = problems
    assert (problem.session_id, problem.run_id) == ("s1", "11111111-2222")
    assert "Permission denied" in problem.message
    assert list(read_only_dir.iterdir()) == []


def test_a_full_disk_costs_the_file_that_met_it_and_is_told_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True, text=True, timeout=6 * LIMIT_S, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["told"] == [["storage_failed", "s1"]]
    assert [Path(path).name[9:13] for path, _ in told["files"]] == ["0001", "0002"]
    for path, duration in told["files"]:
        with wave.open(path) as wav:  # each is whole as far as it goes
            assert wav.getnframes() * 1000 // 24_000 == duration
    assert query(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_a_damaged_database_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / "omnirt.db").write_bytes(b"no database at all " * 100)
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=problems.append)
        recorder = await storage.start_run(run_info())
        recorder.audio("item_1", 0, CHUNK, 0)
        recorder.item(item(1))
        [file] = await recorder.finish("stopped", ENDED, 1)
        assert file.path.stat().st_size == 44 + len(CHUNK)
        await storage.close()

    asyncio.run(main())
    [problem] = problems
    [aside] = tmp_path.glob("omnirt.db.broken-*")
    assert (problem.kind, str(aside) in problem.message) == ("storage_failed", True)
    assert aside.read_bytes() == b"no database at all " * 100
    assert query(tmp_path, "SELECT reason FROM runs") == [("stopped",)]
    assert query(tmp_path, "SELECT count(*) FROM items") == [(1,)]


def test_a_database_that_is_damaged_under_way_is_set_aside_and_the_run_goes_on(tmp_path: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=problems.append)
        recorder = await storage.start_run(run_info())
        for number in range(200):
            recorder.item(item(number))
        await storage.flush()
        with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db")) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            pages = other.execute("PRAGMA page_count").fetchone()[0]
        with (tmp_path / "omnirt.db").open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096 * (pages - 1))
        async with asyncio.timeout(LIMIT_S):
            while not list(tmp_path.glob("omnirt.db.broken-*")):
                recorder.item(item(1))
                await storage.flush()
        recorder.item(item(2))
        await recorder.finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    assert [problem.kind for problem in problems] == ["storage_failed"]
    assert query(tmp_path, "SELECT reason FROM runs") == [("stopped",)]
    assert ("item_2",) in query(tmp_path, "SELECT item_id FROM items")
    assert query(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_two_daemons_that_meet_a_damaged_database_go_on_in_one_new_one(tmp_path: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> None:
        storages = [AudioStorage(tmp_path, on_problem=problems.append) for _ in range(2)]
        recorders = [
            await storage.start_run(run_info(f"s{number}", f"run{number}"))
            for number, storage in enumerate(storages)
        ]
        for storage in storages:
            await storage.flush()
        for suffix in ("-wal", "-shm", ""):
            (tmp_path / f"omnirt.db{suffix}").unlink()
        (tmp_path / "omnirt.db").write_bytes(b"no database at all " * 100)
        for number, recorder in enumerate(recorders):
            recorder.item(item(number))
        await asyncio.gather(*(recorder.finish("stopped", ENDED, 1) for recorder in recorders))
        for storage in storages:
            await storage.close()

    asyncio.run(main())
    assert len(list(tmp_path.glob("omnirt.db.broken-*"))) == 1
    assert "storage_failed" in {problem.kind for problem in problems}
    assert query(tmp_path, "SELECT run_id, reason FROM runs ORDER BY run_id") == [
        ("run0", "stopped"),
        ("run1", "stopped"),
    ]
    assert query(tmp_path, "SELECT count(*) FROM items") == [(2,)]


def test_a_database_that_was_taken_away_is_made_anew(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        await storage.flush()
        for file in tmp_path.glob("omnirt.db*"):
            file.unlink()
        recorder.item(item(1))
        await recorder.finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    assert query(tmp_path, "SELECT reason FROM runs") == [("stopped",)]
    assert query(tmp_path, "SELECT item_id FROM items") == [("item_1",)]


def test_rows_without_a_database_wait_for_one_up_to_a_bound(tmp_path: Path) -> None:
    (tmp_path / "omnirt.db").mkdir()
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=problems.append)
        recorder = await storage.start_run(run_info())
        for number in range(10_100):
            recorder.item(item(number))
        await storage.flush()
        (tmp_path / "omnirt.db").rmdir()
        await storage.close()

    asyncio.run(main())
    assert [problem.kind for problem in problems] == ["storage_failed"]
    assert query(tmp_path, "SELECT count(*) FROM items") == [(10_000 - 2,)]


@pytest.mark.parametrize("patience", [0.0, LIMIT_S])
def test_rows_that_met_a_locked_database_are_stored_when_it_is_free(
    patience: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omnirt.storage.saver.BUSY_S", patience)
    problems: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=problems.append)
        recorder = await storage.start_run(run_info())
        with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            recorder.item(item(1))
            path = recorder.audio("item_1", 0, CHUNK, 0)
            await storage.flush()
            assert path is not None
            assert path.exists()  # audio does not wait for the database
            recorder.item(item(2))
            await storage.flush()
            other.execute("ROLLBACK")
        async with asyncio.timeout(LIMIT_S):
            while query(tmp_path, "SELECT count(*) FROM items") != [(2,)]:
                await storage.flush()
        await recorder.finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    # One that is locked for a moment is nobody's concern; one that stays so is told, once.
    assert [problem.kind for problem in problems] == ["storage_failed"] * (patience == 0)
    assert query(tmp_path, "SELECT reason FROM runs") == [("stopped",)]


def test_without_anybody_to_tell_the_log_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "audio").touch()  # where a folder should be

    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        assert recorder.audio("item_1", 0, CHUNK, 0) is None
        assert await recorder.finish("stopped", ENDED, 1) == []
        await storage.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert len(caplog.records) == 1
    assert "could not be stored" in caplog.text


def test_a_run_may_have_an_ear_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "audio").touch()
    of_all: list[StorageProblem] = []
    of_one: list[StorageProblem] = []

    async def main() -> None:
        storage = AudioStorage(tmp_path, on_problem=of_all.append)
        one = await storage.start_run(run_info(), on_problem=of_one.append)
        other = await storage.start_run(run_info("s2", "run2"))
        await one.finish("stopped", ENDED, 1)
        await other.finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    assert [problem.session_id for problem in of_one] == ["s1"]
    assert [problem.session_id for problem in of_all] == ["s2"]


def test_a_file_that_is_in_the_way_is_not_written_over(tmp_path: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> Path:
        storage = AudioStorage(tmp_path, on_problem=problems.append)
        recorder = await storage.start_run(run_info())
        folder = tmp_path / "audio" / "acme" / "greeter" / "s1"
        folder.mkdir()
        (folder / "11111111-0001-item_1-0.wav").write_bytes(b"mine")
        recorder.audio("item_1", 0, CHUNK, 0)
        await storage.flush()
        assert recorder.audio("item_1", 0, CHUNK, 20) is None
        assert await recorder.finish("stopped", ENDED, 40) == []
        await storage.close()
        return folder / "11111111-0001-item_1-0.wav"

    assert asyncio.run(main()).read_bytes() == b"mine"
    assert [problem.kind for problem in problems] == ["storage_failed"]
