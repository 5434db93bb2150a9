"""However audio is cut into chunks, the file is the same, and a crash after any of them can be mended."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings, strategies as st

from omnirt.errors import OmnirtError
from omnirt.protocol.types import AudioFormat
from omnirt.storage.audio import FORMATS, WavWriter, recover

formats: st.SearchStrategy[AudioFormat] = st.sampled_from(["pcm16", "g711_ulaw", "g711_alaw"])
chunkings = st.lists(
    st.tuples(st.binary(max_size=50), st.sampled_from(["", "release", "close"])), max_size=12
)


def written(path: Path, audio_format: AudioFormat, pieces: list[tuple[bytes, str]]) -> bytes:
    writer = WavWriter(path, audio_format, 8_000)
    for data, then in pieces:
        writer.write(data)
        if then == "release" or (then == "close" and writer.size % FORMATS[audio_format].sample_bytes == 0):
            getattr(writer, then)()
    writer.close()
    return path.read_bytes() if path.exists() else b""


@settings(deadline=None)
@given(audio_format=formats, pieces=chunkings)
def test_any_chunking_gives_the_same_file(audio_format: AudioFormat, pieces: list[tuple[bytes, str]]) -> None:
    audio = b"".join(data for data, _ in pieces)
    with tempfile.TemporaryDirectory() as folder:
        at_once = written(Path(folder, "at_once.wav"), audio_format, [(audio, "")])
        assert written(Path(folder, "pieces.wav"), audio_format, pieces) == at_once


@settings(deadline=None)
@given(audio_format=formats, audio=st.binary(min_size=1, max_size=200), extra=st.binary(max_size=50))
def test_a_header_that_fell_behind_is_brought_up_to_all_the_audio_there_is(
    audio_format: AudioFormat, audio: bytes, extra: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = written(Path(folder, "whole.wav"), audio_format, [(audio + extra, "")])
        path = Path(folder, "crashed.wav")
        writer = WavWriter(path, audio_format, 8_000)
        writer.write(audio)
        writer.release()
        with path.open("ab") as file:
            file.write(extra)
        recover(path)
        # One byte of PCM16 is no sample: the header alone is left of it, which a writer would not leave.
        assert path.read_bytes() == whole or len(audio + extra) < FORMATS[audio_format].sample_bytes


@settings(deadline=None)
@given(audio_format=formats, audio=st.binary(min_size=2, max_size=200), cut=st.integers(0, 300))
def test_a_file_cut_anywhere_is_mended_or_refused_and_nothing_else(
    audio_format: AudioFormat, audio: bytes, cut: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cut.wav")
        whole = written(path, audio_format, [(audio, "")])
        path.write_bytes(whole[:cut])
        try:
            recover(path)
        except OmnirtError as error:
            assert error.kind == "audio_invalid"  # noqa: PT017 - most cuts raise nothing
            assert cut < FORMATS[audio_format].header_bytes
            return
        assert not recover(path)
