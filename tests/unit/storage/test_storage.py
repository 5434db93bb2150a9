"""What a session hands over is found again: in its files, in its rows, under its names."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import wave
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.types import ContentPart, InputTokens, Item, Usage
from omnirt.storage import AudioFile, AudioStorage, Heard, RunInfo
from tests.unit.storage.helpers import LIMIT_S, query, run_info

ENDED = "2025-01-01T00:00:05Z"


def item(item_id: str = "item_1", text: str = "Hello") -> Item:
    return Item(
        item_id=item_id,
        type="message",
        role="assistant",
        status="completed",
        content=[ContentPart(type="text", text=text)],
        at_ms=40,
    )


def frames(path: Path) -> bytes:
    with wave.open(str(path)) as wav:
        return bytes(wav.readframes(wav.getnframes()))


def test_a_run_leaves_its_audio_and_its_rows(tmp_path: Path) -> None:
    async def main() -> tuple[Path | None, list[AudioFile]]:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        path = recorder.audio("item_1", 0, b"\x01\x02" * 2_400, 120)
        recorder.audio("item_1", 0, b"\x03\x04" * 2_400, 220)
        told = recorder.audio_end("item_1", 0)
        recorder.item(item())
        recorder.usage(Usage(input_tokens=3, total_tokens=5, input=InputTokens(audio=3)))
        files = await recorder.finish("stopped", ENDED, 5_000)
        assert files == [told]
        assert recorder.files() == files
        await storage.close()
        return path, files

    path, files = asyncio.run(main())
    assert path == tmp_path / "audio" / "acme" / "greeter" / "s1" / "11111111-0001-item_1-0.wav"
    assert files == [AudioFile(path, "assistant", "item_1", 0, at_ms=120, duration_ms=200)]
    assert frames(path) == b"\x01\x02" * 2_400 + b"\x03\x04" * 2_400
    assert query(tmp_path, "SELECT session_id, project_slug, agent_slug FROM sessions") == [
        ("s1", "acme", "greeter")
    ]
    assert query(tmp_path, "SELECT run_id, session_id, reason, ended_at, duration_ms FROM runs") == [
        ("11111111-2222", "s1", "stopped", ENDED, 5_000)
    ]
    assert query(tmp_path, "SELECT path, at_ms, duration_ms, dropped_ms, final FROM audio") == [
        (path.relative_to(tmp_path).as_posix(), 120, 200, 0, 1)
    ]
    [(position, role, text)] = query(tmp_path, "SELECT position, role, json FROM items")
    assert (position, role) == (1, "assistant")
    assert json.loads(str(text))["content"] == [{"type": "text", "text": "Hello"}]
    assert query(tmp_path, "SELECT input_tokens, output_tokens, total_tokens FROM usage") == [(3, None, 5)]
    assert list((tmp_path / "locks").iterdir()) == []


def test_with_record_none_there_is_no_audio(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info(record="none"))
        assert recorder.audio("item_1", 0, b"aa", 0) is None
        assert recorder.audio_end("item_1", 0) is None
        assert await recorder.finish("stopped", ENDED, 1) == []
        await storage.close()

    asyncio.run(main())
    assert list(tmp_path.rglob("*.wav")) == []
    assert query(tmp_path, "SELECT record, reason FROM runs") == [("none", "stopped")]


@pytest.mark.parametrize("tag", [6, 7])
def test_g711_is_stored_as_it_came(tag: int, tmp_path: Path) -> None:
    async def main() -> list[AudioFile]:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info(output_format="g711_alaw" if tag == 6 else "g711_ulaw"))
        recorder.audio("item_1", 0, b"abcdefgh" * 100, 0)
        files = await recorder.finish("stopped", ENDED, 1)
        await storage.close()
        return files

    [file] = asyncio.run(main())
    content = file.path.read_bytes()
    assert (file.duration_ms, content[20], content[58:]) == (100, tag, b"abcdefgh" * 100)


def test_interleaved_parts_go_to_files_of_their_own_in_the_order_of_their_first_audio(tmp_path: Path) -> None:
    async def main() -> list[AudioFile]:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        for number in range(100):  # more than are kept open at once
            recorder.audio(f"item_{number % 80}", number % 2, bytes([number, 0]) * 24, number)
        await storage.flush()
        for number in range(100):
            recorder.audio(f"item_{number % 80}", number % 2, bytes([number, 1]) * 24, number)
        files = await recorder.finish("stopped", ENDED, 1)
        await storage.close()
        return files

    files = asyncio.run(main())
    assert [file.item_id for file in files] == [f"item_{number}" for number in range(80)]
    assert [file.path.name for file in files] == sorted(file.path.name for file in files)
    assert frames(files[1].path) == b"".join(bytes([n, i]) * 24 for i in (0, 1) for n in (1, 81))
    assert frames(files[79].path) == b"".join(bytes([79, i]) * 24 for i in (0, 1))


HOSTILE = ["../../../../x", "/etc/passwd", "a\x00b", "x" * 300, "CON", "..", "", "a/b", "\ud800", "\r\n"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_inside_and_is_stored_as_it_is(name: str, tmp_path: Path) -> None:
    async def main() -> list[AudioFile]:
        storage = AudioStorage(tmp_path / "data")
        recorder = await storage.start_run(run_info(name, name, project=name, agent=name))
        recorder.audio(name, 0, b"aa", 0)
        recorder.item(item(name, text=name))
        files = await recorder.finish("stopped", ENDED, 1)
        await storage.close()
        return files

    [file] = asyncio.run(main())
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]
    assert file.path.resolve().is_relative_to(tmp_path / "data" / "audio")
    assert (len(file.path.relative_to(tmp_path / "data").parts), file.item_id) == (5, name)
    stored = name.encode("utf-8", "backslashreplace").decode()
    assert query(tmp_path / "data", "SELECT session_id FROM sessions") == [(stored,)]
    [(item_id, text)] = query(tmp_path / "data", "SELECT item_id, json FROM items")
    assert (item_id, json.loads(str(text))["itemId"]) == (stored, name)


def test_an_item_is_stored_as_it_is_last_and_keeps_its_place(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        for item_id in ("one", "two", "three"):
            recorder.item(item(item_id, "first"))
        recorder.item(item("one", "last"))
        recorder.remove_item("two")
        recorder.usage(Usage(total_tokens=1))
        recorder.usage(Usage(total_tokens=2, seconds=1.5))
        await recorder.finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    found = query(tmp_path, "SELECT item_id, position, json FROM items ORDER BY position")
    assert [row[:2] for row in found] == [("one", 1), ("three", 3)]
    assert json.loads(str(found[0][2]))["content"][0]["text"] == "last"
    assert query(tmp_path, "SELECT total_tokens FROM usage") == [(2,)]


def test_what_was_heard_may_be_told_after_the_end_and_audio_may_follow_it(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        recorder.audio("item_1", 0, bytes(4_800), 0)
        assert recorder.audio_end("item_1", 0) is not None
        await storage.flush()
        assert query(tmp_path, "SELECT duration_ms, heard_ms, interrupted, final FROM audio") == [
            (100, None, 0, 1)
        ]
        recorder.audio_end("item_1", 0, Heard(60, played_at_ms=15, interrupted=True))
        recorder.audio("item_1", 0, bytes(4_800), 100)
        assert recorder.audio_end("item_2", 0) is None
        [file] = await recorder.finish("stopped", ENDED, 1)
        assert (file.duration_ms, len(frames(file.path))) == (200, 9_600)
        await storage.close()

    asyncio.run(main())
    assert query(tmp_path, "SELECT duration_ms, heard_ms, played_at_ms, interrupted, final FROM audio") == [
        (200, 60, 15, 1, 1)
    ]


def test_a_file_that_grows_is_whole_and_in_the_database_before_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        path = recorder.audio("item_1", 0, b"aabb", 0)
        await storage.flush()
        assert path is not None
        assert frames(path) == b"aabb"
        assert query(tmp_path, "SELECT final FROM audio") == [(0,)]
        await recorder.finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())


def test_a_session_that_is_live_elsewhere_is_refused_and_free_after_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = AudioStorage(tmp_path), AudioStorage(tmp_path)
        recorder = await one.start_run(run_info())
        for storage in (one, other):
            with pytest.raises(OmnirtError) as caught:
                await storage.start_run(run_info(run_id="second"))
            assert caught.value.kind == "session_exists"
        assert one.stats().open_runs == 1
        await recorder.finish("stopped", ENDED, 1)
        again = await other.start_run(run_info(run_id="second"))
        await again.finish("stopped", ENDED, 1)
        await one.close()
        await other.close()

    asyncio.run(main())
    assert query(tmp_path, "SELECT run_id FROM runs ORDER BY started_at, rowid") == [
        ("11111111-2222",), ("second",)
    ]  # fmt: skip


def test_two_storages_record_side_by_side_on_one_directory(tmp_path: Path) -> None:
    async def record(storage: AudioStorage, name: str) -> None:
        recorder = await storage.start_run(run_info(name, f"run-{name}"))
        for number in range(50):
            recorder.audio(f"item_{number // 10}", 0, bytes(960), number * 20)
            recorder.item(item(f"item_{number // 10}"))
            await asyncio.sleep(0)
        assert len(await recorder.finish("stopped", ENDED, 1)) == 5

    async def main() -> None:
        problems: list[object] = []
        storages = [AudioStorage(tmp_path, on_problem=problems.append) for _ in range(2)]
        await asyncio.gather(*(record(storages[n % 2], f"s{n}") for n in range(8)))
        for storage in storages:
            await storage.close()
        assert problems == []

    asyncio.run(main())
    assert query(tmp_path, "SELECT count(*) FROM items") == [(40,)]
    assert query(tmp_path, "SELECT count(*) FROM audio WHERE final AND duration_ms = 200") == [(40,)]
    assert query(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_a_later_run_of_a_session_lies_beside_the_earlier_one(tmp_path: Path) -> None:
    async def record(storage: AudioStorage, info: RunInfo) -> Path:
        recorder = await storage.start_run(info)
        recorder.audio("item_1", 0, b"aa", 0)
        [file] = await recorder.finish("stopped", ENDED, 1)
        return file.path

    async def main() -> list[Path]:
        storage = AudioStorage(tmp_path)
        paths = [await record(storage, run_info(run_id=name)) for name in ("alike-run-1", "alike-run-2")]
        with pytest.raises(OmnirtError, match="stored already"):
            await storage.start_run(run_info(run_id="alike-run-1"))
        assert list((tmp_path / "locks").iterdir()) == []
        await storage.close()
        return paths

    one, other = asyncio.run(main())
    assert one.parent == other.parent
    assert one.name != other.name
    assert query(tmp_path, "SELECT count(*) FROM sessions") == [(1,)]
    assert query(tmp_path, "SELECT count(*) FROM runs") == [(2,)]


def test_a_discarded_run_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        recorder.audio("item_1", 0, b"aa", 0)
        recorder.item(item())
        await recorder.discard()
        assert recorder.files() == []
        assert recorder.audio("item_1", 0, b"aa", 0) is None
        assert storage.stats().open_runs == 0
        await storage.close()

    asyncio.run(main())
    assert [path for path in (tmp_path / "audio").rglob("*") if path.name == "s1" or path.is_file()] == []
    assert query(tmp_path, "SELECT count(*) FROM sessions") == [(0,)]
    assert list((tmp_path / "locks").iterdir()) == []


def test_finish_may_be_cancelled_and_repeated_and_is_done_once(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        recorder.audio("item_1", 0, b"aa", 0)
        ending = asyncio.create_task(recorder.finish("stopped", ENDED, 1))
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        files = await recorder.finish("error", ENDED, 2)
        assert [file.item_id for file in files] == ["item_1"]
        await (await storage.start_run(run_info(run_id="second"))).finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    assert query(tmp_path, "SELECT reason FROM runs WHERE run_id <> 'second'") == [("stopped",)]


def test_a_start_that_is_cancelled_leaves_the_session_free(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        starting = asyncio.create_task(storage.start_run(run_info()))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await (await storage.start_run(run_info())).finish("stopped", ENDED, 1)
        await storage.close()

    asyncio.run(main())
    assert query(tmp_path, "SELECT count(*) FROM runs") == [(1,)]


def test_closing_makes_the_files_of_open_runs_final_and_their_sessions_free(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info())
        path = recorder.audio("item_1", 0, b"aab", 0)
        await storage.close()
        await storage.close()
        assert path is not None
        assert frames(path) == b"aa"
        assert [file.path for file in await recorder.finish("shutdown", ENDED, 1)] == [path]
        recorder.audio("item_1", 0, b"cc", 0)
        recorder.item(item())
        with pytest.raises(OmnirtError) as caught:
            await storage.start_run(run_info())
        assert caught.value.kind == "storage_failed"
        await storage.flush()

    asyncio.run(main())
    assert query(tmp_path, "SELECT final FROM audio") == [(1,)]
    assert list((tmp_path / "locks").iterdir()) == []


def test_nothing_is_opened_before_the_first_run_and_nothing_stays_open_after_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        threads = set(threading.enumerate())
        storage = AudioStorage(tmp_path / "data")
        assert storage.stats().queued_entries == 0
        await storage.flush()
        assert not (tmp_path / "data").exists()
        recorder = await storage.start_run(run_info())
        [thread] = set(threading.enumerate()) - threads
        recorder.audio("item_1", 0, b"aa", 0)
        await recorder.finish("stopped", ENDED, 1)
        await storage.close()
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        await AudioStorage(tmp_path / "data").close()

    asyncio.run(main())
    if Path("/proc/self/fd").exists():  # Linux says what each descriptor is of
        targets = [fd.resolve() for fd in Path("/proc/self/fd").iterdir()]
        assert [target for target in targets if target.is_relative_to(tmp_path)] == []


def test_importing_the_storage_brings_no_sqlite_along() -> None:
    code = "import sys, omnirt.storage; print({'sqlite3', 'platformdirs', 'agents'} & set(sys.modules))"
    # Coverage would follow into the process, and bring sqlite3 along itself.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, timeout=6 * LIMIT_S, env=env
    )
    assert done.stdout == b"set()\n"
