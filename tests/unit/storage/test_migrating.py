"""A database of an older version goes on as it is, with all that is in it."""

from __future__ import annotations

import contextlib
import sqlite3
import wave
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.stored_methods import AudioReadParams, HistoryGetParams, HistoryListParams
from omnirt.storage import AudioStorage
from omnirt.storage.deleting import delete_session
from omnirt.storage.export import read_audio
from omnirt.storage.history import get_session
from omnirt.storage.migrations import MIGRATIONS
from omnirt.storage.patience import Patience
from omnirt.storage.verify import verify
from tests.support.daemon import driven
from tests.unit.storage.archives import begin, listed, say, tone
from tests.unit.storage.helpers import query

OLD = sorted((Path(__file__).parent / "databases").glob("*.sql"))


@pytest.fixture(params=OLD, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data directory with a database as that version left it, and its recording."""
    with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db")) as connection:
        connection.executescript(request.param.read_text(encoding="utf-8"))
    recording = tmp_path / "audio/acme/greeter/old/11111111-0001-item_2-0.wav"
    recording.parent.mkdir(parents=True)
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(tone(440, 500))
    return tmp_path


def test_there_is_a_database_of_every_version_but_this_one() -> None:
    assert [path.stem for path in OLD] == [f"version{n}" for n in range(1, len(MIGRATIONS))]


def assert_whole(data_dir: Path) -> None:
    page = get_session(data_dir, HistoryGetParams(session_id="old"), Patience())
    assert [item.item_id for item in page.items] == ["item_1", "item_2"]
    assert (page.items[1].generated_text, page.items[1].heard_ms) == ("In Portugal.", 400)
    assert (page.session.duration_ms, page.session.reason) == (9000, "stopped")
    assert listed(data_dir, query="portugal") == ["old"], "what was said before can be searched"
    audio = read_audio(data_dir, AudioReadParams(session_id="old", item_id="item_2"), Patience())
    assert audio.audio == tone(440, 500)
    assert query(data_dir, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert query(data_dir, "PRAGMA integrity_check") == [("ok",)]
    assert list(verify(data_dir, repair=False)) == []


def test_reading_migrates_and_keeps_all(old: Path) -> None:
    assert_whole(old)


@driven
async def test_recording_migrates_and_goes_on_beside_it(old: Path) -> None:
    storage = AudioStorage(old)
    recorder = await begin(storage, "new", started_at="2025-02-01T00:00:00.000Z")
    say(recorder, ["Hello", "Hi"])
    await recorder.finish("stopped", "2025-02-01T00:01:00.000Z", 1000)
    await storage.close()
    assert listed(old) == ["new", "old"]
    assert_whole(old)


def test_deleting_migrates_too(old: Path) -> None:
    result = delete_session(old, "old", Patience())
    assert (result.deleted_rows, result.deleted_files) == (6, 1)
    assert listed(old) == []


@driven
async def test_a_newer_database_is_neither_read_nor_changed(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "omnirt.db")) as newer:
        newer.execute("CREATE TABLE of_the_future (x)")
        newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = (tmp_path / "omnirt.db").read_bytes()
    storage = AudioStorage(tmp_path)
    for ask in (
        lambda: storage.archive.list(HistoryListParams()),
        lambda: begin(storage, "s1"),
    ):
        with pytest.raises(OmnirtError, match="newer omnirt") as caught:
            await ask()
        assert caught.value.kind == "storage_failed"
    for act in (
        lambda: delete_session(tmp_path, "old", Patience()),
        lambda: list(verify(tmp_path, repair=True)),
    ):
        with pytest.raises(OmnirtError, match="newer omnirt"):
            act()
    await storage.close()
    assert (tmp_path / "omnirt.db").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"omnirt.db", "locks"}
