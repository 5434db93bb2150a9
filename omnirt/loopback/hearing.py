"""The input audio buffer: what the user said since the last commit, and where turns begin and end in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import msgspec

from omnirt.loopback.audio import PCM16, Format, to_linear
from omnirt.loopback.config import SemanticVad, ServerVad, TurnDetection
from omnirt.loopback.parts import Activity
from omnirt.loopback.speech import Utterance
from omnirt.loopback.vad import FRAME_MS, level_db

_LONGEST_MS = 10 * 60_000  # of one turn; the provider has a limit of its own kind
_LOOK_BACK_MS = 5_000  # kept while nobody speaks, at least the prefix: a commit by hand takes it
_EDGE_DB, _LOWEST_DB = 30.0, -45.0  # where an utterance begins, and below what loudness says nothing
_SHIFT = 4  # frames by which its beginning may be off
_ALIKE = 0.85  # correlation; different sentences reach 0.6
_SEMANTIC_SILENCE_MS = {"low": 1_200, "medium": 700, "auto": 700, "high": 360}


class SpeechStarted(msgspec.Struct, frozen=True):
    """Somebody began to speak, `at_ms` after the session's first sample."""

    at_ms: int


class SpeechStopped(msgspec.Struct, frozen=True):
    """The turn is over."""

    at_ms: int


class BufferFull(Exception):
    """More audio than one turn may have."""


class InputBuffer:
    """Takes audio in pieces of any size; detects turns in it when it is told to."""

    def __init__(self, make_activity: Callable[[Format], Activity]) -> None:
        self.format: Format = PCM16
        self.detection: TurnDetection | None = None
        self.total_ms = 0
        self._buffer = bytearray()
        self._heard = 0  # bytes of the session so far
        self._pending = bytearray()  # of the frame which is not full yet
        self._make_activity = make_activity
        self._activity = make_activity(PCM16)

    @property
    def speaking(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._activity.speaking

    @property
    def audio(self) -> bytearray:
        """What a commit would take, to look at."""
        return self._buffer

    @property
    def quiet_ms(self) -> int:
        """For how long nobody has spoken."""
        return self._activity.quiet_frames * FRAME_MS

    @property
    def buffered_ms(self) -> int:
        """What a commit would take."""
        return len(self._buffer) // self.format.bytes_per_ms

    def configure(self, form: Format, detection: TurnDetection | None) -> None:
        """Follow the session's settings; another format empties the buffer."""
        if form != self.format:
            self.clear()
            self._heard = self._heard // self.format.bytes_per_ms * form.bytes_per_ms
            self._activity = self._make_activity(form)
        if detection is None:
            self._activity.rest()
        self.format, self.detection = form, detection
        self._activity.threshold = detection.threshold or 0.5 if isinstance(detection, ServerVad) else 0.5

    def append(self, audio: bytes) -> Iterator[SpeechStarted | SpeechStopped]:
        """Take audio; yields what is heard in it, at the point where it is heard.

        Whoever gets a `SpeechStopped` takes the turn before going on.

        Raises:
            BufferFull: The turn is too long.
        """
        if self.buffered_ms >= _LONGEST_MS:
            raise BufferFull
        if self.detection is None:
            self._take(audio)
            return
        size = FRAME_MS * self.format.bytes_per_ms
        self._pending += audio
        while len(self._pending) >= size:
            frame = bytes(self._pending[:size])
            del self._pending[:size]
            self._take(frame)
            yield from self._listen(frame)

    def _take(self, audio: bytes) -> None:
        self._buffer += audio
        self._heard += len(audio)
        self.total_ms = self._heard // self.format.bytes_per_ms

    def _listen(self, frame: bytes) -> Iterator[SpeechStarted | SpeechStopped]:
        began = self._activity.feed(to_linear(frame, self.format))
        if began:
            start = max(self.total_ms - began * FRAME_MS - self._prefix_ms, self.total_ms - self.buffered_ms)
            self._keep_last(self.total_ms - start)
            yield SpeechStarted(start)
        elif not self.speaking:
            if self.buffered_ms > 2 * _LOOK_BACK_MS:
                self._keep_last(_LOOK_BACK_MS)
        elif self.quiet_ms >= self._silence_ms:
            yield SpeechStopped(self.total_ms)

    def _keep_last(self, ms: int) -> None:
        del self._buffer[: max(0, len(self._buffer) - ms * self.format.bytes_per_ms)]

    @property
    def _prefix_ms(self) -> int:
        prefix = self.detection.prefix_padding_ms if isinstance(self.detection, ServerVad) else None
        return 300 if prefix is None else prefix

    @property
    def _silence_ms(self) -> int:
        match self.detection:
            case ServerVad(silence_duration_ms=silence):
                return 500 if silence is None else silence
            case SemanticVad(eagerness=eagerness):
                return _SEMANTIC_SILENCE_MS[eagerness or "auto"]
            case _:
                return 0

    def take(self) -> bytes:
        """The turn's audio; the buffer is empty afterwards, and nobody is speaking."""
        audio = bytes(self._buffer + self._pending)
        self._heard += len(self._pending)
        self.clear()
        return audio

    def clear(self) -> None:
        """Forget what is buffered; the noise floor stays known."""
        self._buffer.clear()
        self._pending.clear()
        self._activity.rest()


def recognise(audio: bytes, form: Format, known: Sequence[Utterance]) -> str | None:
    """Which known utterance this is, by the shape of its loudness: the only words the simulator can hear."""
    size = FRAME_MS * form.bytes_per_ms
    levels = [level_db(to_linear(audio[i : i + size], form)) for i in range(0, len(audio) - size + 1, size)]
    top = max(levels, default=0.0)
    begin = next((i for i, level in enumerate(levels) if level > top - _EDGE_DB), 0)
    padded = [_LOWEST_DB] * _SHIFT + [max(level - top, _LOWEST_DB) for level in levels[begin:]]
    for utterance in known:
        shape = [max(level, _LOWEST_DB) for level in utterance.envelope]
        if len(padded) - len(shape) >= 0 and any(
            _correlation(padded[shift : shift + len(shape)], shape) > _ALIKE for shift in range(2 * _SHIFT)
        ):
            return utterance.text
    return None


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    b = b[: len(a)]
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    over = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    norm = math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))
    return over / norm if norm else 0.0
