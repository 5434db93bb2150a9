"""A disk that is full, for real: a small file system in memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnirt.protocol.types import Item
from omnirt.storage import AudioFile, AudioStorage, StorageProblem
from tests.unit.storage.helpers import LIMIT_S, query, run_info

CHUNK = b"\x01\x02" * 480
"""20 ms."""
SIZE_KB = 400


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with so much room and no more."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False, timeout=LIMIT_S)
    if mounted.returncode:
        assert os.environ.get("CI") != "true", mounted.stderr
        pytest.skip("a file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=LIMIT_S)


def item(number: int) -> Item:
    return Item(item_id=f"item_{number}", type="message", status="completed", at_ms=0)


def fill(disk: Path) -> Path:
    """Leave no room; returns what is to be removed to make some."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError):
        ballast.write_bytes(bytes(SIZE_KB << 10))
    return ballast


def test_a_full_disk_is_told_once_and_recording_goes_on_when_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omnirt.storage.disk._RETRY_S", 0.0)
    problems: list[StorageProblem] = []
    sent = 0

    async def main() -> list[AudioFile]:
        storage = AudioStorage(small_disk, on_problem=problems.append)
        recorder = await storage.start_run(run_info(record="both"))

        async def send() -> None:
            nonlocal sent
            recorder.audio("item_0", 0, CHUNK, 20 * sent)
            recorder.host_audio(CHUNK, 20 * sent + 20)
            sent += 1
            await storage.flush()

        recorder.item(item(0))
        await send()
        ballast = fill(small_disk)
        while not all(part.owed for part in recorder._parts.values()):
            await send()  # the voice goes on meanwhile
        recorder.item(item(1))
        await storage.flush()
        ballast.unlink()
        await send()
        recorder.item(item(2))
        files = await recorder.finish("stopped", "2025-01-01T00:00:05Z", 1)
        await storage.close()
        for file in files:
            assert file.duration_ms == sent * 20, "what is missing is silence"
            with wave.open(str(file.path)) as wav:
                frames = wav.readframes(wav.getnframes())
            assert frames.startswith(CHUNK)
            assert frames.endswith(CHUNK)
            assert bytes(len(CHUNK) // 2) in frames
        return files

    assert [file.side for file in asyncio.run(main())] == ["assistant", "host"]
    assert [problem.kind for problem in problems] == ["storage_failed"]
    assert "No space left" in problems[0].message or "disk is full" in problems[0].message
    assert query(small_disk, "SELECT count(*) FROM items") == [(3,)]
    assert query(small_disk, "SELECT reason FROM runs") == [("stopped",)]
    assert query(small_disk, "SELECT final, dropped_ms > 0 FROM audio") == [(1, 1), (1, 1)]
    assert query(small_disk, "PRAGMA integrity_check") == [("ok",)]


def test_a_disk_that_was_full_from_the_start_takes_what_comes_when_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omnirt.storage.disk._RETRY_S", 0.0)
    problems: list[StorageProblem] = []
    ballast = fill(small_disk)

    async def main() -> None:
        storage = AudioStorage(small_disk / "data", on_problem=problems.append)
        recorder = await storage.start_run(run_info(record="both"))
        recorder.host_audio(CHUNK, 100)
        recorder.item(item(0))
        await storage.flush()
        assert recorder._parts["host", "", 0].owed == len(CHUNK)
        ballast.unlink()
        recorder.host_audio(CHUNK, 120)
        [file] = await recorder.finish("stopped", "2025-01-01T00:00:05Z", 1)
        assert (file.at_ms, file.duration_ms) == (80, 40)
        await storage.close()

    asyncio.run(main())
    assert [problem.kind for problem in problems] == ["storage_failed"]
    assert query(small_disk / "data", "SELECT item_id FROM items") == [("item_0",)]
    assert query(small_disk / "data", "SELECT side, final FROM audio") == [("host", 1)]
