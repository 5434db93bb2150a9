"""The realtime settings a document may hold, as structs: what the voice SDK passes on, and nothing else."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from omnirt.protocol.readiness import ready

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Modality = Literal["text", "audio"]
FormatName = Literal[
    "pcm16", "g711_ulaw", "g711_alaw", "pcm", "pcmu", "pcma", "audio/pcm", "audio/pcmu", "audio/pcma"
]


class _Group(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of the groups: unknown members are refused."""


class FormatObject(_Group):
    """A format in the provider's own spelling. The rate is fixed by the type."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: int | UnsetType | None = UNSET


class CustomVoice(_Group):
    """A voice made for the account."""

    id: Name


class SemanticVad(_Group, tag="semantic_vad", tag_field="type"):
    """Turn detection that listens to what is said."""

    eagerness: Literal["low", "medium", "high", "auto"] | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


class ServerVad(_Group, tag="server_vad", tag_field="type"):
    """Turn detection by loudness and silence."""

    threshold: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    prefix_padding_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    silence_duration_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    idle_timeout_ms: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


class Transcription(_Group):
    """How the user's audio is put into words."""

    model: Name | UnsetType = UNSET
    language: Name | UnsetType = UNSET
    languages: list[Name] | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    keywords: list[str] | UnsetType = UNSET
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType = UNSET


class NoiseReduction(_Group):
    """Filters the user's audio before turn detection and the model hear it."""

    type: Literal["near_field", "far_field"]


class Reasoning(_Group):
    """How much a reasoning model thinks."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"]


class FunctionChoice(_Group):
    """Makes the model call one tool."""

    type: Literal["function"]
    name: Name


class PromptReference(_Group):
    """A prompt stored at the provider."""

    id: Name
    version: str | UnsetType | None = UNSET
    variables: dict[str, Any] | UnsetType | None = UNSET


Format: TypeAlias = FormatName | FormatObject | UnsetType | None
Voice: TypeAlias = Name | CustomVoice | UnsetType | None
Speed: TypeAlias = Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType | None
TurnDetection: TypeAlias = SemanticVad | ServerVad | UnsetType | None


class AudioInput(_Group):
    """The user's side, in the provider's nested spelling."""

    format: Format = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection = UNSET


class AudioOutput(_Group):
    """The assistant's side, in the provider's nested spelling."""

    format: Format = UNSET
    voice: Voice = UNSET
    speed: Speed = UNSET


class Audio(_Group):
    """Audio settings in the provider's nested spelling; they beat the flat names of the same document."""

    input: AudioInput | UnsetType | None = UNSET
    output: AudioOutput | UnsetType | None = UNSET


class RealtimeSettings(_Group):
    """What `realtime_settings` of an agent and `realtime` of a session may hold. All optional.

    Null turns `turn_detection` (the host commits by hand), `input_audio_transcription` and
    `input_audio_noise_reduction` off, and puts every other member back to its default.
    """

    model_name: Name | UnsetType | None = UNSET
    voice: Voice = UNSET
    modalities: Annotated[list[Modality], Meta(min_length=1, max_length=1)] | UnsetType | None = UNSET
    output_modalities: Annotated[list[Modality], Meta(min_length=1, max_length=1)] | UnsetType | None = UNSET
    speed: Speed = UNSET
    max_output_tokens: Annotated[int, Meta(ge=1)] | Literal["inf"] | UnsetType | None = UNSET
    input_audio_format: Format = UNSET
    output_audio_format: Format = UNSET
    turn_detection: TurnDetection = UNSET
    input_audio_transcription: Transcription | UnsetType | None = UNSET
    input_audio_noise_reduction: NoiseReduction | UnsetType | None = UNSET
    tool_choice: Literal["auto", "none", "required"] | FunctionChoice | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    reasoning: Reasoning | UnsetType | None = UNSET
    prompt: PromptReference | UnsetType | None = UNSET
    audio: Audio | UnsetType | None = UNSET


def member_names() -> frozenset[str]:
    """Every member name of these settings, for "did you mean"."""
    groups = (RealtimeSettings, Audio, AudioInput, AudioOutput, SemanticVad, ServerVad, Transcription)
    return frozenset(name for group in groups for name in group.__struct_fields__)


ready(RealtimeSettings)
