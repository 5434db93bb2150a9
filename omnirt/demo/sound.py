"""Sound without devices: utterances to send, levels to draw, and a loudspeaker that is only a clock."""

from __future__ import annotations

import array
import math
import sys
import wave
from dataclasses import dataclass, field
from pathlib import Path

CHUNK_MS = 20
FLOOR_DB = -50.0
BLOCKS = " ▁▂▃▄▅▆▇█"
BLOCKS_ASCII = " .:-=+*%#"


@dataclass(frozen=True)
class Clip:
    """A recorded utterance: PCM16, mono."""

    name: str
    data: bytes
    sample_rate: int

    @property
    def duration_ms(self) -> int:
        """How long it takes to say."""
        return len(self.data) * 1000 // (2 * self.sample_rate)

    def chunks(self) -> list[bytes]:
        """The clip in pieces of 20 ms, the last one filled up with silence."""
        size = chunk_bytes(self.sample_rate)
        pieces = [self.data[at : at + size] for at in range(0, len(self.data), size)]
        return [piece.ljust(size, b"\0") for piece in pieces]


def load_clip(path: Path) -> Clip:
    """Reads a WAV file of PCM16 mono."""
    with wave.open(str(path), "rb") as wav:
        return Clip(path.name, wav.readframes(wav.getnframes()), wav.getframerate())


def chunk_bytes(sample_rate: int) -> int:
    """The bytes of 20 ms."""
    return 2 * sample_rate * CHUNK_MS // 1000


def level(chunk: bytes) -> float:
    """The peak of a piece of PCM16, from 0 (silence) to 1 (full scale), in even steps of loudness."""
    samples = array.array("h", chunk[: len(chunk) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    peak = max(max(samples, default=0), -min(samples, default=0)) / 32768
    return 0.0 if peak <= 0 else max(0.0, 1 - 20 * math.log10(peak) / FLOOR_DB)


def bars(levels: list[float], *, ascii_only: bool = False) -> str:
    """Levels as a row of blocks."""
    blocks = BLOCKS_ASCII if ascii_only else BLOCKS
    return "".join(blocks[min(len(blocks) - 1, round(value * (len(blocks) - 1)))] for value in levels)


def waveform(data: bytes, width: int = 32) -> list[float]:
    """A whole utterance as `width` levels."""
    step = max(2, len(data) // width // 2 * 2)
    return [level(data[at : at + step]) for at in range(0, len(data), step)][:width]


@dataclass
class Part:
    """What was received of one content part of an item, and how far it was played."""

    item_id: str
    content_index: int
    data: bytearray = field(default_factory=bytearray)
    played_ms: float = 0.0


class Speaker:
    """Plays parts one after the other, as the sound card of a real host would, by the clock alone.

    A host with a real loudspeaker does the same three things: it queues what comes, it knows its position,
    and at `realtime.audioInterrupted` it empties its queue at once.
    """

    def __init__(self, sample_rate: int) -> None:
        self._bytes_per_ms = 2 * sample_rate / 1000
        self._queue: list[Part] = []
        self.parts: list[Part] = []

    def receive(self, item_id: str, content_index: int, audio: bytes) -> Part:
        """Queues audio; returns its part."""
        last = self._queue[-1] if self._queue else None
        if last is None or (last.item_id, last.content_index) != (item_id, content_index):
            known = [p for p in self.parts if (p.item_id, p.content_index) == (item_id, content_index)]
            last = known[0] if known else Part(item_id, content_index)
            self._queue.append(last)
            if not known:
                self.parts.append(last)
        last.data += audio
        return last

    def advance(self, ms: float) -> Part | None:
        """Plays for `ms`; returns what is playing."""
        while self._queue:
            part = self._queue[0]
            played = min(ms, self.received_ms(part) - part.played_ms)
            part.played_ms += played
            ms -= played
            if ms <= 0 or len(self._queue) == 1:
                return part if played > 0 else None
            self._queue.pop(0)
        return None

    def received_ms(self, part: Part) -> float:
        """How much audio of this part came."""
        return len(part.data) / self._bytes_per_ms

    def empty(self) -> None:
        """Drops what was not played yet: the user interrupted."""
        self._queue.clear()

    def is_silent(self) -> bool:
        """Whether all that came has been played."""
        return all(part.played_ms >= self.received_ms(part) for part in self._queue)

    def level(self) -> float:
        """How loud it is right now."""
        if not self._queue or self.is_silent():
            return 0.0
        part = self._queue[0]
        at = int(part.played_ms * self._bytes_per_ms) // 2 * 2
        return level(bytes(part.data[at : at + int(CHUNK_MS * self._bytes_per_ms)]))
