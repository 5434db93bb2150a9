"""Resampling: level, frequency and length stay, and it does not matter how the stream is cut."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from omnirt.protocol.types import AudioFormat, AudioSpec
from omnirt.resampling import Resampler, bytes_per_ms, encoded, linear

PAIRS = [(48000, 24000), (24000, 48000), (16000, 24000), (24000, 16000), (8000, 24000), (24000, 8000)]
AMPLITUDE = 12000


def tone(hz: float, rate: int, ms: int = 1000) -> bytes:
    at = np.arange(rate * ms // 1000) / rate
    return bytes(np.rint(AMPLITUDE * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes())


def samples(pcm: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm, "<i2").astype("float64")


def resampled(pcm: bytes, source: int, target: int, size: int = 960, form: AudioFormat = "pcm16") -> bytes:
    stream = Resampler(form, source, target)
    pieces = [stream.convert(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    return b"".join(pieces) + stream.flush()


def fit(pcm: bytes, hz: float, rate: int) -> tuple[float, float]:
    """Level of a tone in the middle of a recording, and how far all else is below it, in dB."""
    heard = samples(pcm)
    at = np.arange(len(heard))[rate // 5 : -rate // 5]
    heard = heard[rate // 5 : -rate // 5]
    waves = np.stack([np.sin(2 * np.pi * hz * at / rate), np.cos(2 * np.pi * hz * at / rate)], axis=1)
    parts = np.linalg.lstsq(waves, heard, rcond=None)[0]
    noise = heard - waves @ parts
    ratio = float(10 * np.log10(np.mean((waves @ parts) ** 2) / max(1e-9, np.mean(noise**2))))
    return float(np.hypot(*parts)), ratio


@pytest.mark.parametrize("hz", [300, 1000, 3400])
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_tone_keeps_frequency_and_level(source: int, target: int, hz: int) -> None:
    level, ratio = fit(resampled(tone(hz, source), source, target), hz, target)
    assert level == pytest.approx(AMPLITUDE, rel=0.005)
    assert ratio > 60


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_as_much_comes_out_as_went_in(source: int, target: int) -> None:
    for ms in (1, 20, 333, 1000):
        assert len(resampled(tone(440, source, ms), source, target)) == ms * target // 1000 * 2


@pytest.mark.parametrize(("source", "target"), [(48000, 24000), (24000, 16000), (24000, 8000)])
def test_what_the_lower_rate_cannot_carry_is_gone(source: int, target: int) -> None:
    quiet = samples(resampled(tone(target * 0.6, source), source, target))[target // 5 : -target // 5]
    assert np.abs(quiet).max() < AMPLITUDE / 1000


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_delay_is_within_what_the_documentation_says(source: int, target: int) -> None:
    stream, fed, got, worst = Resampler("pcm16", source, target), 0.0, 0.0, 0.0
    for _ in range(100):
        got += len(stream.convert(bytes(source // 100 * 2))) / 2 / target
        fed += 0.01
        worst = max(worst, fed - got)
    assert worst <= 0.031


@settings(max_examples=40, deadline=None)
@given(pair=st.sampled_from(PAIRS), cuts=st.lists(st.integers(0, 4000), max_size=12), seed=st.integers(0, 9))
def test_it_does_not_matter_how_the_stream_is_cut(pair: tuple[int, int], cuts: list[int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(-32768, 32767, 2000).astype("<i2").tobytes()
    stream = Resampler("pcm16", *pair)
    places = sorted({0, len(noise), *cuts})
    pieces = [stream.convert(noise[a:b]) for a, b in itertools.pairwise(places)]
    assert b"".join(pieces) + stream.flush() == resampled(noise, *pair, size=len(noise))


def test_silence_stays_silent_and_full_scale_does_not_wrap() -> None:
    assert not any(resampled(bytes(9600), 48000, 24000))
    loud = np.tile(np.repeat(np.array([32767, -32768], "<i2"), 40), 60).tobytes()
    made = samples(resampled(loud, 24000, 48000))
    steps = np.abs(np.diff(made))
    assert np.sum(steps > 40_000) <= 120  # at the edges of the square wave alone


def test_after_a_flush_another_stream_begins() -> None:
    stream = Resampler("pcm16", 48000, 24000)
    first = stream.convert(tone(440, 48000, 100)) + stream.flush()
    assert stream.flush() == b""
    assert stream.convert(tone(440, 48000, 100)) + stream.flush() == first


def test_a_reset_forgets_what_is_inside() -> None:
    stream = Resampler("pcm16", 48000, 24000)
    stream.convert(tone(440, 48000, 100) + b"\1")
    stream.reset()
    assert stream.flush() == b""
    assert not any(stream.convert(bytes(960)) + stream.flush())


@pytest.mark.parametrize("form", ["g711_ulaw", "g711_alaw"])
def test_g711_has_one_byte_a_sample_at_any_rate(form: AudioFormat) -> None:
    coded = encoded(tone(1000, 16000), form)
    made = resampled(coded, 16000, 8000, size=333, form=form)
    assert len(made) == 8000
    level, ratio = fit(linear(made, form), 1000, 8000)
    assert level == pytest.approx(AMPLITUDE, rel=0.02)
    assert ratio > 30  # of G.711 itself


def test_bytes_of_a_millisecond() -> None:
    assert bytes_per_ms(AudioSpec(format="pcm16", sample_rate=48000)) == 96
    assert bytes_per_ms(AudioSpec(format="g711_ulaw", sample_rate=16000)) == 16


def test_what_it_needs_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys, omnirt.resampling, omnirt.sessions.session; print({'numpy', 'soxr'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
