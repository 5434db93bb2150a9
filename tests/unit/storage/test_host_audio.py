"""The host's side: stretches without a gap in files of their own, on the clock of the run."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import pytest

from omnirt.protocol.types import AudioFormat
from omnirt.storage import AudioFile, AudioStorage, StorageProblem
from omnirt.storage.audio import FORMATS
from tests.unit.storage.helpers import query, run_info, stalled_disk

ENDED = "2025-01-01T00:00:05Z"
CHUNK = b"\x01\x02" * 2400
"""100 ms."""


def record(folder: Path, *chunks: tuple[int, bytes], input_format: AudioFormat = "pcm16") -> list[AudioFile]:
    """The files of a run whose host sent these, each at its time."""

    async def main() -> list[AudioFile]:
        storage = AudioStorage(folder)
        recorder = await storage.start_run(run_info(record="both", input_format=input_format))
        for at_ms, data in chunks:
            recorder.host_audio(data, at_ms)
        files = await recorder.finish("stopped", ENDED, 1)
        await storage.close()
        return files

    return asyncio.run(main())


def frames(path: Path) -> bytes:
    with wave.open(str(path)) as wav:
        return bytes(wav.readframes(wav.getnframes()))


def test_a_microphone_that_goes_on_is_one_file_whatever_the_jitter(tmp_path: Path) -> None:
    times = [1100, 1190, 1340, 1400, 1500]
    [file] = record(tmp_path, *((at_ms, bytes([n, 0]) * 2400) for n, at_ms in enumerate(times)))
    assert (file.side, file.item_id, file.content_index) == ("host", None, None)
    assert (file.at_ms, file.duration_ms) == (1000, 500)
    assert file.path.name.endswith("-0001-host-0.wav")
    assert frames(file.path) == b"".join(bytes([n, 0]) * 2400 for n in range(5))
    assert query(tmp_path, "SELECT side, item_id, content_index, at_ms, duration_ms, final FROM audio") == [
        ("host", "", 0, 1000, 500, 1)
    ]


def test_after_a_pause_a_new_stretch_begins_where_it_was_heard(tmp_path: Path) -> None:
    files = record(tmp_path, (1100, CHUNK), (1200, CHUNK), (5000, CHUNK), (5100, CHUNK))
    assert [(file.at_ms, file.duration_ms) for file in files] == [(1000, 200), (4900, 200)]


def test_audio_that_comes_faster_than_it_was_spoken_follows_without_a_gap(tmp_path: Path) -> None:
    files = record(tmp_path, *((100 + n, CHUNK) for n in range(50)), (3000, CHUNK), (9000, CHUNK))
    assert [(file.at_ms, file.duration_ms) for file in files] == [(0, 5100), (8900, 100)]


def test_what_waited_for_the_start_begins_with_the_run(tmp_path: Path) -> None:
    [file] = record(tmp_path, (40, CHUNK * 30))
    assert (file.at_ms, file.duration_ms) == (0, 3000)


def test_only_both_records_the_host(tmp_path: Path) -> None:
    async def main() -> None:
        storage = AudioStorage(tmp_path)
        for record in ("assistant", "none"):
            recorder = await storage.start_run(run_info(run_id=record, record=record))
            recorder.host_audio(CHUNK, 100)
            assert await recorder.finish("stopped", ENDED, 1) == []
        await storage.close()

    asyncio.run(main())
    assert list(tmp_path.rglob("*.wav")) == []


@pytest.mark.parametrize("input_format", ["g711_ulaw", "g711_alaw"])
def test_each_side_has_its_own_format(input_format: AudioFormat, tmp_path: Path) -> None:
    async def main() -> list[AudioFile]:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info(record="both", input_format=input_format))
        recorder.host_audio(b"h" * 800, 100)
        recorder.audio("item_1", 0, CHUNK, 150)
        files = await recorder.finish("stopped", ENDED, 1)
        await storage.close()
        return files

    host, assistant = asyncio.run(main())
    assert (host.side, host.duration_ms, assistant.side, assistant.duration_ms) == (
        "host", 100, "assistant", 100,
    )  # fmt: skip
    content = host.path.read_bytes()
    assert content[20] == FORMATS[input_format].tag
    assert content.endswith(b"h" * 800)
    assert query(tmp_path, "SELECT input_format, input_rate, output_format FROM runs") == [
        (input_format, 8000, "pcm16")
    ]


def test_an_item_that_is_called_as_the_hosts_files_are_meets_none_of_them(tmp_path: Path) -> None:
    async def main() -> list[AudioFile]:
        storage = AudioStorage(tmp_path)
        recorder = await storage.start_run(run_info(record="both"))
        recorder.audio("host", 0, b"aa", 0)
        recorder.audio("", 0, b"bb", 0)
        recorder.host_audio(b"cc", 0)
        files = await recorder.finish("stopped", ENDED, 1)
        await storage.close()
        return files

    files = asyncio.run(main())
    assert [frames(file.path) for file in files] == [b"aa", b"bb", b"cc"]


def test_host_audio_that_a_slow_disk_did_not_take_is_silence_and_told_without_an_item(tmp_path: Path) -> None:
    problems: list[StorageProblem] = []

    async def main() -> AudioFile:
        storage = AudioStorage(tmp_path, on_problem=problems.append, max_queue_bytes=4 * len(CHUNK))
        recorder = await storage.start_run(run_info(record="both"))
        with stalled_disk(storage):
            for number in range(6):
                recorder.host_audio(CHUNK, 100 * number + 100)
        await storage.flush()
        recorder.host_audio(CHUNK, 700)
        [file] = await recorder.finish("stopped", ENDED, 1)
        await storage.close()
        return file

    file = asyncio.run(main())
    assert frames(file.path) == CHUNK * 4 + bytes(2 * len(CHUNK)) + CHUNK
    told = [(p.kind, p.item_id, p.from_ms, p.dropped_ms) for p in problems]
    assert told == [("slow", None, 0, 0), ("slow", None, 400, 100), ("slow", None, 500, 100)]
