"""Audio at another sample rate, as a stream: what host and provider, or a device, don't have in common.

soxr's filter of variable rate is used at its high quality: with it the delay is the same from chunk to chunk
(5 to 30 ms), where the one for fixed rates works in blocks, and is late by up to 75 ms. NumPy and soxr are
imported when a session first needs them (0.2 s, 22 MB), in a thread.
"""

from __future__ import annotations

import audioop
from functools import partial
from typing import TYPE_CHECKING

from omnirt.protocol.types import AudioFormat, AudioSpec

if TYPE_CHECKING:
    import numpy
    import soxr
    from numpy.typing import NDArray

_FULL_SCALE = 32767


def load() -> None:
    """Import what converts; takes a while the first time, so call it in a thread."""
    import numpy  # noqa: F401 - it is the import that takes its time
    import soxr  # noqa: F401 - the same


def bytes_per_ms(audio: AudioSpec) -> int:
    """Bytes of mono audio a millisecond: 48 for PCM16 at 24 kHz, 8 for G.711 at its own 8 kHz."""
    return audio.sample_rate // 1000 * sample_bytes(audio.format)


def sample_bytes(audio_format: AudioFormat) -> int:
    """Bytes of one sample."""
    return 2 if audio_format == "pcm16" else 1


def linear(data: bytes, audio_format: AudioFormat) -> bytes:
    """Audio as PCM16, sample by sample."""
    match audio_format:
        case "g711_ulaw":
            return audioop.ulaw2lin(data, 2)
        case "g711_alaw":
            return audioop.alaw2lin(data, 2)
        case "pcm16":
            return data


def encoded(pcm: bytes, audio_format: AudioFormat) -> bytes:
    """PCM16 in a format, sample by sample."""
    match audio_format:
        case "g711_ulaw":
            return audioop.lin2ulaw(pcm, 2)
        case "g711_alaw":
            return audioop.lin2alaw(pcm, 2)
        case "pcm16":
            return pcm


class Resampler:
    """Converts a stream of mono audio from one rate to another, in one format.

    What comes out does not depend on how the stream is cut into chunks. The last milliseconds stay inside
    until more comes, or `flush`.

    Args:
        audio_format: Of both sides.
        source, target: Their rates in Hz.
    """

    def __init__(self, audio_format: AudioFormat, source: int, target: int) -> None:
        import numpy
        import soxr

        self._numpy = numpy
        self._format: AudioFormat = audio_format
        # Not as integers: soxr would dither them, with another noise for every way to cut the stream.
        self._make = partial(soxr.ResampleStream, source, target, 1, dtype="float32", quality="HQ", vr=True)
        self._stream: soxr.ResampleStream | None = None
        self._half = b""
        """Of a sample whose other half is in the next chunk."""
        self._gave = False
        """Whether anything came out since the last flush."""

    @property
    def pending(self) -> bool:
        """Whether audio came since the last flush."""
        return self._stream is not None

    def convert(self, data: bytes) -> bytes:
        """What a chunk makes of the stream: less than a chunk at first, nothing perhaps."""
        data = self._half + data
        whole = len(data) - len(data) % sample_bytes(self._format)
        data, self._half = data[:whole], data[whole:]
        if not data:
            return b""
        if self._stream is None:
            self._stream = self._make()
        samples = self._numpy.frombuffer(linear(data, self._format), "<i2").astype("float32")
        converted = self._stream.resample_chunk(samples)
        self._gave |= len(converted) > 0
        return self._bytes(converted)

    def flush(self) -> bytes:
        """The rest of the stream: as much came out then as went in, to the sample. Another one may follow.

        What is shorter than a sample is one.
        """
        if self._stream is None:
            return b""
        rest = self._stream.resample_chunk(self._numpy.zeros(0, "float32"), last=True)
        if not len(rest) and not self._gave:
            rest = self._numpy.zeros(1, "float32")
        self.reset()
        return self._bytes(rest)

    def reset(self) -> None:
        """Forget the rest of the stream; another one begins."""
        self._stream = None
        self._half = b""
        self._gave = False

    def _bytes(self, samples: NDArray[numpy.float32]) -> bytes:
        rounded = self._numpy.rint(samples).clip(-_FULL_SCALE - 1, _FULL_SCALE)
        return encoded(rounded.astype("<i2").tobytes(), self._format)
