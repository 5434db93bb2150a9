"""`session.update`: what is merged, what is shown, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.loopback.helpers import Event, Talk, error, only


def shown(events: list[Event]) -> dict[str, Any]:
    session: dict[str, Any] = only(events, "session.updated")["session"]
    return session


def test_a_session_begins_with_the_providers_defaults() -> None:
    session = only(Talk().events, "session.created")["session"]
    assert session["object"] == "realtime.session"
    assert session["model"] == "gpt-realtime"
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert session["audio"]["input"]["transcription"] is None
    assert session["expires_at"] == 1_000_003_600


def test_groups_are_merged_and_leaves_replaced() -> None:
    talk = Talk()
    talk.update(
        instructions="Be brief.", audio={"input": {"transcription": {"model": "a", "language": "pt"}}}
    )
    session = shown(talk.update(audio={"input": {"transcription": {"model": "b"}}, "output": {"speed": 1.2}}))
    assert session["instructions"] == "Be brief."
    assert session["audio"]["input"]["transcription"] == {"model": "b"}
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.2,
    }


@pytest.mark.parametrize(
    ("detection", "effective"),
    [
        (None, None),
        (
            {"type": "semantic_vad"},
            {
                "type": "semantic_vad",
                "eagerness": "auto",
                "create_response": True,
                "interrupt_response": True,
            },
        ),
        (
            {"type": "server_vad", "silence_duration_ms": 900},
            {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 900,
                "idle_timeout_ms": None,
                "create_response": True,
                "interrupt_response": True,
            },
        ),
    ],
)
def test_turn_detection_is_shown_with_its_defaults(detection: object, effective: object) -> None:
    assert shown(Talk().detect(detection))["audio"]["input"]["turn_detection"] == effective


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "realtime", "voice": "ash"}, "unknown_parameter", "session.voice"),
        ({"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
        (
            {"type": "realtime", "audio": {"input": {"rate": 1}}},
            "unknown_parameter",
            "session.audio.input.rate",
        ),
        (
            {"type": "realtime", "output_modalities": ["text", "audio"]},
            "invalid_value",
            "session.output_modalities",
        ),
        ({"type": "realtime", "instructions": 7}, "invalid_type", "session.instructions"),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/opus"}}}},
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "psychic"}}}},
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        (
            {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}},
            "invalid_value",
            "session.audio.output.format",
        ),
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(session: Event, code: str, param: str) -> None:
    talk = Talk()
    before = talk.core.settings
    refused = error(talk.send("session.update", event_id="mine", session=session))
    assert (refused["code"], refused["param"], refused["event_id"]) == (code, param, "mine")
    assert talk.core.settings == before


def test_the_voice_can_be_changed_until_it_was_heard() -> None:
    talk = Talk()
    assert shown(talk.update(audio={"output": {"voice": "ash"}}))["audio"]["output"]["voice"] == "ash"
    talk.answer("Hello")
    assert shown(talk.update(audio={"output": {"voice": "ash"}}))
    assert error(talk.update(audio={"output": {"voice": "sage"}}))["code"] == "cannot_update_voice"


def test_tools_are_replaced_as_a_whole() -> None:
    talk = Talk()
    tool = {"type": "function", "name": "a", "description": "x", "parameters": {"type": "object"}}
    assert shown(talk.update(tools=[tool]))["tools"] == [tool]
    assert shown(talk.update(tools=[]))["tools"] == []
