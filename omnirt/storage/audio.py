"""WAV files that are valid on disk while they grow, and the mending of those a crash cut short.

PCM16 is a plain 44-byte header. G.711 is kept as it is (tag 7 for µ-law, 6 for A-law), with the `fact` chunk
that the standard asks for, which ordinary players take.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import NamedTuple

from omnirt.errors import OmnirtError
from omnirt.protocol.types import AudioFormat
from omnirt.storage.paths import create_private

_SILENCE_BLOCK = 1 << 16
_MAX_DATA = 0xFFFF_FFFF - 64  # the sizes in a WAV header have 32 bits


class WavFormat(NamedTuple):
    """How an audio format stands in a WAV file; always mono."""

    tag: int
    sample_bytes: int
    header_bytes: int
    silence: bytes


FORMATS: dict[AudioFormat, WavFormat] = {
    "pcm16": WavFormat(1, 2, 44, b"\x00"),
    "g711_ulaw": WavFormat(7, 1, 58, b"\xff"),
    "g711_alaw": WavFormat(6, 1, 58, b"\xd5"),
}


class WavHeader(NamedTuple):
    """What the header of one of our files says: its format, and the sizes of the file and of its audio."""

    format: AudioFormat
    rate: int
    riff_bytes: int
    data_bytes: int

    def is_closed(self, total: int) -> bool:
        """Whether a file of `total` bytes was closed with this header.

        Only a closed file counts its pad byte: what stands there in another one is a sample.
        """
        whole = FORMATS[self.format].header_bytes + self.data_bytes + self.data_bytes % 2
        return self.riff_bytes + 8 == total == whole


def duration_ms(audio_format: AudioFormat, rate: int, size: int) -> int:
    """How long `size` bytes of audio last."""
    return size * 1000 // (rate * FORMATS[audio_format].sample_bytes)


def wav_header(wav: WavFormat, rate: int, data_bytes: int, *, padded: bool = False) -> bytes:
    """All that stands before the samples."""
    bits = wav.sample_bytes * 8
    fmt = struct.pack("<HHIIHH", wav.tag, 1, rate, rate * wav.sample_bytes, wav.sample_bytes, bits)
    chunks = struct.pack("<4sI", b"fmt ", len(fmt)) + fmt
    if wav.tag != FORMATS["pcm16"].tag:  # all but PCM: an empty extension, and the number of samples
        chunks = struct.pack("<4sI", b"fmt ", len(fmt) + 2) + fmt + b"\x00\x00"
        chunks += struct.pack("<4sII", b"fact", 4, data_bytes // wav.sample_bytes)
    chunks += struct.pack("<4sI", b"data", data_bytes)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + data_bytes + padded, b"WAVE") + chunks


class WavWriter:
    """Writes one WAV file piece by piece; after each piece the file on disk is whole.

    The data is written first and the sizes in the header after it: a crash in between leaves a file that
    plays up to the piece before, and that `recover` makes whole. The descriptor may be given back between
    pieces (`release`), so that many unfinished files need not be open at once.
    """

    def __init__(self, path: Path, audio_format: AudioFormat, rate: int) -> None:
        self.path = path
        self.size = 0
        """Bytes of audio written so far."""
        self._wav = FORMATS[audio_format]
        self._rate = rate
        self._fd: int | None = None
        self._created = False

    def write(self, data: bytes) -> None:
        """Add audio; any chunking gives the same file.

        Raises:
            OSError: The disk did not take it all; `size` says how much it took.
        """
        if self.size + len(data) > _MAX_DATA:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        fd = self._open()
        try:
            self._write_data(fd, data)
        finally:
            self._write_header(fd)

    def silence(self, size: int) -> None:
        """Add `size` bytes of silence, in place of audio that was lost.

        Raises:
            OSError: As for `write`.
        """
        while size > 0:
            block = min(size, _SILENCE_BLOCK)
            self.write(self._wav.silence * block)
            size -= block

    def release(self) -> None:
        """Give the descriptor back; the next `write` opens the file again."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def close(self) -> None:
        """Finish the file: exact sizes, no half sample, a pad byte after an odd number of bytes.

        Writing may go on after it. A file that nothing was written to is not there.

        Raises:
            OSError: The header could not be written.
        """
        if not self._created:
            return
        if self.size == 0:  # the disk took none of it
            self.release()
            self.path.unlink(missing_ok=True)
            self._created = False
            return
        fd = self._open()
        try:
            self.size -= self.size % self._wav.sample_bytes
            self._write_header(fd, padded=self.size % 2 == 1)
            os.ftruncate(fd, self._wav.header_bytes + self.size + self.size % 2)
        finally:
            self.release()

    def _open(self) -> int:
        if self._fd is None:
            if self._created:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            else:
                self._fd = create_private(self.path, os.O_RDWR | os.O_EXCL)
                self._created = True
        return self._fd

    def _write_data(self, fd: int, data: bytes) -> None:
        # The first piece goes with its header, so that there is no moment with a file that nobody can read.
        head = b"" if self.size else wav_header(self._wav, self._rate, 0)
        rest = memoryview(head + data)
        offset = self._wav.header_bytes + self.size - len(head)
        while rest:
            done = os.pwrite(fd, rest, offset)
            rest = rest[done:]
            offset += done
            self.size = max(0, offset - self._wav.header_bytes)

    def _write_header(self, fd: int, *, padded: bool = False) -> None:
        whole = self.size - self.size % self._wav.sample_bytes
        os.pwrite(fd, wav_header(self._wav, self._rate, whole, padded=padded), 0)


def recover(path: Path) -> bool:
    """Make the header of one of our WAV files fit the audio that is there.

    Returns:
        Whether the file had to be changed.

    Raises:
        OmnirtError: `audio_invalid`: no WAV file of ours. It is left as it is.
        OSError: It can't be read or written.
    """
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        head = os.pread(fd, max(wav.header_bytes for wav in FORMATS.values()), 0)
        total = os.fstat(fd).st_size
        header = read_header(head)
        wav, rate = FORMATS[header.format], header.rate
        if header.is_closed(total):
            return False
        size = total - wav.header_bytes
        size -= size % wav.sample_bytes
        os.ftruncate(fd, wav.header_bytes + size + size % 2)
        os.pwrite(fd, wav_header(wav, rate, size, padded=bool(size % 2)), 0)
        return True
    finally:
        os.close(fd)


def read_header(head: bytes) -> WavHeader:
    """What a header as `wav_header` makes them says.

    Raises:
        OmnirtError: `audio_invalid`: it is no header of ours.
    """
    if len(head) >= 28 and head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt ":
        (riff,) = struct.unpack_from("<I", head, 4)
        tag, rate = struct.unpack_from("<H2xI", head, 20)
        for name, wav in FORMATS.items():
            last = head[wav.header_bytes - 8 : wav.header_bytes]
            if wav.tag == tag and len(last) == 8 and last[:4] == b"data":
                return WavHeader(name, rate, riff, int.from_bytes(last[4:], "little"))
    raise OmnirtError("audio_invalid", "This is no WAV file that omnirt wrote, or its header is lost.")
