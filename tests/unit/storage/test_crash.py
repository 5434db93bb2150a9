"""A process killed while it records loses nothing that had reached the disk, and leaves nothing broken."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from omnirt.storage import AudioStorage
from omnirt.storage.audio import recover
from tests.unit.storage.helpers import LIMIT_S, query, run_info

# Records four sessions as fast as it can, and says after each flush how many chunks of each are safe.
RECORD = """
import asyncio, sys
from pathlib import Path
from omnirt.protocol.types import Item
from omnirt.storage import AudioStorage
from tests.unit.storage.helpers import run_info

async def main():
    storage = AudioStorage(Path(sys.argv[1]))
    recorders = [await storage.start_run(run_info(f"s{n}", f"run{n}")) for n in range(4)]
    for count in range(1, 1_000_000):
        for recorder in recorders:
            name = f"item_{count // 40}"
            recorder.audio(name, 0, (count % 256).to_bytes(2, "little") * 480, count * 20)
            recorder.item(Item(item_id=name, type="message", status="inProgress", at_ms=count))
        if count % 7 == 0:
            await storage.flush()
            print(count, flush=True)
        else:
            await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.mark.parametrize("until", [7, 70, 161])
def test_a_kill_at_any_moment_loses_nothing_that_was_flushed(until: int, tmp_path: Path) -> None:
    safe = record_and_kill(tmp_path, until)
    for number in range(4):
        folder = tmp_path / "audio" / "acme" / "greeter" / f"s{number}"
        said = b""
        for path in sorted(folder.iterdir()):
            recover(path)
            assert not recover(path)
            with wave.open(str(path)) as wav:
                said += wav.readframes(wav.getnframes())
        expected = b"".join((count % 256).to_bytes(2, "little") * 480 for count in range(1, safe + 1))
        assert said.startswith(expected)
    assert query(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert query(tmp_path, "PRAGMA foreign_key_check") == []
    [(items,)] = query(tmp_path, "SELECT count(*) FROM items WHERE run_id = 'run0'")
    assert int(str(items)) >= safe // 40 + 1
    # Each row speaks of a file that is there: data is written before its row.
    files = [tmp_path / str(path) for (path,) in query(tmp_path, "SELECT path FROM audio")]
    assert files
    assert all(path.exists() for path in files)


def test_the_sessions_of_a_killed_process_can_be_started_again(tmp_path: Path) -> None:
    record_and_kill(tmp_path, 7)
    assert len(list((tmp_path / "locks").iterdir())) == 4

    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info("s0", "run-after"))
        async with asyncio.timeout(LIMIT_S):  # the others are mended, one by one
            while [path.name for path in (tmp_path / "locks").iterdir()] != ["s0.lock"]:
                await storage.flush()
        recorder.audio("item_0", 0, b"aa", 0)
        [file] = await recorder.finish("stopped", "2025-01-01T00:00:05Z", 1)
        assert file.path.exists()
        await storage.close()

    asyncio.run(main())


def record_and_kill(data_dir: Path, until: int) -> int:
    """Let a process record until so many chunks are safe, kill it, and say how many were."""
    command = [sys.executable, "-c", RECORD, str(data_dir)]
    safe = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            safe = int(line)
            if safe >= until:
                break
        child.kill()
        safe = max([safe, *(int(line) for line in child.stdout.read().split())])
        child.wait(LIMIT_S)
    assert safe >= until
    return safe
