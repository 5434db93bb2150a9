"""Voice-activity detection over 20 ms frames: an adaptive noise floor, and the unevenness of speech.

A frame is loud when it stands out of the noise floor, the quietest level of the last second and a half.
Speech begins when several frames close together are loud *and* their levels differ: syllables rise and
fall by many decibels within a fifth of a second, while noise, hum and tones hold their level.
"""

from __future__ import annotations

import audioop
import math
from collections import deque

FRAME_MS = 20

_FLOOR_FRAMES = 75  # 1.5 s: longer than any syllable, shorter than a listener's patience
_QUIETEST_DB = -60.0  # below this the floor says nothing: digital silence is no room
_SPREAD_DB = 4.0  # 20 ms frames of white noise differ by under 2 dB
_ONSET_FRAMES, _ONSET_LOUD = 10, 5  # speech begins with 100 ms of loud frames within 200 ms


def level_db(frame: bytes) -> float:
    """The loudness of a PCM16 frame in dB below full scale."""
    return 20 * math.log10(max(audioop.rms(frame, 2), 1) / 32768)


class VoiceActivity:
    """Feeds on frames; says after each one whether somebody speaks.

    Args:
        threshold: From 0 (anything is speech) to 1 (only what is far above the noise), as in `server_vad`.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.speaking = False
        self.quiet_frames = 0
        self._levels: deque[float] = deque(maxlen=_FLOOR_FRAMES)
        self._loud: deque[bool] = deque(maxlen=_ONSET_FRAMES)

    @property
    def margin_db(self) -> float:
        """How far above the floor a frame is loud: 6 to 18 dB."""
        return 6 + 12 * self.threshold

    def feed(self, frame: bytes) -> int:
        """Take one frame.

        Returns:
            How many frames ago speech began, this one included, when it begins with this frame; else 0.
        """
        level = level_db(frame)
        self._levels.append(level)
        floor = max(min(self._levels), _QUIETEST_DB)
        # while somebody speaks, half the margin goes on as speech: word ends are soft
        loud = level > floor + (self.margin_db / 2 if self.speaking else self.margin_db)
        self._loud.append(loud)
        self.quiet_frames = 0 if loud else self.quiet_frames + 1
        if self.speaking:
            return 0
        return self._onset()

    def _onset(self) -> int:
        recent = list(self._levels)[-len(self._loud) :]
        loud = [level for level, is_loud in zip(recent, self._loud, strict=True) if is_loud]
        if len(loud) < _ONSET_LOUD or max(loud) - min(loud) < _SPREAD_DB:
            return 0
        self.speaking = True
        self.quiet_frames = 0
        return len(self._loud) - self._loud.index(True)

    def rest(self) -> None:
        """Begin anew after a turn; what is known of the room stays."""
        self.speaking = False
        self.quiet_frames = 0
        self._loud.clear()
