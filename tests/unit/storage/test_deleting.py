"""Deletion takes rows and files together, across a crash as well; retention takes the oldest that ended."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.storage import AudioStorage
from omnirt.storage.deleting import delete_session
from omnirt.storage.paths import locks_dir
from omnirt.storage.patience import Patience
from omnirt.storage.retention import Policy, Pruned, prune
from tests.support.daemon import driven
from tests.unit.storage.archives import begin, listed, say, store
from tests.unit.storage.helpers import LIMIT_S, query

TABLES = ("sessions", "runs", "items", "audio", "usage", "words", "deletions")

CRASH = """
import os, sys
from pathlib import Path
from omnirt.storage import deleting
from omnirt.storage.patience import Patience
real = Path.unlink
def unlink(path, *args, **kwargs):
    if path.suffix == ".wav":
        if int(sys.argv[2]) == 0:
            os._exit(9)
        sys.argv[2] = str(int(sys.argv[2]) - 1)
    real(path, *args, **kwargs)
Path.unlink = unlink
deleting.delete_session(Path(sys.argv[1]), "s1", Patience())
"""


def files(data_dir: Path) -> list[str]:
    return sorted(path.parent.name for path in data_dir.glob("audio/*/*/*/*.wav"))


def rows(data_dir: Path) -> dict[str, int]:
    found = {}
    for table in TABLES:
        [(count,)] = query(data_dir, f"SELECT count(*) FROM {table}")
        assert isinstance(count, int)
        found[table] = count
    return found


def apply(data_dir: Path, *, dry_run: bool = False, **policy: float) -> Pruned:
    return prune(data_dir, Policy(**policy), Patience(), dry_run=dry_run)  # type: ignore[arg-type] # days or bytes


def ago(days: float) -> str:
    return (
        (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


@driven
async def test_rows_and_files_go_together_and_others_stay(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi", "And?", "Yes")
    await store(tmp_path, "s2", "Hello", "Hi")
    before = rows(tmp_path)
    result = delete_session(tmp_path, "s1", Patience())
    after = rows(tmp_path)
    assert result.deleted_files == 2
    assert result.deleted_rows == sum(before.values()) - sum(after.values()) - 4 == 1 + 1 + 4 + 2
    assert after == {"sessions": 1, "runs": 1, "items": 2, "audio": 1, "usage": 0, "words": 2, "deletions": 0}
    assert files(tmp_path) == ["s2"]
    assert [path.name for path in tmp_path.glob("audio/*/*/*")] == ["s2"], "the folder is gone too"
    assert list(locks_dir(tmp_path).iterdir()) == []


@driven
async def test_no_word_of_what_was_deleted_is_left_in_any_file(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "the zanzibar affair", "hushhush")
    await store(tmp_path, "s2", "Hello", "Hi")
    holds = [path for path in tmp_path.rglob("*") if path.is_file() and b"zanzibar" in path.read_bytes()]
    assert holds
    delete_session(tmp_path, "s1", Patience())
    for path in tmp_path.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert b"zanzibar" not in data, path
        assert b"hushhush" not in data, path


@driven
async def test_files_that_no_row_tells_of_go_with_their_session(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    folder = next(tmp_path.glob("audio/*/*/s1"))
    (folder / "stray-0001-item-0.wav").write_bytes(b"RIFF")
    assert delete_session(tmp_path, "s1", Patience()).deleted_files == 2
    assert not folder.exists()


@driven
async def test_an_unknown_session_is_not_found(tmp_path: Path) -> None:
    for others in ((), ("s2",)):
        for session_id in others:
            await store(tmp_path, session_id, "Hello")
        with pytest.raises(OmnirtError) as caught:
            delete_session(tmp_path, "s1", Patience())
        assert caught.value.kind == "not_found"


@driven
async def test_a_live_session_is_not_deleted(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1")
    say(recorder, ["Hello", "Hi"])
    await storage.flush()
    before = rows(tmp_path)
    with pytest.raises(OmnirtError) as caught:
        delete_session(tmp_path, "s1", Patience())
    assert caught.value.kind == "session_state"
    assert apply(tmp_path, days=0.001, max_bytes=1) == Pruned([], 0, 0, 0)
    assert (rows(tmp_path), files(tmp_path)) == (before, ["s1"])
    await recorder.finish("stopped", "2025-01-01T00:01:00Z", 100)
    assert delete_session(tmp_path, "s1", Patience()).deleted_files == 1
    await storage.close()


def put_in_the_way(data_dir: Path, session_id: str) -> Path:
    """A folder where the recording is: nobody can unlink it, not even root."""
    [path] = data_dir.glob(f"audio/*/*/{session_id}/*.wav")
    path.unlink()
    path.mkdir()
    return path


@driven
async def test_a_recording_that_cannot_be_removed_is_kept_in_mind_and_told(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    path = put_in_the_way(tmp_path, "s1")
    with pytest.raises(OmnirtError, match="tried again") as caught:
        delete_session(tmp_path, "s1", Patience())
    assert (caught.value.kind, str(path) in caught.value.message) == ("storage_failed", True)
    assert (listed(tmp_path), rows(tmp_path)["deletions"]) == ([], 1)
    assert apply(tmp_path) == Pruned([], 0, 0, 0)
    path.rmdir()
    path.touch()
    apply(tmp_path)
    assert (rows(tmp_path)["deletions"], files(tmp_path)) == (0, [])


@driven
async def test_retention_goes_on_past_what_cannot_be_removed(tmp_path: Path) -> None:
    for session_id in ("s1", "s2", "s3"):
        await store(tmp_path, session_id, "Hello", "Hi")
    path = put_in_the_way(tmp_path, "s1")
    pruned = apply(tmp_path, days=30)
    assert (pruned.sessions, pruned.files) == (["s1", "s2", "s3"], 2)
    assert pruned.left == [path.relative_to(tmp_path).as_posix()]
    assert files(tmp_path) == ["s1"]


@driven
async def test_so_many_days_that_no_calendar_has_them_keep_all(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    for days in (1e6, 1e300, float("inf")):
        assert apply(tmp_path, days=days).sessions == []


@pytest.mark.parametrize("unlinked", [0, 1])
@driven
async def test_a_deletion_that_a_crash_cut_short_is_finished_later(unlinked: int, tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi", "And?", "Yes")
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path), str(unlinked)], timeout=LIMIT_S, check=False
    )
    assert done.returncode == 9
    assert listed(tmp_path) == [], "it is gone for whoever reads"
    assert files(tmp_path) == ["s1"] * (2 - unlinked)
    await store(tmp_path, "s1", "Anew", "Yes", run_id="another-run")
    assert apply(tmp_path) == Pruned([], 0, 0, 0)
    assert rows(tmp_path)["deletions"] == 0
    assert files(tmp_path) == ["s1"], "the new run's file stays"
    assert (listed(tmp_path), rows(tmp_path)["audio"]) == (["s1"], 1)


@driven
async def test_sessions_that_ended_too_long_ago_go(tmp_path: Path) -> None:
    for number, days in enumerate((40, 31, 29, 1)):
        await store(tmp_path, f"s{number}", "Hello", "Hi", started_at=ago(days + 1), ended_at=ago(days))
    assert apply(tmp_path, days=30, dry_run=True).sessions == ["s0", "s1"]
    assert listed(tmp_path) == ["s3", "s2", "s1", "s0"]
    pruned = apply(tmp_path, days=30)
    assert (pruned.sessions, pruned.files) == (["s0", "s1"], 2)
    assert listed(tmp_path) == ["s3", "s2"]
    assert files(tmp_path) == ["s2", "s3"]


@driven
async def test_a_session_that_went_on_lately_stays(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", started_at=ago(50), ended_at=ago(50))
    await store(tmp_path, "s1", "Hello", started_at=ago(2), ended_at=ago(1), run_id="second")
    assert apply(tmp_path, days=30).sessions == []


@driven
async def test_the_sessions_that_ended_first_go_until_the_rest_fits(tmp_path: Path) -> None:
    for number in range(4):
        started, over = ago(9 - number), ago(8 - number)
        await store(tmp_path, f"s{number}", "Hello", "Hi", started_at=started, ended_at=over, audio_ms=1000)
    each = next(tmp_path.glob("audio/*/*/*/*.wav")).stat().st_size
    pruned = apply(tmp_path, max_bytes=each * 2)
    assert (pruned.sessions, pruned.bytes) == (["s0", "s1"], each * 2)
    assert apply(tmp_path, max_bytes=each * 2).sessions == []
    assert files(tmp_path) == ["s2", "s3"]


@driven
async def test_a_live_session_makes_no_room_but_others_do(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    live = await begin(storage, "live", started_at=ago(10))
    say(live, ["Hello", "Hi"], audio_ms=1000)
    await storage.flush()
    await store(tmp_path, "ended", "Hello", "Hi", started_at=ago(1), ended_at=ago(1), audio_ms=1000)
    assert apply(tmp_path, max_bytes=60_000).sessions == ["ended"]
    await live.finish("stopped", ago(0), 1000)
    await storage.close()
    assert listed(tmp_path) == ["live"]


def test_retention_of_nothing_is_nothing(tmp_path: Path) -> None:
    assert apply(tmp_path, days=1) == Pruned([], 0, 0, 0)
    assert list(tmp_path.iterdir()) == []
