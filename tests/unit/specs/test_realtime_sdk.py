"""What the stock SDK really sends in session.update for our settings, over a real WebSocket."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
import websockets

from omnirt.specs.build import sdk_settings
from omnirt.specs.problems import Place
from omnirt.specs.realtime import check_realtime, effective_realtime

if TYPE_CHECKING:
    from agents.realtime import RealtimeModelConfig

PCM = {"type": "audio/pcm", "rate": 24000}
DEFAULT_INPUT = {
    "format": PCM,
    "transcription": {"model": "gpt-4o-mini-transcribe"},
    "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
}
DEFAULT_OUTPUT = {"format": PCM, "voice": "ash"}


async def first_update(settings: dict[str, Any]) -> dict[str, Any]:
    """The session of the first session.update that the stock SDK sends for these settings."""
    from agents.realtime import RealtimeAgent, RealtimeRunner

    received: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def serve(connection: websockets.ServerConnection) -> None:
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "session.update" and not received.done():
                received.set_result(event["session"])

    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        runner = RealtimeRunner(RealtimeAgent(name="a"), config={"tracing_disabled": True})
        config = {"url": f"ws://127.0.0.1:{port}", "headers": {}, "initial_model_settings": settings}
        session = await runner.run(model_config=cast("RealtimeModelConfig", config))
        async with session:
            return await asyncio.wait_for(received, 5)


def sent_by_sdk(settings: object) -> dict[str, Any]:
    """What goes on the wire for the settings of a document."""
    flat = check_realtime(settings, Place("invalid_params", "$.realtime"))
    return asyncio.run(first_update(sdk_settings(effective_realtime(flat, "gpt-realtime").settings)))


ROWS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("nothing", {}, {}),
    ("voice", {"voice": "marin"}, {"output": {"voice": "marin"}}),
    ("custom voice", {"voice": {"id": "voice_1"}}, {"output": {"voice": {"id": "voice_1"}}}),
    ("null voice", {"voice": None}, {}),
    ("text only", {"modalities": ["text"]}, {"output_modalities": ["text"]}),
    (
        "newer name of modalities wins",
        {"modalities": ["audio"], "output_modalities": ["text"]},
        {"output_modalities": ["text"]},
    ),
    ("null modalities", {"modalities": None}, {}),
    ("speed", {"speed": 1.2}, {"output": {"speed": 1.2}}),
    ("null speed goes back", {"speed": None}, {"output": {"speed": 1.0}}),
    ("tokens", {"max_output_tokens": 100}, {"max_output_tokens": 100}),
    ("null tokens go back", {"max_output_tokens": None}, {"max_output_tokens": "inf"}),
    ("mu-law in", {"input_audio_format": "g711_ulaw"}, {"input": {"format": {"type": "audio/pcmu"}}}),
    ("A-law out", {"output_audio_format": "g711_alaw"}, {"output": {"format": {"type": "audio/pcma"}}}),
    (
        "provider's name of a format",
        {"input_audio_format": "audio/pcma"},
        {"input": {"format": {"type": "audio/pcma"}}},
    ),
    ("format as an object", {"input_audio_format": {"type": "audio/pcm", "rate": 24000}}, {}),
    ("null format", {"output_audio_format": None}, {}),
    ("no turn detection", {"turn_detection": None}, {"input": {"turn_detection": None}}),
    (
        "server vad",
        {
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.4,
                "silence_duration_ms": 300,
                "prefix_padding_ms": 100,
                "idle_timeout_ms": 6000,
                "create_response": False,
                "interrupt_response": False,
            }
        },
        {
            "input": {
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.4,
                    "silence_duration_ms": 300,
                    "prefix_padding_ms": 100,
                    "idle_timeout_ms": 6000,
                    "create_response": False,
                    "interrupt_response": False,
                }
            }
        },
    ),
    (
        "semantic vad",
        {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}},
        {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}},
    ),
    ("no transcription", {"input_audio_transcription": None}, {"input": {"transcription": None}}),
    (
        "transcription",
        {
            "input_audio_transcription": {
                "model": "whisper-1",
                "language": "pt",
                "prompt": "p",
                "keywords": ["k"],
                "languages": ["pt"],
                "delay": "low",
            }
        },
        {
            "input": {
                "transcription": {
                    "model": "whisper-1",
                    "language": "pt",
                    "prompt": "p",
                    "keywords": ["k"],
                    "languages": ["pt"],
                    "delay": "low",
                }
            }
        },
    ),
    (
        "noise reduction",
        {"input_audio_noise_reduction": {"type": "far_field"}},
        {"input": {"noise_reduction": {"type": "far_field"}}},
    ),
    ("null noise reduction", {"input_audio_noise_reduction": None}, {"input": {"noise_reduction": None}}),
    ("tool choice", {"tool_choice": "required"}, {"tool_choice": "required"}),
    (
        "tool choice by name",
        {"tool_choice": {"type": "function", "name": "w"}},
        {"tool_choice": {"type": "function", "name": "w"}},
    ),
    ("null tool choice goes back", {"tool_choice": None}, {"tool_choice": "auto"}),
    ("parallel tools", {"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ("null parallel tools", {"parallel_tool_calls": None}, {}),
    ("reasoning", {"reasoning": {"effort": "low"}}, {"reasoning": {"effort": "low"}}),
    ("null reasoning", {"reasoning": None}, {}),
    (
        "prompt",
        {"prompt": {"id": "p1", "version": "2", "variables": {"a": "b"}}},
        {"prompt": {"id": "p1", "version": "2", "variables": {"a": "b"}}},
    ),
    ("null prompt", {"prompt": None}, {}),
    (
        "nested voice beats flat",
        {"voice": "ash", "audio": {"output": {"voice": "cedar"}}},
        {"output": {"voice": "cedar"}},
    ),
    (
        "all nested",
        {
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu", "rate": 8000},
                    "noise_reduction": {"type": "near_field"},
                    "transcription": None,
                    "turn_detection": None,
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "v", "speed": 0.5},
            }
        },
        {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field"},
                "transcription": None,
                "turn_detection": None,
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "v", "speed": 0.5},
        },
    ),
    ("empty nested", {"audio": {"input": None, "output": {}}}, {}),
]


@pytest.mark.parametrize(("settings", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_sdk_sends_what_the_document_says(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    sent = sent_by_sdk(settings)
    top = {name: value for name, value in expected.items() if name not in ("input", "output")}
    assert sent.pop("audio") == {
        "input": {**DEFAULT_INPUT, **expected.get("input", {})},
        "output": {**DEFAULT_OUTPUT, **expected.get("output", {})},
    }
    assert sent == {
        "type": "realtime",
        "model": "gpt-realtime",
        "instructions": "",
        "tools": [],
        "output_modalities": ["audio"],
        **top,
    }


def test_the_bare_sdk_drops_a_temperature_and_16_khz_and_opus_without_a_word() -> None:
    """The harm that `check_realtime` keeps away; once this fails, the SDK has learnt to refuse."""
    settings = {
        "temperature": 0.5,
        "input_audio_format": {"type": "audio/pcm", "rate": 16000},
        "output_audio_format": "opus",
    }
    sent = asyncio.run(first_update(settings))
    assert "temperature" not in sent
    assert sent["audio"]["input"]["format"] == PCM
    assert "format" not in sent["audio"]["output"]


def test_the_bare_sdk_lets_a_nested_base_beat_a_flat_override() -> None:
    """Why settings are flattened before they are merged."""
    sent = asyncio.run(first_update({"audio": {"output": {"voice": "ash"}}, "voice": "marin"}))
    assert sent["audio"]["output"]["voice"] == "ash"


def test_the_bare_sdk_sends_a_model_of_its_own_when_none_is_given() -> None:
    """Why the effective settings always carry the endpoint's model."""
    assert asyncio.run(first_update({}))["model"] != "gpt-realtime"


def test_the_bare_sdk_warns_of_a_plain_tool_choice() -> None:
    with pytest.warns(UserWarning, match="tool_choice"):
        asyncio.run(first_update({"tool_choice": {"type": "function", "name": "w"}}))
