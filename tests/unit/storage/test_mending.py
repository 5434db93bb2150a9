"""What a crash left open is mended by itself: on the next start, and when its session begins again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from omnirt.protocol.types import AudioFormat, Item
from omnirt.storage import AudioStorage
from omnirt.storage.audio import FORMATS
from omnirt.storage.database import Database, Row
from omnirt.storage.mending import mend_run, open_runs
from tests.unit.storage.helpers import LIMIT_S, query, run_info

ENDED = "2025-01-01T00:00:05Z"

# Records both sides of a session and is gone without a word; the last batch of each file has no header yet.
CRASH = """
import asyncio, os, sys
from pathlib import Path
from omnirt.protocol.types import Item
from omnirt.storage import AudioStorage
from tests.unit.storage.helpers import run_info

async def main():
    storage = AudioStorage(Path(sys.argv[1]))
    info = run_info("crashed", "run1", record="both", input_format=sys.argv[2], output_format=sys.argv[3])
    recorder = await storage.start_run(info)
    recorder.host_audio(b"ab" * 2400, 300)
    path = recorder.audio("item_1", 0, b"cd" * 4800, 1000)
    recorder.item(Item(item_id="item_1", type="message", role="assistant", status="inProgress", at_ms=990))
    recorder.audio("item_0", 0, b"cd" * 480, 500)
    recorder.audio_end("item_0", 0)
    await storage.flush()
    with path.open("ab") as file:
        file.write(b"ef" * 480)
    os._exit(9)

asyncio.run(main())
"""


def crash(data_dir: Path, input_format: AudioFormat = "pcm16", output_format: AudioFormat = "pcm16") -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(data_dir), input_format, output_format],
        timeout=6 * LIMIT_S,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert done.returncode == 9
    assert query(data_dir, "SELECT ended_at FROM runs") == [(None,)]


async def start_and_wait_mended(data_dir: Path, session_id: str) -> None:
    storage = AudioStorage(data_dir)
    recorder = await storage.start_run(run_info(session_id, "run2"))
    async with asyncio.timeout(LIMIT_S):
        while query(data_dir, "SELECT ended_at FROM runs WHERE run_id = 'run1'") == [(None,)]:
            await storage.flush()
    await recorder.finish("stopped", ENDED, 1)
    await storage.close()


@pytest.mark.parametrize("session_id", ["another", "crashed"])
def test_the_next_start_gives_what_was_cut_short_exact_files_and_an_end(
    session_id: str, tmp_path: Path
) -> None:
    crash(tmp_path)
    asyncio.run(start_and_wait_mended(tmp_path, session_id))
    run = query(tmp_path, "SELECT ended_at, reason, duration_ms FROM runs WHERE run_id = 'run1'")
    assert run == [("2025-01-01T00:00:01.220Z", "error", 1220)]
    files = query(tmp_path, "SELECT side, item_id, at_ms, duration_ms, final, path FROM audio ORDER BY at_ms")
    assert [row[:5] for row in files] == [
        ("host", "", 200, 100, 1),
        ("assistant", "item_0", 500, 20, 1),
        ("assistant", "item_1", 1000, 220, 1),
    ]
    with wave.open(str(tmp_path / str(files[2][5]))) as wav:
        assert wav.readframes(wav.getnframes()) == b"cd" * 4800 + b"ef" * 480
    [(status, text)] = query(tmp_path, "SELECT status, json FROM items")
    assert (status, json.loads(str(text))["status"]) == ("incomplete", "incomplete")
    assert list((tmp_path / "locks").iterdir()) == []


@pytest.mark.parametrize("audio_format", ["g711_ulaw", "g711_alaw"])
def test_each_side_is_mended_in_its_own_format(audio_format: AudioFormat, tmp_path: Path) -> None:
    crash(tmp_path, "pcm16", audio_format)
    asyncio.run(start_and_wait_mended(tmp_path, "another"))
    found = query(tmp_path, "SELECT side, duration_ms, path FROM audio ORDER BY at_ms")
    assert [row[:2] for row in found] == [("host", 100), ("assistant", 120), ("assistant", 1320)]
    content = (tmp_path / str(found[2][2])).read_bytes()
    assert content[20] == FORMATS[audio_format].tag


def test_a_live_run_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = AudioStorage(tmp_path), AudioStorage(tmp_path)
        recorder = await one.start_run(run_info("live", "run1"))
        recorder.audio("item_1", 0, b"aa", 0)
        recorder.item(Item(item_id="item_1", type="message", status="inProgress", at_ms=0))
        await one.flush()
        database = Database(tmp_path / "omnirt.db")
        [run] = open_runs(database)
        assert not mend_run(database, tmp_path, run)
        database.close()
        second = await other.start_run(run_info("another", "run2"))
        await other.flush()
        assert query(tmp_path, "SELECT final FROM audio") == [(0,)]
        assert query(tmp_path, "SELECT status FROM items") == [("inProgress",)]
        await second.finish("stopped", ENDED, 1)
        await recorder.finish("stopped", ENDED, 1)
        for storage in (one, other):
            await storage.close()

    asyncio.run(main())
    assert query(tmp_path, "SELECT DISTINCT reason FROM runs") == [("stopped",)]


def test_a_file_that_is_gone_is_forgotten_and_one_that_is_no_wav_file_is_left(tmp_path: Path) -> None:
    crash(tmp_path)
    paths = {
        str(side): str(path) for side, path in query(tmp_path, "SELECT side || item_id, path FROM audio")
    }
    (tmp_path / paths["host"]).unlink()
    (tmp_path / paths["assistantitem_1"]).write_bytes(b"lost")
    asyncio.run(start_and_wait_mended(tmp_path, "another"))
    assert query(tmp_path, "SELECT side, item_id, final FROM audio ORDER BY at_ms") == [
        ("assistant", "item_0", 1),
        ("assistant", "item_1", 1),
    ]
    assert (tmp_path / paths["assistantitem_1"]).read_bytes() == b"lost"


def test_a_path_that_leads_out_of_the_folder_is_not_touched(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    crash(data_dir)
    (tmp_path / "mine.wav").write_bytes(b"mine")
    database = Database(data_dir / "omnirt.db")
    database.save([Row("UPDATE audio SET path = ? WHERE side = 'host'", ("audio/../../mine.wav",))])
    database.close()
    asyncio.run(start_and_wait_mended(data_dir, "another"))
    assert (tmp_path / "mine.wav").read_bytes() == b"mine"
    assert query(data_dir, "SELECT count(*) FROM audio WHERE side = 'host'") == [(0,)]
