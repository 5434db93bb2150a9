"""What does not fit together in the data directory is found, and mended when that is asked for."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from omnirt.storage import AudioStorage
from omnirt.storage.findings import Finding
from omnirt.storage.verify import verify
from tests.support.daemon import driven
from tests.unit.storage.archives import begin, listed, said, say, session, store, tone
from tests.unit.storage.helpers import query


def found(data_dir: Path, *, repair: bool = False) -> list[Finding]:
    return list(verify(data_dir, repair=repair))


def kinds(findings: list[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


def change(data_dir: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(data_dir / "omnirt.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def recording(data_dir: Path) -> Path:
    [path] = data_dir.glob("audio/*/*/s1/*.wav")
    return path


def half_deleted(data_dir: Path) -> None:
    name = recording(data_dir).relative_to(data_dir).as_posix()
    change(
        data_dir,
        "PRAGMA foreign_keys = ON",
        "DELETE FROM sessions WHERE session_id = 's1'",
        f"""INSERT INTO deletions (session_id, files) VALUES ('s1', '["{name}"]')""",
    )


def cut_short(data_dir: Path) -> None:
    change(data_dir, "UPDATE runs SET ended_at = NULL, reason = NULL, duration_ms = NULL")


def file_gone(data_dir: Path) -> None:
    recording(data_dir).unlink()


def file_grew(data_dir: Path) -> None:
    with recording(data_dir).open("ab") as file:
        file.write(tone(440, 50))


def header_lost(data_dir: Path) -> None:
    recording(data_dir).write_bytes(bytes(1000))


def row_gone(data_dir: Path) -> None:
    change(data_dir, "DELETE FROM audio")


def rubbish(data_dir: Path) -> None:
    (recording(data_dir).parent / "11111111-0009-item-0.wav").write_bytes(b"")


def item_damaged(data_dir: Path) -> None:
    change(data_dir, "UPDATE items SET json = '{\"itemId\":' WHERE item_id = 'item_0'")


def index_lost(data_dir: Path) -> None:
    change(data_dir, "DELETE FROM words WHERE rowid = 1")


def index_stale(data_dir: Path) -> None:
    change(data_dir, "UPDATE words SET text = 'nonsense' WHERE rowid = 1")


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (half_deleted, "deletion"),
        (cut_short, "run"),
        (file_gone, "missingFile"),
        (file_grew, "unfinishedFile"),
        (header_lost, "brokenFile"),
        (row_gone, "strayFile"),
        (rubbish, "strayFile"),
        (item_damaged, "item"),
        (index_lost, "search"),
        (index_stale, "search"),
    ],
)
@driven
async def test_harm_is_found_untouched_then_repaired_then_gone(
    harm: Callable[[Path], None], kind: str, tmp_path: Path
) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    assert found(tmp_path) == []
    harm(tmp_path)
    for _ in range(2):
        looked = found(tmp_path)
        assert kinds(looked) == [kind]
        assert not looked[0].repaired
    repaired = found(tmp_path, repair=True)
    assert kinds(repaired)[0] == kind
    assert all(finding.repaired for finding in repaired)
    assert found(tmp_path) == []
    assert query(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_nothing_stored_is_in_order(tmp_path: Path) -> None:
    assert found(tmp_path, repair=True) == []
    assert list(tmp_path.iterdir()) == []


@driven
async def test_a_run_that_was_cut_short_ends_where_its_recording_does(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi", audio_ms=700)
    cut_short(tmp_path)
    found(tmp_path, repair=True)
    assert (session(tmp_path, "s1").duration_ms, session(tmp_path, "s1").reason) == (1700, "error")


@driven
async def test_a_stray_recording_comes_back_to_its_item(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    before = query(
        tmp_path, "SELECT run_id, item_id, content_index, side, path, at_ms, duration_ms FROM audio"
    )
    row_gone(tmp_path)
    [finding] = found(tmp_path, repair=True)
    assert finding.session_id == "s1"
    after = query(
        tmp_path, "SELECT run_id, item_id, content_index, side, path, at_ms, duration_ms FROM audio"
    )
    assert after == before


@driven
async def test_recordings_without_their_database_become_sessions_again(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1", record="both")
    recorder.host_audio(tone(440, 200), 200)
    say(recorder, ["Hello", "Hi"])
    await recorder.finish("stopped", "2025-01-01T00:00:02.000Z", 2000)
    await storage.close()
    for file in tmp_path.glob("audio/*/*/*/*.wav"):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    (tmp_path / "omnirt.db").unlink()
    await store(tmp_path, "other", "Hello")
    assert kinds(found(tmp_path, repair=True)) == ["strayFile", "strayFile"]
    assert listed(tmp_path) == ["other", "s1"]
    again = session(tmp_path, "s1")
    assert (again.project_slug, again.agent_slug, again.reason) == ("acme", "greeter", "error")
    assert again.started_at.startswith("2023-11-14")
    rows = query(tmp_path, "SELECT side, item_id, duration_ms FROM audio ORDER BY side")
    assert rows == [("assistant", "item_1", 100), ("host", "", 200)]


@driven
async def test_a_file_that_is_no_recording_is_set_aside_and_not_deleted(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    header_lost(tmp_path)
    [finding] = found(tmp_path, repair=True)
    assert finding.path is not None
    assert Path(finding.path).is_relative_to(tmp_path / "stray")
    assert Path(finding.path).read_bytes() == bytes(1000)


@driven
async def test_live_sessions_are_left_alone(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1")
    recorder.item(said("user", "Hello", "item_0"))
    recorder.audio("item_1", 0, tone(440, 100), 0)
    await storage.flush()
    (recording(tmp_path).parent / "new-0001-item-0.wav").write_bytes(b"")
    path = recording_of(tmp_path)
    before = path.read_bytes()
    assert found(tmp_path, repair=True) == []
    assert path.read_bytes() == before
    recorder.audio("item_1", 0, tone(440, 100), 0)
    files = await recorder.finish("stopped", "2025-01-01T00:01:00.000Z", 1000)
    assert [file.duration_ms for file in files] == [200]
    await storage.close()
    assert kinds(found(tmp_path)) == ["strayFile"]


def recording_of(data_dir: Path) -> Path:
    [path] = data_dir.glob("audio/*/*/s1/*item_1*.wav")
    return path


@driven
async def test_a_damaged_database_is_told_and_nothing_is_built_on_it(tmp_path: Path) -> None:
    await store(tmp_path, "s1", *(f"word {number} " * 50 for number in range(200)), audio_ms=0)
    with (tmp_path / "omnirt.db").open("r+b") as file:
        (page_size,) = struct.unpack(">H", file.read(18)[16:18])
        for page in range(6, 40):
            file.seek(page * page_size)
            file.write(b"\xff" * 200)
    damaged = shutil.copy(tmp_path / "omnirt.db", tmp_path / "copy")
    findings = found(tmp_path, repair=True)
    assert set(kinds(findings)) == {"database"}
    assert not any(finding.repaired for finding in findings)
    assert (tmp_path / "omnirt.db").read_bytes() == Path(damaged).read_bytes()


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "omnirt.db").write_bytes(b"these are my notes" * 500)
    assert kinds(found(tmp_path, repair=True)) == ["database"]


@driven
async def test_rows_that_belong_to_nothing_are_damage(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    change(tmp_path, "PRAGMA foreign_keys = OFF", "DELETE FROM runs")
    assert set(kinds(found(tmp_path))) == {"database"}


@driven
async def test_progress_counts_every_file(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi", "And", "Yes")
    row_gone(tmp_path)
    steps: list[tuple[int, int]] = []
    list(verify(tmp_path, repair=True, progress=lambda done, total: steps.append((done, total))))
    assert steps == [(1, 2), (2, 2)]


@pytest.mark.parametrize("known", [True, False])
@driven
async def test_links_among_the_recordings_are_told_and_set_aside(known: bool, tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    path = recording(tmp_path)
    if known:
        path.unlink()
        change(tmp_path, "UPDATE runs SET ended_at = NULL", "UPDATE audio SET final = 0")
    else:
        path = path.with_name("11111111-0009-item-0.wav")
    path.symlink_to(path)
    [*_, finding] = found(tmp_path)
    assert (finding.kind, finding.path) == ("brokenFile" if known else "strayFile", str(path))
    [*_, finding] = found(tmp_path, repair=True)
    assert finding.repaired
    assert not os.path.lexists(path)
    assert os.path.lexists(str(finding.path))
    assert found(tmp_path) == []


@driven
async def test_recordings_without_a_database_come_into_a_new_one(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    for path in tmp_path.glob("omnirt.db*"):
        path.unlink()
    assert kinds(found(tmp_path)) == ["database"]
    assert not (tmp_path / "omnirt.db").exists()
    assert kinds(found(tmp_path, repair=True)) == ["database", "strayFile"]
    assert found(tmp_path) == []
    assert listed(tmp_path) == ["s1"]
