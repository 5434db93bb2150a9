"""WAV files are whole after each piece, and what a crash cut short is mended."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.types import AudioFormat
from omnirt.storage.audio import FORMATS, WavWriter, duration_ms, recover

ALL_FORMATS: list[AudioFormat] = ["pcm16", "g711_ulaw", "g711_alaw"]


def pcm(path: Path) -> bytes:
    with wave.open(str(path)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth()) == (1, 2)
        return bytes(wav.readframes(wav.getnframes()))


def test_after_each_piece_the_file_on_disk_is_whole(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", "pcm16", 24_000)
    said = b""
    for number in range(5):
        piece = bytes([number]) * 480
        writer.write(piece)
        said += piece
        assert pcm(tmp_path / "a.wav") == said
    writer.close()
    assert pcm(tmp_path / "a.wav") == said


def test_half_a_sample_waits_for_its_other_half(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", "pcm16", 24_000)
    writer.write(b"\x01\x02\x03")
    assert pcm(tmp_path / "a.wav") == b"\x01\x02"
    writer.write(b"\x04")
    assert pcm(tmp_path / "a.wav") == b"\x01\x02\x03\x04"
    writer.write(b"\x05")
    writer.close()
    assert pcm(tmp_path / "a.wav") == b"\x01\x02\x03\x04"
    assert (tmp_path / "a.wav").stat().st_size == 44 + 4


def test_a_file_goes_on_after_its_descriptor_was_given_back_and_after_its_end(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", "pcm16", 24_000)
    writer.write(b"aa")
    writer.release()
    writer.write(b"bb")
    writer.close()
    writer.write(b"cc")
    writer.close()
    assert pcm(tmp_path / "a.wav") == b"aabbcc"


def test_silence_is_what_the_format_calls_silence(tmp_path: Path) -> None:
    for audio_format in ALL_FORMATS:
        path = tmp_path / f"{audio_format}.wav"
        writer = WavWriter(path, audio_format, 8_000)
        writer.silence(70_000)
        writer.close()
        wav = FORMATS[audio_format]
        assert path.read_bytes()[wav.header_bytes :] == wav.silence * 70_000


def test_a_file_that_nothing_was_written_to_is_not_there(tmp_path: Path) -> None:
    WavWriter(tmp_path / "a.wav", "pcm16", 24_000).close()
    writer = WavWriter(tmp_path / "b.wav", "pcm16", 24_000)
    writer.write(b"")
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        WavWriter(tmp_path / "a.wav", "pcm16", 24_000).write(b"aa")
    assert (tmp_path / "a.wav").read_bytes() == b"mine"


def test_a_file_does_not_outgrow_what_its_header_can_say(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", "pcm16", 24_000)
    writer.write(b"aa")
    writer.size = 0xFFFF_FFFF - 64
    with pytest.raises(OSError, match="too large"):
        writer.write(b"b")
    writer.release()


@pytest.mark.parametrize("audio_format", ["g711_ulaw", "g711_alaw"])
def test_g711_has_its_chunks_as_the_standard_says(audio_format: AudioFormat, tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", audio_format, 8_000)
    writer.write(b"abc")
    writer.close()
    tag = {"g711_ulaw": 7, "g711_alaw": 6}[audio_format]
    assert (tmp_path / "a.wav").read_bytes() == (
        b"RIFF" + (54).to_bytes(4, "little") + b"WAVE"
        b"fmt " + (18).to_bytes(4, "little") + bytes([tag, 0, 1, 0])
        + (8_000).to_bytes(4, "little") * 2 + bytes([1, 0, 8, 0, 0, 0])
        + b"fact" + (4).to_bytes(4, "little") + (3).to_bytes(4, "little")
        + b"data" + (3).to_bytes(4, "little") + b"abc\x00"
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("sox") is None, reason="asks a player of its own, and sox is not here")
@pytest.mark.parametrize("audio_format", ALL_FORMATS)
def test_an_ordinary_player_reads_the_file(audio_format: AudioFormat, tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", audio_format, 8_000)
    writer.write(bytes(8_000 * FORMATS[audio_format].sample_bytes))
    writer.close()
    told = subprocess.run(
        ["sox", "--i", "-D", str(tmp_path / "a.wav")], capture_output=True, text=True, check=True, timeout=10
    )
    assert (float(told.stdout), told.stderr) == (1.0, "")


@pytest.mark.parametrize("audio_format", ALL_FORMATS)
@pytest.mark.parametrize("lost", [0, 1, 2, 3, 4, 480])
def test_a_crash_between_data_and_header_is_mended(
    audio_format: AudioFormat, lost: int, tmp_path: Path
) -> None:
    path, wav = tmp_path / "a.wav", FORMATS[audio_format]
    writer = WavWriter(path, audio_format, 8_000)
    writer.write(b"abc")
    writer.release()
    with path.open("ab") as file:  # what was written before the header was not
        file.write(b"z" * lost)
    recover(path)
    whole = 3 + lost - (3 + lost) % wav.sample_bytes
    expected = WavWriter(tmp_path / "b.wav", audio_format, 8_000)
    expected.write((b"abc" + b"z" * lost)[:whole])
    expected.close()
    assert path.read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert not recover(path)


def test_a_file_that_ends_before_its_header_says_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, "pcm16", 24_000)
    writer.write(b"abcdef")
    writer.close()
    with path.open("r+b") as file:
        file.truncate(44 + 3)
    assert recover(path)
    assert pcm(path) == b"ab"


@pytest.mark.parametrize("content", [b"", b"RIFF", b"x" * 100, b"RIFF\0\0\0\0WAVEfmt " + bytes(60)])
def test_what_is_no_wav_file_of_ours_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(OmnirtError) as caught:
        recover(tmp_path / "a.wav")
    assert caught.value.kind == "audio_invalid"
    assert (tmp_path / "a.wav").read_bytes() == content


def test_durations_follow_the_format() -> None:
    assert duration_ms("pcm16", 24_000, 48_000) == 1000
    assert duration_ms("g711_ulaw", 8_000, 8_000) == 1000
