"""Reading the WAV files that the recorder writes, while they grow as well, and their audio as PCM16."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.protocol.types import AudioFormat
from omnirt.resampling import Resampler, linear
from omnirt.storage.audio import FORMATS, duration_ms, read_header

_BLOCK = 1 << 14
_HEADER_BYTES = max(wav.header_bytes for wav in FORMATS.values())


class Recording:
    """A WAV file of ours, as long as it was when it was opened. A context manager.

    Attributes:
        format: Of its audio.
        rate: In Hz.
        sample_bytes: Of one sample as it is stored.
        size: Bytes of audio, whole samples.
        closed: Whether its header is final; it is not while the file grows, or when a crash cut it short.
    """

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            OmnirtError: `audio_invalid`: it is no file of ours; `not_found`: it is not there.
            OSError: It can't be read.
        """
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise OmnirtError("not_found", f"The recording {path.name} is not on disk any more.") from None
        try:
            head = read_header(os.pread(self._fd, _HEADER_BYTES, 0))
            wav = FORMATS[head.format]
            total = os.fstat(self._fd).st_size
            # While it grows the samples are ahead of the header.
            self.closed = head.is_closed(total)
            size = head.data_bytes if self.closed else max(0, total - wav.header_bytes)
        except BaseException:
            os.close(self._fd)
            raise
        self.format: AudioFormat = head.format
        self.rate = head.rate
        self.size = size - size % wav.sample_bytes
        self.sample_bytes = wav.sample_bytes
        self._start = wav.header_bytes

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._fd)

    @property
    def total_ms(self) -> int:
        """How long it is."""
        return self.ms(self.size)

    def ms(self, size: int) -> int:
        """How long so many bytes of it are."""
        return duration_ms(self.format, self.rate, size)

    def bytes_of(self, ms: int) -> int:
        """The bytes of so long a stretch of it, whole samples, at most all of them."""
        return min(self.size, ms * self.rate // 1000 * self.sample_bytes)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of audio, as they are stored."""
        return os.pread(self._fd, max(0, min(size, self.size - offset)), self._start + offset)

    def pcm16(self, frames: int, rate: int) -> Iterator[bytes]:
        """Its first samples as PCM16 at a rate, in blocks: each repeated for a multiple of its own rate."""
        end = frames * self.sample_bytes
        other = Resampler("pcm16", self.rate, rate) if rate % self.rate else None
        for offset in range(0, end, _BLOCK):
            pcm = linear(self.read(offset, min(_BLOCK, end - offset)), self.format)
            yield repeated(pcm, rate // self.rate) if other is None else other.convert(pcm)
        if other is not None:
            yield other.flush()


def repeated(pcm: bytes, times: int) -> bytes:
    """Each sample of PCM16 as often, for a rate so many times higher: nothing is made up."""
    if times == 1:
        return pcm
    samples = array("h", pcm)
    raised = array("h", bytes(len(pcm) * times))
    for place in range(times):
        raised[place::times] = samples
    return raised.tobytes()
