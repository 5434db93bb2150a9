"""The simulator's parts: a script for a brain, recordings for a voice, ears that know a few utterances."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from omnirt.errors import OmnirtError
from omnirt.loopback.audio import Format
from omnirt.loopback.brain import ScriptedBrain, small_talk
from omnirt.loopback.hearing import recognise
from omnirt.loopback.parts import Activity, Job, Parts, Speak
from omnirt.loopback.script import Script, Unheard
from omnirt.loopback.speech import Utterance, Voice
from omnirt.loopback.vad import VoiceActivity


class SimulatorProfile(msgspec.Struct):
    """What an endpoint does: its script (small talk without one), and how much faster than life."""

    script: Script | None = None
    speed: float = 1.0

    @asynccontextmanager
    async def parts(self, voice: Voice) -> AsyncIterator[Parts]:
        """The parts for one connection."""
        yield simulated_parts(self.script or Script(), voice)


def simulated_parts(script: Script, voice: Voice) -> Parts:
    """The parts of a simulated conversation."""

    async def perform(job: Job, wake: Callable[[], None]) -> None:
        assert isinstance(job, Speak)
        try:
            job.done(await voice.speak(job.text))
        except OmnirtError:
            job.failure = "The simulator could not speak this text."
            raise

    brain = ScriptedBrain(script, small_talk(), lambda text: voice.find(text) is not None)
    ears = ScriptedEars(script, voice.book.known_utterances)
    return Parts(script, brain, ears, voice.find, perform)


class ScriptedEars:
    """Hears what the script says, or which known utterance it was."""

    def __init__(self, script: Script, known: Sequence[Utterance]) -> None:
        self._script = script
        self._known = known
        self._turns = 0

    def activity(self, form: Format) -> Activity:
        """The adaptive noise floor, which wants no particular rate."""
        return VoiceActivity()

    def begin(self, form: Format) -> ScriptedHearing:
        """A turn begins."""
        return ScriptedHearing(self, form)

    def words(self, audio: bytes, form: Format) -> str | Unheard:
        """What the next turn says."""
        self._turns += 1
        if self._turns <= len(self._script.hears):
            return self._script.hears[self._turns - 1]
        seconds = len(audio) // form.bytes_per_ms / 1000
        return recognise(audio, form, self._known) or f"(speech, {seconds:.1f} s)"


class ScriptedHearing:
    """One turn: its words are known as soon as it is over."""

    jobs: Sequence[Job] = ()

    def __init__(self, ears: ScriptedEars, form: Format) -> None:
        self.words: str | Unheard | None = None
        self._ears = ears
        self._form = form
        self._told = False

    def follow(self, audio: bytes | bytearray, quiet_ms: int) -> None:
        """Nothing is known before the end."""

    def end(self, audio: bytes, quiet_ms: int, *, detected: bool) -> None:
        """The turn is over."""
        self.words = self._ears.words(audio, self._form)

    def deltas(self) -> list[str]:
        """All words, once."""
        if self._told or not isinstance(self.words, str):
            return []
        self._told = True
        return [word if index == 0 else f" {word}" for index, word in enumerate(self.words.split())]
