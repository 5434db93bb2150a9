"""The settings of one simulated session: their defaults, and how `session.update` changes them."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from omnirt.loopback.audio import FORMATS, Format
from omnirt.loopback.wire import ClientError, Json
from omnirt.protocol.readiness import ready

_MEMBER = re.compile(r"(unknown|missing required) field `(\w+)`")
MODALITIES: tuple[list[str], ...] = (["audio"], ["text"])


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings spelled as the protocol spells them; an unknown member is refused."""


class ServerVad(_Settings, tag_field="type", tag="server_vad"):
    """Turns end after a silence."""

    threshold: float | None = 0.5
    prefix_padding_ms: int | None = 300
    silence_duration_ms: int | None = 500
    idle_timeout_ms: int | None = None
    create_response: bool | None = True
    interrupt_response: bool | None = True


class SemanticVad(_Settings, tag_field="type", tag="semantic_vad"):
    """Turns end when the speaker seems to be done; here, after a silence that depends on the eagerness."""

    eagerness: Literal["auto", "low", "medium", "high"] | None = "auto"
    create_response: bool | None = True
    interrupt_response: bool | None = True


TurnDetection = ServerVad | SemanticVad


class AudioFormat(_Settings, omit_defaults=True):
    """`{"type": "audio/pcm", "rate": 24000}` or one of the G.711 kinds."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Literal[24000, 8000] | None = None

    def __post_init__(self) -> None:
        if self.type == "audio/pcm" and self.rate not in (None, 24000):
            raise ValueError("audio/pcm has a rate of 24000")


class InputSettings(_Settings):
    """`session.audio.input`."""

    format: AudioFormat = msgspec.field(default_factory=lambda: AudioFormat("audio/pcm", 24000))
    transcription: Json | None = None
    noise_reduction: Json | None = None
    turn_detection: TurnDetection | None = msgspec.field(default_factory=ServerVad)


class OutputSettings(_Settings):
    """`session.audio.output`."""

    format: AudioFormat = msgspec.field(default_factory=lambda: AudioFormat("audio/pcm", 24000))
    voice: str | Json = "marin"
    speed: float = 1.0


class AudioSettings(_Settings):
    """`session.audio`."""

    input: InputSettings = msgspec.field(default_factory=InputSettings)
    output: OutputSettings = msgspec.field(default_factory=OutputSettings)


class SessionSettings(_Settings):
    """What `session.update` may change."""

    type: Literal["realtime"] = "realtime"
    model: str | None = None
    instructions: str | None = ""
    output_modalities: list[Literal["text", "audio"]] = msgspec.field(default_factory=lambda: ["audio"])
    audio: AudioSettings = msgspec.field(default_factory=AudioSettings)
    tools: list[Json] = msgspec.field(default_factory=list)
    tool_choice: str | Json = "auto"
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | Literal["inf"] | None = "inf"
    tracing: Literal["auto"] | Json | None = None
    truncation: Literal["auto", "disabled"] | Json = "auto"
    prompt: Json | None = None
    reasoning: Json | None = None
    include: list[str] | None = None

    @property
    def input_format(self) -> Format:
        """The sample format of what the client sends."""
        return FORMATS[self.audio.input.format.type]

    @property
    def output_format(self) -> Format:
        """The sample format of what is sent to the client."""
        return FORMATS[self.audio.output.format.type]

    @property
    def detection(self) -> TurnDetection | None:
        """The turn detection, or None when the client commits."""
        return self.audio.input.turn_detection

    def updated(self, patch: Json) -> SessionSettings:
        """These settings with a `session.update` laid over them: groups are merged, leaves replaced.

        Raises:
            ClientError: A setting is unknown or wrong; nothing was changed.
        """
        if "type" not in patch:
            raise ClientError(
                "missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type"
            )
        merged = _laid_over(msgspec.to_builtins(self), patch, ("audio", "input", "output"))
        try:
            settings = msgspec.convert(merged, SessionSettings)
        except msgspec.ValidationError as error:
            raise setting_error(error, "session") from None
        if settings.output_modalities not in MODALITIES:
            raise wrong_modalities(settings.output_modalities, "session.output_modalities")
        return settings


ready(SessionSettings)


def _laid_over(base: Json, patch: Json, groups: tuple[str, ...]) -> Json:
    merged = dict(base)
    for name, value in patch.items():
        old = merged.get(name)
        if name in groups and isinstance(old, dict) and isinstance(value, dict):
            value = _laid_over(old, value, groups)
        merged[name] = value
    return merged


def wrong_modalities(given: list[str] | list[Literal["text", "audio"]], param: str) -> ClientError:
    """The refusal of a combination of modalities."""
    return ClientError(
        "invalid_value",
        f"Invalid modalities: {list(given)}. Supported combinations are: ['text'] and ['audio'].",
        param,
    )


def setting_error(error: msgspec.ValidationError, root: str) -> ClientError:
    """A validation error in the words and codes of the provider."""
    message, _, where = str(error).partition(" - at `")
    member = _MEMBER.search(message)
    path = root + where.rstrip("`").removeprefix("$") + (f".{member[2]}" if member else "")
    path = path.removeprefix(".")
    if member is not None and member[1] == "unknown":
        return ClientError("unknown_parameter", f"Unknown parameter: '{path}'.", path)
    if member is not None:
        return ClientError("missing_required_parameter", f"Missing required parameter: '{path}'.", path)
    if message.startswith("Expected"):
        return ClientError("invalid_type", f"Invalid type for '{path}': {message}.", path)
    return ClientError("invalid_value", f"{message}: '{path}'.", path)
