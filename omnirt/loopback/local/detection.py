"""Turn detection with Silero's model: the simulator's interface over 20 ms frames, the model's over 32 ms."""

from __future__ import annotations

import array
import audioop
import sys
from collections import deque
from typing import Protocol

from omnirt.loopback.audio import Format
from omnirt.loopback.vad import FRAME_MS

RATE = 16_000
_WINDOW = 512  # samples: 32 ms, the only length the model takes
_WINDOW_MS = _WINDOW * 1000 // RATE
_HYSTERESIS = 0.15  # as the model's authors have it: speech goes on at a lower probability than it begins
_ONSET, _WITHIN = 2, 3  # windows with speech, of so many: one alone may be a click


class Detector(Protocol):
    """The model, with the state of one stream."""

    def process(self, data: array.array[float]) -> float:
        """The probability that somebody speaks in a window."""

    def reset(self) -> None:
        """Begin another stream."""


class SileroActivity:
    """Feeds on frames; says after each one whether somebody speaks.

    Args:
        detector: For this stream alone.
        form: Of the frames.
        threshold: The probability from which on it is speech, as in `server_vad`.
    """

    def __init__(self, detector: Detector, form: Format, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.speaking = False
        self.quiet_frames = 0
        self._detector = detector
        detector.reset()
        self._rate = form.rate
        self._resampler: tuple[int, tuple[tuple[int, int], ...]] | None = None
        self._pending = b""
        self._recent: deque[bool] = deque(maxlen=_WITHIN)

    def feed(self, frame: bytes) -> int:
        """Take one frame; how many frames ago speech began when it begins with this one, else 0."""
        self.quiet_frames += 1
        for probability in self._probabilities(frame):
            loud = probability >= self.threshold - (_HYSTERESIS if self.speaking else 0)
            self._recent.append(loud)
            if loud:
                self.quiet_frames = 0
        if self.speaking or sum(self._recent) < _ONSET:
            return 0
        self.speaking = True
        self.quiet_frames = 0
        windows = len(self._recent) - self._recent.index(True)
        return windows * _WINDOW_MS // FRAME_MS + 1

    def _probabilities(self, frame: bytes) -> list[float]:
        narrow, self._resampler = audioop.ratecv(frame, 2, 1, self._rate, RATE, self._resampler)
        self._pending += narrow
        found = []
        while len(self._pending) >= 2 * _WINDOW:
            found.append(self._detector.process(floats(self._pending[: 2 * _WINDOW])))
            self._pending = self._pending[2 * _WINDOW :]
        return found

    def rest(self) -> None:
        """Begin anew after a turn."""
        self.speaking = False
        self.quiet_frames = 0
        self._recent.clear()


def floats(pcm: bytes) -> array.array[float]:
    """PCM16 as the models want it: from -1 to 1."""
    samples = array.array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return array.array("f", (sample / 32768 for sample in samples))


def has_speech(detector: Detector, pcm: bytes) -> bool:
    """Whether somebody speaks anywhere in PCM16 at 16 kHz."""
    detector.reset()
    recent: deque[bool] = deque(maxlen=_WITHIN)
    for at in range(0, len(pcm) - 2 * _WINDOW + 1, 2 * _WINDOW):
        recent.append(detector.process(floats(pcm[at : at + 2 * _WINDOW])) >= 0.5)
        if sum(recent) >= _ONSET:
            return True
    return False
