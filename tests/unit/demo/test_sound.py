"""The demo's sound: clips in chunks, levels, and the loudspeaker that is a clock."""

from __future__ import annotations

import array
from pathlib import Path

import omnirt.demo.sound as sound
from omnirt.demo.sound import Clip, Speaker, bars, level, load_clip, waveform

RATE = 24_000
AUDIO = Path(sound.__file__).parent / "audio"


def silence(ms: int) -> bytes:
    return bytes(2 * RATE * ms // 1000)


def test_the_shipped_utterances_are_speech_of_a_few_seconds() -> None:
    for name in ("weather.wav", "story.wav"):
        clip = load_clip(AUDIO / name)
        assert clip.sample_rate == RATE
        assert 2000 < clip.duration_ms < 6000
        assert max(waveform(clip.data)) > 0.8
        assert all(len(chunk) == 960 for chunk in clip.chunks())
        assert b"".join(clip.chunks()).startswith(clip.data)


def test_a_level_is_none_for_silence_and_full_for_the_loudest() -> None:
    assert level(b"") == level(silence(20)) == 0.0
    assert level(array.array("h", [-32768, 0]).tobytes()) == 1.0
    quiet, loud = (level(array.array("h", [peak]).tobytes()) for peak in (300, 3000))
    assert 0 < quiet < loud < 1


def test_bars_use_what_the_terminal_can_show() -> None:
    assert bars([0.0, 0.5, 1.0]) == " ▄█"
    assert bars([0.0, 0.5, 1.0], ascii_only=True) == " =#"


def test_the_last_chunk_is_filled_up_with_silence() -> None:
    chunks = Clip("x", b"\x01" * 1000, RATE).chunks()
    assert [len(chunk) for chunk in chunks] == [960, 960]
    assert chunks[1].endswith(b"\0" * 920)


def test_the_speaker_plays_what_it_has_and_then_is_silent() -> None:
    speaker = Speaker(RATE)
    speaker.receive("a", 0, silence(100))
    playing = speaker.advance(60)
    assert playing is not None
    assert (playing.item_id, playing.played_ms) == ("a", 60)
    assert not speaker.is_silent()
    speaker.advance(60)
    assert speaker.is_silent()
    assert speaker.advance(60) is None
    assert playing.played_ms == 100


def test_the_speaker_goes_from_one_part_to_the_next() -> None:
    speaker = Speaker(RATE)
    speaker.receive("a", 0, silence(100))
    speaker.receive("b", 0, silence(100))
    playing = speaker.advance(150)
    assert playing is not None
    assert (playing.item_id, playing.played_ms) == ("b", 50)


def test_a_part_that_goes_on_later_keeps_its_position() -> None:
    speaker = Speaker(RATE)
    speaker.receive("a", 0, silence(40))
    speaker.advance(100)
    speaker.receive("a", 0, silence(40))
    playing = speaker.advance(10)
    assert playing is not None
    assert playing.played_ms == 50
    assert [part.item_id for part in speaker.parts] == ["a"]


def test_an_interrupted_speaker_is_silent_at_once_and_remembers_its_position() -> None:
    speaker = Speaker(RATE)
    part = speaker.receive("a", 0, silence(500))
    speaker.advance(120)
    speaker.empty()
    assert speaker.is_silent()
    assert speaker.level() == 0.0
    assert part.played_ms == 120
