"""Chunks of audio that carry the time of their making and their number, as base64."""

from __future__ import annotations

import base64
import random
import struct
import time

_STAMP = struct.Struct("<qq2x")
"""Nanoseconds of the system's monotonic clock, which all processes share, and a number: 24 characters."""
_STAMP_CHARS = 24
_NOISE = random.Random(1).randbytes(200_000)
CHUNK_BYTES = 960
"""20 ms of PCM16 at 24 kHz, as hosts send it."""
DELTA_BYTES = 4800
"""100 ms, about what providers send."""


def tail(size: int) -> bytes:
    """What follows the stamp in a chunk of `size` bytes, as base64."""
    return base64.b64encode(_NOISE[: size - _STAMP.size])


CHUNK_TAIL = tail(CHUNK_BYTES)


def stamp(number: int) -> bytes:
    """The first characters of a chunk that is made now."""
    return base64.b64encode(_STAMP.pack(time.monotonic_ns(), number))


def stamped(number: int) -> bytes:
    """A chunk of 20 ms, raw."""
    return _STAMP.pack(time.monotonic_ns(), number) + _NOISE[: CHUNK_BYTES - _STAMP.size]


class Ages:
    """How long chunks were on their way, and whether their order was kept.

    Attributes:
        times: When each was made and when it arrived, in ns of the monotonic clock.
    """

    def __init__(self) -> None:
        self.times: list[tuple[int, int]] = []
        self.in_order = True

    def __len__(self) -> int:
        return len(self.times)

    def add(self, text: bytes, at: int) -> None:
        """One more, whose base64 begins at `at`."""
        self.add_raw(base64.b64decode(text[at : at + _STAMP_CHARS]))

    def add_raw(self, chunk: bytes) -> None:
        """One more, decoded."""
        made, number = _STAMP.unpack_from(chunk)
        self.in_order &= number == len(self.times)
        self.times.append((made, time.monotonic_ns()))
