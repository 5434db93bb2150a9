"""Realtime settings: checked by name, merged member by member, made explicit for the voice SDK.

The SDK drops what it does not know (`temperature`, 16 kHz, opus) without a word; here everything that would
be dropped is refused. Nested names (`audio.output.voice`) become flat ones before anything is merged, so that
an override in one spelling beats a base in the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from omnirt.protocol.types import AudioFormat, AudioSpec
from omnirt.specs.problems import Place, convert
from omnirt.specs.realtime_settings import RealtimeSettings, member_names

PCM_RATE: Final = 24_000
"""The one rate the provider takes for PCM16."""
G711_RATE: Final = 8_000
DEFAULT_MODEL: Final = "gpt-realtime"

Flat: TypeAlias = dict[str, Any]  # settings under their flat names, as the SDK and `merge_realtime` take them


class EffectiveRealtime(Struct, frozen=True, kw_only=True):
    """Settings with nothing left to the SDK's defaults.

    Args:
        settings: For the SDK's `RealtimeSessionModelSettings`, `model_name` included.
        input: What the host sends.
        output: What the host gets.
        server_turns: Whether the provider finds the ends of turns; without it the host commits.
    """

    settings: Flat
    input: AudioSpec
    output: AudioSpec
    server_turns: bool


_OFF_BY_NULL = frozenset({"turn_detection", "input_audio_transcription", "input_audio_noise_reduction"})
_DEFAULTS: Flat = {
    # The SDK's own defaults, said aloud: a later SDK with others changes nothing behind a host's back.
    "voice": "ash",
    "modalities": ["audio"],
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
    "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
}
_AGAIN_DEFAULT: Flat = {
    # Null must undo an earlier value on the provider's side, where leaving a member out keeps it.
    "speed": 1.0,
    "max_output_tokens": "inf",
    "tool_choice": "auto",
}
_FORMATS: dict[str, AudioFormat] = {
    **dict.fromkeys(("pcm16", "pcm", "audio/pcm"), "pcm16"),
    **dict.fromkeys(("g711_ulaw", "pcmu", "audio/pcmu"), "g711_ulaw"),
    **dict.fromkeys(("g711_alaw", "pcma", "audio/pcma"), "g711_alaw"),
}
_NESTED: tuple[tuple[Literal["input", "output"], str, str], ...] = (
    ("input", "format", "input_audio_format"),
    ("input", "noise_reduction", "input_audio_noise_reduction"),
    ("input", "transcription", "input_audio_transcription"),
    ("input", "turn_detection", "turn_detection"),
    ("output", "format", "output_audio_format"),
    ("output", "voice", "voice"),
    ("output", "speed", "speed"),
)
HINTS: Final[Mapping[str, str]] = {
    "temperature": "is no setting of the realtime API: leave it out",
    "instructions": "belongs to the agent, beside `realtime_settings`",
    "tools": "belong to the agent, beside `realtime_settings`",
    "handoffs": "belong to the agent, beside `realtime_settings`",
    "tracing": "is chosen by `settings.tracing` of session.start",
    "truncation": "is not passed on by the voice SDK: leave it out",
    "include": "is not passed on by the voice SDK: leave it out",
    "model": "is spelled `model_name` here",
    "max_response_output_tokens": "is spelled `max_output_tokens` here",
    "sample_rate": "is fixed by the audio format: 24000 Hz for pcm16, 8000 Hz for G.711",
}


def check_realtime(settings: object, place: Place) -> Flat:
    """The settings of a document, checked and under flat names; only what it says itself, null included.

    Args:
        settings: What the document holds under `realtime_settings` or `realtime`; None means nothing.
        place: Where it stands, for the error.

    Raises:
        OmnirtError: Of the place's kind, naming the first member that the SDK would drop or refuse.
    """
    if settings is None:
        return {}
    return flatten(convert(settings, RealtimeSettings, place, hints=HINTS, names=member_names()), place)


def flatten(settings: RealtimeSettings, place: Place) -> Flat:
    """`settings` under flat names and with formats under their short names."""
    flat: Flat = msgspec.to_builtins(settings)
    nested = flat.pop("audio", None) or {}
    where = {name: place.at(name) for name in flat}
    for side, name, flat_name in _NESTED:
        members = nested.get(side) or {}
        if name in members:
            flat[flat_name] = members[name]
            where[flat_name] = place.at("audio", side, name)
    if "output_modalities" in flat:
        # As in the SDK, the newer name wins.
        flat["modalities"] = flat.pop("output_modalities")
    for name in ("input_audio_format", "output_audio_format"):
        if flat.get(name) is not None:
            flat[name] = _format(flat[name], where[name])
    return flat


def merge_realtime(base: Mapping[str, Any], override: Mapping[str, Any]) -> Flat:
    """`base` with the members of `override` in place of its own; a null in `override` speaks.

    Both come from `check_realtime`. Members are taken whole: an override's `turn_detection` replaces the
    base's, as half a `server_vad` on half a `semantic_vad` would fit neither.
    """
    return {**base, **override}


def effective_realtime(settings: Mapping[str, Any], model: str) -> EffectiveRealtime:
    """Checked and merged settings with every default filled in.

    Args:
        settings: From `check_realtime` or `merge_realtime`.
        model: The model the endpoint was resolved to; the URL and the settings sent must agree.
    """
    full: Flat = {**_DEFAULTS, **settings}
    for name, value in list(full.items()):
        if value is not None or name in _OFF_BY_NULL:
            continue
        if name in _DEFAULTS or name in _AGAIN_DEFAULT:
            full[name] = _DEFAULTS.get(name, _AGAIN_DEFAULT.get(name))
        else:
            # The SDK fails on a null prompt, and ignores the others.
            del full[name]
    full["model_name"] = model
    return EffectiveRealtime(
        settings=full,
        input=audio_spec(full["input_audio_format"]),
        output=audio_spec(full["output_audio_format"]),
        server_turns=full["turn_detection"] is not None,
    )


def audio_spec(name: AudioFormat) -> AudioSpec:
    """Format and rate: the rate is fixed by the format."""
    return AudioSpec(format=name, sample_rate=PCM_RATE if name == "pcm16" else G711_RATE)


def _format(value: str | Mapping[str, Any], place: Place) -> AudioFormat:
    if isinstance(value, str):
        return _FORMATS[value]
    name = _FORMATS[value["type"]]
    rate = audio_spec(name).sample_rate
    if value.get("rate") not in (None, rate):
        raise place.at("rate").problem(f"{value['type']} is {rate} Hz, and nothing is resampled")
    return name
