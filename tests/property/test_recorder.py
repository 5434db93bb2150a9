"""However either side is cut into chunks, what is stored is the same; nothing of it is lost or doubled."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings, strategies as st

from omnirt.protocol.types import AudioFormat
from omnirt.storage import AudioFile, AudioStorage
from omnirt.storage.audio import FORMATS
from tests.unit.storage.helpers import run_info

formats: st.SearchStrategy[AudioFormat] = st.sampled_from(["pcm16", "g711_ulaw", "g711_alaw"])
# (side and item, how many bytes, how long after the one before, whether the disk catches up first)
chunks = st.lists(
    st.tuples(st.sampled_from(["host", "a", "b"]), st.integers(1, 3000), st.integers(0, 400), st.booleans()),
    max_size=25,
)


def pattern(name: str, start: int, size: int) -> bytes:
    """The bytes of a side from a place on: no two places near each other look alike."""
    first = {"host": 0, "a": 85, "b": 170}[name]
    return bytes((first + place * 7 + place // 251) % 256 for place in range(start, start + size))


@settings(deadline=None, max_examples=40)
@given(formats, formats, chunks)
def test_any_chunking_of_both_sides_gives_the_same_audio(
    input_format: AudioFormat, output_format: AudioFormat, script: list[tuple[str, int, int, bool]]
) -> None:
    sent: dict[str, int] = {}

    async def main(folder: Path) -> list[AudioFile]:
        storage = AudioStorage(folder)
        recorder = await storage.start_run(
            run_info(record="both", input_format=input_format, output_format=output_format)
        )
        at_ms = 1000
        for name, size, later, flush in script:
            at_ms += later
            # The host's chunks are whole samples: the daemon takes no others.
            size += size % FORMATS[input_format].sample_bytes if name == "host" else 0
            data = pattern(name, sent.get(name, 0), size)
            sent[name] = sent.get(name, 0) + size
            if name == "host":
                recorder.host_audio(data, at_ms)
            else:
                recorder.audio(name, 0, data, at_ms)
            if flush:
                await storage.flush()
        files = await recorder.finish("stopped", "2025-01-01T00:00:05Z", at_ms)
        await storage.close()
        return files

    with tempfile.TemporaryDirectory() as folder:
        files = asyncio.run(main(Path(folder)))
        said = dict.fromkeys(sent, b"")
        end_ms = 0
        for file in files:
            audio_format = input_format if file.side == "host" else output_format
            header = FORMATS[audio_format].header_bytes
            content = file.path.read_bytes()
            size = int.from_bytes(content[header - 4 : header], "little")
            said[file.item_id or "host"] += content[header : header + size]
            if file.side == "host":  # on one clock, one after the other
                assert file.at_ms >= end_ms
                end_ms = file.at_ms + file.duration_ms
    for name, size in sent.items():
        width = 1 if name == "host" else FORMATS[output_format].sample_bytes
        assert said[name] == pattern(name, 0, size - size % width)
