"""Realtime settings: refused by name, merged member by member, made explicit."""

from __future__ import annotations

from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.types import AudioSpec
from omnirt.specs.problems import Place
from omnirt.specs.realtime import check_realtime, effective_realtime, merge_realtime

PLACE = Place("invalid_params", "$.realtime")


def check(settings: object) -> dict[str, Any]:
    return check_realtime(settings, PLACE)


@pytest.mark.parametrize(
    ("settings", "path", "says"),
    [
        ({"temperature": 0.8}, "$.realtime.temperature", "no setting of the realtime API"),
        ({"truncation": "auto"}, "$.realtime.truncation", "not passed on"),
        ({"include": []}, "$.realtime.include", "not passed on"),
        ({"instructions": "x"}, "$.realtime.instructions", "belongs to the agent"),
        ({"tools": []}, "$.realtime.tools", "belong to the agent"),
        ({"tracing": "auto"}, "$.realtime.tracing", "settings.tracing"),
        ({"model": "x"}, "$.realtime.model", "model_name"),
        ({"voise": "x"}, "$.realtime.voise", "did you mean `voice`"),
        ({"voice": ""}, "$.realtime.voice", "length"),
        ({"input_audio_format": "opus"}, "$.realtime.input_audio_format", "opus"),
        ({"input_audio_format": "pcm24"}, "$.realtime.input_audio_format", "pcm24"),
        (
            {"input_audio_format": {"type": "audio/pcm", "rate": 16000}},
            "$.realtime.input_audio_format.rate",
            "24000",
        ),
        (
            {"output_audio_format": {"type": "audio/pcmu", "rate": 24000}},
            "$.realtime.output_audio_format.rate",
            "8000",
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "$.realtime.audio.input.format.rate",
            "24000",
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/opus"}}}},
            "$.realtime.audio.input.format.type",
            "audio/opus",
        ),
        ({"audio": {"output": {"rate": 24000}}}, "$.realtime.audio.output.rate", "Unknown"),
        ({"modalities": ["audio", "text"]}, "$.realtime.modalities", "length"),
        ({"output_modalities": ["text", "audio"]}, "$.realtime.output_modalities", "length"),
        ({"modalities": []}, "$.realtime.modalities", "length"),
        ({"modalities": ["video"]}, "$.realtime.modalities[0]", "video"),
        ({"modalities": "audio"}, "$.realtime.modalities", "array"),
        ({"speed": 2}, "$.realtime.speed", "1.5"),
        ({"speed": "fast"}, "$.realtime.speed", "float"),
        ({"max_output_tokens": 0}, "$.realtime.max_output_tokens", ">= 1"),
        ({"max_output_tokens": "all"}, "$.realtime.max_output_tokens", "all"),
        ({"turn_detection": {"type": "none"}}, "$.realtime.turn_detection.type", "none"),
        ({"turn_detection": {"eagerness": "low"}}, "$.realtime.turn_detection.type", "type"),
        (
            {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}},
            "$.realtime.turn_detection.threshold",
            "threshold",
        ),
        (
            {"turn_detection": {"type": "server_vad", "silenceDurationMs": 500}},
            "$.realtime.turn_detection.silenceDurationMs",
            "silence_duration_ms",
        ),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 3}},
            "$.realtime.turn_detection.threshold",
            "<= 1",
        ),
        ({"turn_detection": False}, "$.realtime.turn_detection", "object"),
        (
            {"input_audio_transcription": {"modle": "x"}},
            "$.realtime.input_audio_transcription.modle",
            "model",
        ),
        (
            {"input_audio_noise_reduction": {"type": "far"}},
            "$.realtime.input_audio_noise_reduction.type",
            "far",
        ),
        ({"tool_choice": "get_weather"}, "$.realtime.tool_choice", "get_weather"),
        ({"reasoning": {"effort": "max"}}, "$.realtime.reasoning.effort", "max"),
        ({"parallel_tool_calls": "yes"}, "$.realtime.parallel_tool_calls", "bool"),
        ({"prompt": {"version": "1"}}, "$.realtime.prompt.id", "id"),
        ([], "$.realtime", "object"),
        ("ash", "$.realtime", "object"),
    ],
)
def test_what_the_sdk_would_drop_or_refuse_is_refused_by_name(settings: object, path: str, says: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        check(settings)
    assert caught.value.kind == "invalid_params"
    assert caught.value.facts["path"] == path
    assert says in caught.value.message


def test_no_settings_are_no_settings() -> None:
    assert check(None) == check({}) == check({"audio": None}) == {}


def test_an_override_in_one_spelling_beats_a_base_in_the_other() -> None:
    base = check({"audio": {"output": {"voice": "ash"}}, "output_modalities": ["audio"]})
    merged = merge_realtime(base, check({"voice": "marin", "modalities": ["text"]}))
    assert merged == {"voice": "marin", "modalities": ["text"]}


def test_members_are_replaced_whole_and_others_stay() -> None:
    base = check({"turn_detection": {"type": "semantic_vad", "eagerness": "low"}, "voice": "ash"})
    merged = merge_realtime(base, check({"turn_detection": {"type": "server_vad"}}))
    assert merged == {"turn_detection": {"type": "server_vad"}, "voice": "ash"}


def test_a_null_in_the_override_speaks() -> None:
    base = check({"turn_detection": {"type": "server_vad"}, "voice": "ash", "speed": 1.2})
    merged = merge_realtime(base, check({"turn_detection": None, "voice": None, "speed": None}))
    effective = effective_realtime(merged, "m")
    assert effective.settings["turn_detection"] is None
    assert effective.server_turns is False
    assert (effective.settings["voice"], effective.settings["speed"]) == ("ash", 1.0)


def test_merging_changes_neither_side() -> None:
    base, override = {"voice": "ash"}, {"voice": "marin"}
    merge_realtime(base, override)
    assert (base, override) == ({"voice": "ash"}, {"voice": "marin"})


def test_effective_settings_say_the_model_of_the_endpoint_whatever_the_document_says() -> None:
    assert effective_realtime(check({"model_name": "a"}), "b").settings["model_name"] == "b"


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("pcm16", AudioSpec(format="pcm16", sample_rate=24000)),
        ("g711_ulaw", AudioSpec(format="g711_ulaw", sample_rate=8000)),
        ("audio/pcma", AudioSpec(format="g711_alaw", sample_rate=8000)),
    ],
)
def test_the_rate_follows_from_the_format(name: str, spec: AudioSpec) -> None:
    effective = effective_realtime(check({"input_audio_format": name}), "m")
    assert effective.input == spec
    assert effective.output == AudioSpec(format="pcm16", sample_rate=24000)
    assert effective.server_turns is True
