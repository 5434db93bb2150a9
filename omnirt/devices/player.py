"""What a loudspeaker plays: audio of parts one after another, and how far each is, to the sample.

Two threads meet here and neither waits for the other: the loop puts audio in, PortAudio's thread takes it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection
from typing import NamedTuple

Key = tuple[str, int]
"""Item id, content index."""

MAX_QUEUED_S = 600
"""An answer may be made faster than it is spoken, but nobody listens to one of ten minutes."""
_MAX_STRETCHES = 4096


class Chunk(NamedTuple):
    """Audio of a part, and where in the part it begins, in samples."""

    key: Key
    begin: int
    pcm: bytes


class Stretch(NamedTuple):
    """What the device was given: when its first sample is heard, by the stream's clock."""

    at_s: float
    key: Key
    begin: int
    frames: int


class Player:
    """Plays PCM16 mono.

    Args:
        rate: Of the device, in Hz; it may be set as long as nothing was played.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._queue: deque[Chunk] = deque()
        self._stretches: deque[Stretch] = deque(maxlen=_MAX_STRETCHES)
        self._frames: dict[Key, int] = {}
        self._changing = threading.Lock()
        self._rest = 0
        """How much of the first chunk in the queue was played, in bytes."""
        self._quiet_s = float("-inf")
        self._taken = self._given = 0
        """Bytes put in, and bytes handed to the device."""
        self.called = 0
        """How often the device asked for audio: while it lives, this rises."""

    # -- the loop ----------------------------------------------------------------------------------------

    def put(self, key: Key, pcm: bytes, at_ms: int = 0) -> bool:
        """Play this behind all else; false when there is no room for it.

        Args:
            key: The part.
            pcm: Its next audio.
            at_ms: Where that is, for a part of which the beginning was played elsewhere.
        """
        begin = self._frames.get(key, at_ms * self.rate // 1000)
        self._frames[key] = begin + len(pcm) // 2
        if self._taken - self._given > MAX_QUEUED_S * self.rate * 2:
            return False
        self._taken += len(pcm)
        if pcm:
            self._queue.append(Chunk(key, begin, pcm))
        return True

    def drop(self, item_ids: Collection[str]) -> None:
        """Nothing more of these items is to be heard."""
        with self._changing:
            first = self._queue[0] if self._queue else None
            self._queue = deque(chunk for chunk in self._queue if chunk.key[0] not in item_ids)
            if not self._queue or self._queue[0] is not first:
                self._rest = 0
            self._taken = self._given + sum(len(chunk.pcm) for chunk in self._queue) - self._rest
        self._frames = {key: count for key, count in self._frames.items() if key[0] not in item_ids}

    def ended(self, key: Key) -> None:
        """Nothing more of this part comes."""
        self._frames.pop(key, None)

    def positions(self, now_s: float) -> dict[Key, int]:
        """How far the parts are that were heard since the last call, in ms."""
        heard: dict[Key, int] = {}
        while self._stretches and self._stretches[0].at_s <= now_s:
            stretch = self._stretches[0]
            frames = min(stretch.frames, round((now_s - stretch.at_s) * self.rate))
            heard[stretch.key] = (stretch.begin + frames) * 1000 // self.rate
            if frames < stretch.frames:
                break
            self._stretches.popleft()
        return heard

    def is_sounding(self, now_s: float, tail_s: float) -> bool:
        """Whether something is heard, was until a moment ago, or is about to be."""
        return bool(self._queue) or now_s < self._quiet_s + tail_s

    # -- PortAudio's thread ------------------------------------------------------------------------------

    def fill(self, size: int, heard_at_s: float) -> bytes:
        """The next bytes to play, of which the first is heard then; silence where there is nothing."""
        self.called += 1
        if not self._changing.acquire(blocking=False):
            return bytes(size)  # the loop drops audio at this moment
        try:
            out = bytearray()
            while len(out) < size and self._queue:
                chunk = self._queue[0]
                piece = chunk.pcm[self._rest : self._rest + size - len(out)]
                at_s = heard_at_s + len(out) / 2 / self.rate
                begin = chunk.begin + self._rest // 2
                self._stretches.append(Stretch(at_s, chunk.key, begin, len(piece) // 2))
                out += piece
                self._given += len(piece)
                self._rest += len(piece)
                if self._rest >= len(chunk.pcm):
                    self._queue.popleft()
                    self._rest = 0
        finally:
            self._changing.release()
        if out:
            self._quiet_s = heard_at_s + len(out) / 2 / self.rate
        return bytes(out.ljust(size, b"\0"))
