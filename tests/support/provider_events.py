"""Events of a provider, in the shape that the provider's own library takes for valid."""

from __future__ import annotations

import base64
import itertools
from typing import Any

Json = dict[str, Any]

_ids = itertools.count(1)


def event(kind: str, **members: Any) -> Json:
    """An event with an id of its own."""
    return {"type": kind, "event_id": f"event_{next(_ids)}", **members}


def created(response_id: str) -> Json:
    """A response begins."""
    response = {"object": "realtime.response", "id": response_id, "status": "in_progress", "output": []}
    return event("response.created", response=response)


def done(response_id: str, status: str = "completed", details: Json | None = None) -> Json:
    """A response ends."""
    usage = {
        "total_tokens": 30,
        "input_tokens": 10,
        "output_tokens": 20,
        "input_token_details": {"text_tokens": 10, "audio_tokens": 0, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 5, "audio_tokens": 15},
    }
    response = {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "output": [],
        "usage": usage,
    }
    return event("response.done", response={**response, "status_details": details})


def item_added(item: Json) -> Json:
    """An item is in the conversation."""
    return event("conversation.item.added", previous_item_id=None, item=item)


def message(item_id: str, role: str, *content: Json) -> Json:
    """A message item."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": role,
        "content": list(content),
    }


def audio(response_id: str, item_id: str, ms: int) -> Json:
    """So much of the agent's speech, in PCM16 at 24 kHz."""
    return event(
        "response.output_audio.delta",
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=0,
        delta=base64.b64encode(b"\x01\x00" * (24 * ms)).decode(),
    )


def words(response_id: str, item_id: str, delta: str) -> Json:
    """Words of the agent's speech."""
    return event(
        "response.output_audio_transcript.delta",
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=0,
        delta=delta,
    )


def function_call(response_id: str, call_id: str, name: str, arguments: str = "{}") -> Json:
    """The model calls a tool."""
    item = {
        "id": f"item_{call_id}_{response_id}",
        "object": "realtime.item",
        "type": "function_call",
        "status": "completed",
        "name": name,
        "call_id": call_id,
        "arguments": arguments,
    }
    return event("response.output_item.done", response_id=response_id, output_index=0, item=item)


def speech_started(item_id: str) -> Json:
    """The user begins to speak."""
    return event("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)


def error(message: str, *, event_id: str | None, code: str | None = None) -> Json:
    """Something the client sent is refused."""
    body = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return event("error", error={**body, "event_id": event_id})
