"""The local provider's parts for one connection: its ears, its brain, and who does their jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from omnirt.loopback.audio import Format
from omnirt.loopback.local.brains import Chat, ChatBrain, HeardBrain
from omnirt.loopback.local.detection import Detector, SileroActivity, has_speech
from omnirt.loopback.local.engines import narrowed
from omnirt.loopback.local.hearing import LocalHearing, Transcribe
from omnirt.loopback.local.models import Models, uses_espeak
from omnirt.loopback.local.options import LocalOptions
from omnirt.loopback.local.services import Services
from omnirt.loopback.parts import Activity, Job, Parts, Speak
from omnirt.loopback.script import Script
from omnirt.loopback.speech import Voice, find_synthesiser, synthesise, with_word_ends
from omnirt.loopback.vad import VoiceActivity

_SPEEDS = 0.5, 2.0  # what the voice can do


class LocalProfile:
    """What plays behind an endpoint of the local provider.

    Args:
        options: How the session hears, thinks and speaks.
        models: Of the daemon, prepared for these options.
    """

    speed = 1.0

    def __init__(self, options: LocalOptions, models: Models) -> None:
        self.script = options.script
        self._options = options
        self._models = models

    @asynccontextmanager
    async def parts(self, voice: Voice) -> AsyncIterator[Parts]:
        """The parts for one connection."""
        options, models = self._options, self._models
        script = self.script or Script()
        async with models.detector(options) as detector:
            services = Services(options.timeout_s)
            try:
                brain = HeardBrain(script, voice.book) if options.chat is None else ChatBrain()
                ears = LocalEars(detector, guesses=options.transcription is None)
                work = Work(options, models, services)
                yield Parts(script, brain, ears, lambda text: None, work.perform)
            finally:
                await services.close()


class LocalEars:
    """Hears turns with Silero's model, or with the noise floor, and words with the recogniser."""

    def __init__(self, detector: Detector | None, *, guesses: bool) -> None:
        self._detector = detector
        self._guesses = guesses

    def activity(self, form: Format) -> Activity:
        """Detection for one format."""
        return VoiceActivity() if self._detector is None else SileroActivity(self._detector, form)

    def begin(self, form: Format) -> LocalHearing:
        """A turn begins."""
        return LocalHearing(form, guesses=self._guesses)


class Work:
    """Does the jobs of one connection."""

    def __init__(self, options: LocalOptions, models: Models, services: Services) -> None:
        self._options = options
        self._models = models
        self._services = services

    async def perform(self, job: Job, wake: Callable[[], None]) -> None:
        """Do a job."""
        match job:
            case Transcribe():
                job.done(await self._words(job))
            case Speak():
                pcm = await self._speech(job.text, job.speed)
                job.done(with_word_ends(job.text, pcm))
            case Chat():
                assert self._options.chat is not None, "who has no service has no brain that asks it"
                await self._services.chat(self._options.chat, job, wake)
            case _:
                raise NotImplementedError(type(job).__name__)

    async def _words(self, job: Transcribe) -> str:
        pcm = narrowed(job.audio, job.form)
        if job.doubtful and not await self._holds_speech(pcm):
            return ""
        if self._options.transcription is not None:
            return await self._services.words(self._options.transcription, pcm)
        recogniser = self._models.recogniser(self._options)
        return await self._models.hearing.do(self, lambda: recogniser.words(pcm), urgent=job.urgent)

    async def _holds_speech(self, pcm: bytes) -> bool:
        """Whether there is speech in what the host committed: a recogniser hears words in silence too."""
        async with self._models.detector(self._options) as detector:
            if detector is None:
                return True
            return await self._models.hearing.do(self, lambda: has_speech(detector, pcm))

    async def _speech(self, text: str, speed: float) -> bytes:
        options = self._options
        if options.speech is not None:
            return await self._services.speech(options.speech, text, options.voice, speed)
        if uses_espeak(options):
            program = find_synthesiser()
            assert program is not None, "the session was refused without it"
            return await synthesise(program, text)
        lowest, highest = _SPEEDS
        pace = min(max(speed, lowest), highest)
        return await self._models.speech(self, text, pace)
