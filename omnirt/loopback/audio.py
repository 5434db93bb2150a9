"""Sample formats of the realtime protocol: PCM16 at 24 kHz and G.711."""

from __future__ import annotations

import audioop
from typing import NamedTuple

RATE = 24_000
"""The rate of PCM16 in the realtime protocol, and of the shipped recordings."""


class Format(NamedTuple):
    """A sample format: its name in the protocol, its rate, and the bytes of one sample on the wire."""

    type: str
    rate: int
    width: int

    @property
    def bytes_per_ms(self) -> int:
        """Bytes of one millisecond on the wire."""
        return self.rate * self.width // 1000


PCM16 = Format("audio/pcm", RATE, 2)
FORMATS = {
    "audio/pcm": PCM16,
    "audio/pcmu": Format("audio/pcmu", 8_000, 1),
    "audio/pcma": Format("audio/pcma", 8_000, 1),
}


def to_linear(data: bytes, form: Format) -> bytes:
    """What came over the wire as PCM16, at the format's own rate."""
    match form.type:
        case "audio/pcmu":
            return audioop.ulaw2lin(data, 2)
        case "audio/pcma":
            return audioop.alaw2lin(data, 2)
        case _:
            return data


def from_recording(pcm: bytes, form: Format) -> bytes:
    """PCM16 at 24 kHz as the bytes of a format."""
    if form.type == "audio/pcm":
        return pcm
    narrow, _ = audioop.ratecv(pcm, 2, 1, RATE, form.rate, None)
    return audioop.lin2ulaw(narrow, 2) if form.type == "audio/pcmu" else audioop.lin2alaw(narrow, 2)
