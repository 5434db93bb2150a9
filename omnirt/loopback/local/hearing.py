"""What is heard of one turn while it is spoken: which stretch to recognise next, and which words are certain.

The recogniser takes whole stretches, and a tenth of their length. So the words of a turn come in three ways:
guesses while the person speaks; the final words of a stretch, begun as soon as a pause is long enough
to be the end, before the turn detection is sure of it; and stretches that a pause or their length
has closed, which are never recognised again.
"""

from __future__ import annotations

import audioop
import re
from collections.abc import Sequence

from omnirt.loopback.audio import Format, to_linear
from omnirt.loopback.parts import Job
from omnirt.loopback.script import Unheard

SETTLE_MS = 140
"""A pause after which the words so far are recognised as if they were the last; words have shorter ones."""
_GUESS_EVERY_MS = 1_200  # a guess that is being made when the speech ends holds up the words at the end
_LEAST_CLOSED_MS = 4_000  # shorter stretches lack context
_LONGEST_MS = 12_000  # the recogniser's time grows faster than the stretch
_LOOK_BACK_MS = 4_000  # where a stretch that is too long is cut, at its quietest
_STEP_MS = 100
_LEAST_MS = 100  # of sound that may hold a word

_SPOKEN = re.compile(r"[\w']+")


class Transcribe(Job):
    """The words of a stretch of audio.

    Args:
        audio: As it came over the wire.
        form: Its format.
        urgent: Whether an answer waits for it.
        doubtful: Whether there may be no speech in it at all.
    """

    def __init__(self, audio: bytes, form: Format, *, urgent: bool, doubtful: bool = False) -> None:
        super().__init__()
        self.audio = audio
        self.form = form
        self.urgent = urgent
        self.doubtful = doubtful
        self.text = ""

    def done(self, text: str) -> None:
        """The words."""
        self.text, self.over = text.strip(), True


class _Pending:
    """A stretch that is being recognised: where it ends, and whether it is closed with that."""

    def __init__(self, job: Transcribe, end: int, *, closes: bool) -> None:
        self.job = job
        self.end = end
        self.closes = closes


class LocalHearing:
    """One turn.

    Args:
        form: The format of its audio.
        guesses: Whether to guess while the person speaks.
    """

    def __init__(self, form: Format, *, guesses: bool = True) -> None:
        self.words: str | Unheard | None = None
        self._form = form
        self._guesses = guesses
        self._pending: _Pending | None = None
        self._start = 0  # of the stretch that is not closed, in bytes
        self._covered = 0  # up to where the last guess goes
        self._speech_end = 0
        self._paused = False  # whether the last guess was made in a pause
        self._closed: list[str] = []
        self._guess: list[str] = []
        self._agreed: list[str] = []
        self._told: list[str] = []
        self._audio: bytes | None = None  # once the turn is over
        self._doubtful = False

    @property
    def jobs(self) -> Sequence[Job]:
        """What is being recognised."""
        return [] if self._pending is None else [self._pending.job]

    # the turn goes on

    def follow(self, audio: bytes | bytearray, quiet_ms: int) -> None:
        """The turn goes on."""
        self._collect()
        end = len(audio)
        self._speech_end = max(self._start, end - quiet_ms * self._form.bytes_per_ms)
        if quiet_ms >= SETTLE_MS:
            if self._covered < self._speech_end and not self._pending_covers(self._speech_end):
                self._recognise(audio, end, urgent=True)
                self._paused = True
            return
        if quiet_ms == 0 and self._paused and self._pending is None:
            self._close_stretch(self._covered)
        if self._pending is not None or quiet_ms:
            return
        if end - self._start >= self._bytes(_LONGEST_MS):
            self._recognise(audio, self._quietest(audio, end), urgent=False, closes=True)
        elif self._guesses and end - self._covered >= self._guess_after(end):
            self._recognise(audio, end, urgent=False)

    def _guess_after(self, end: int) -> int:
        # A guess costs a tenth of the stretch: the longer it is, the rarer the guesses.
        return max(self._bytes(_GUESS_EVERY_MS), (end - self._start) // 4)

    def _close_stretch(self, end: int) -> None:
        """Somebody speaks on after a pause: what was said before it stands, if it is long enough."""
        self._paused = False
        if end - self._start >= self._bytes(_LEAST_CLOSED_MS):
            self._closed += self._guess
            self._guess, self._agreed = [], []
            self._start = end

    def _pending_covers(self, end: int) -> bool:
        return self._pending is not None and self._pending.end >= end

    def _recognise(self, audio: bytes | bytearray, end: int, *, urgent: bool, closes: bool = False) -> None:
        stretch = bytes(audio[self._start : end])
        job = Transcribe(stretch, self._form, urgent=urgent, doubtful=self._doubtful)
        self._pending = _Pending(job, end, closes=closes)

    # the turn is over

    def end(self, audio: bytes, quiet_ms: int, *, detected: bool) -> None:
        """The turn is over."""
        self._collect()
        self._audio = audio
        self._doubtful = not detected
        self._speech_end = len(audio) - (self._bytes(quiet_ms) if detected else 0)
        if not self._pending_covers(self._speech_end):
            self._pending = None  # a guess: the final words are better, and wanted now
        self._finish()

    def _finish(self) -> None:
        """Recognise what is missing, or say the words."""
        assert self._audio is not None
        if self._pending is not None or self.words is not None:
            return
        missing = self._speech_end - self._covered
        if missing < self._bytes(_LEAST_MS):
            self._agreed = self._guess
            self.words = " ".join([*self._closed, *self._guess])
            return
        end = len(self._audio)
        closes = end - self._start > self._bytes(_LONGEST_MS)
        if closes:
            end = self._quietest(self._audio, self._start + self._bytes(_LONGEST_MS))
        self._recognise(self._audio, end, urgent=True, closes=closes)

    # what came of it

    def deltas(self) -> list[str]:
        """The words that became certain since the last call."""
        self._collect()
        certain = [*self._closed, *self._agreed]
        count = len(self._told)
        if _common(self._told, certain) < count:
            return []  # what was told turned out otherwise: the whole transcript will say it
        fresh = certain[count:]
        self._told = certain
        return [word if count + index == 0 else f" {word}" for index, word in enumerate(fresh)]

    def _collect(self) -> None:
        if self._pending is None or not self._pending.job.over:
            return
        pending, self._pending = self._pending, None
        if pending.job.failure is not None:
            if self._audio is not None:
                self.words = Unheard(pending.job.failure)
            self._covered = pending.end  # tried again with what comes after it
            return
        guess = pending.job.text.split()
        self._agreed = guess[: _common(self._guess, guess)]
        self._guess = guess
        self._covered = pending.end
        if pending.closes:
            self._closed += guess
            self._guess, self._agreed = [], []
            self._start = pending.end
        if self._audio is not None:
            self._finish()

    # sums

    def _bytes(self, ms: int) -> int:
        return ms * self._form.bytes_per_ms

    def _quietest(self, audio: bytes | bytearray, end: int) -> int:
        """Where to cut: the quietest tenth of a second before `end`."""
        step = self._bytes(_STEP_MS)
        places = range(end - self._bytes(_LOOK_BACK_MS), end - step + 1, step)

        def loudness(at: int) -> int:
            return audioop.rms(to_linear(bytes(audio[at : at + step]), self._form), 2)

        return min(places, key=loudness) + step // 4 * 2


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """With how many words both begin, whatever their case and punctuation."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if _SPOKEN.findall(a.casefold()) != _SPOKEN.findall(b.casefold()):
            break
        count += 1
    return count
