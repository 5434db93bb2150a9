"""The stock model of the voice SDK without what omnirt does itself, and with a socket of our own.

Private names of the SDK used: those in `QUIET_NAMES`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from agents.realtime.model_events import (
    RealtimeModelAudioEvent,
    RealtimeModelRawServerEvent,
    RealtimeModelToolCallEvent,
)
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel, TransportConfig
from websockets.asyncio.client import ClientConnection

from omnirt.providers.dialing import dial
from omnirt.sessions.reading import content_index

PING_INTERVAL_S = 5.0
"""With the library's own 20 s a half-open peer is noticed after 50 s."""
CLOSE_TIMEOUT_S = 1.0
"""The library's own 10 s come on top of a lost ping, and of every close that the peer does not answer."""
MAX_FRAME_BYTES = 64 * 1024 * 1024
"""The SDK's 8 MiB end the session on one long item."""

_WATCHED_ONLY = frozenset(
    {
        "input_audio_buffer.speech_started",  # the SDK would truncate by arrival times and cancel unasked
        "conversation.item.truncated",  # … and retrieve the item, whose audio can pass the frame limit
        "conversation.item.input_audio_transcription.completed",  # the same
    }
)
QUIET_NAMES = ("_handle_ws_event", "_emit_event", "_create_websocket_connection")
"""Private names of the stock model without which it is taken as it is."""


class QuietModel(OpenAIRealtimeWebSocketModel):
    """The stock model without what we do ourselves: its interruptions by the clock, its retrievals.

    Its socket is ours as well, because the stock one offers compression and follows redirects.
    """

    async def _create_websocket_connection(
        self, url: str, headers: dict[str, str], transport_config: TransportConfig | None = None
    ) -> ClientConnection:
        return await dial(
            url, headers, ping_s=PING_INTERVAL_S, max_size=MAX_FRAME_BYTES, close_timeout=CLOSE_TIMEOUT_S
        )

    async def _handle_ws_event(self, event: dict[str, Any]) -> None:
        kind = event.get("type") if isinstance(event, dict) else None
        if kind == "response.output_audio.delta":
            await self._emit_event(RealtimeModelRawServerEvent(data=event))
            await self._emit_event(
                RealtimeModelAudioEvent(
                    data=base64.b64decode(event["delta"], validate=True),
                    response_id=str(event.get("response_id") or ""),
                    item_id=str(event.get("item_id") or ""),
                    content_index=content_index(event),
                )
            )
        elif kind in _WATCHED_ONLY:
            await self._emit_event(RealtimeModelRawServerEvent(data=event))
        elif kind == "response.output_item.done" and _is_call(event.get("item")):
            await self._emit_event(RealtimeModelRawServerEvent(data=event))
            await self._emit_event(_tool_call(event["item"]))
        else:
            await super()._handle_ws_event(event)


def _is_call(item: object) -> bool:
    completed = isinstance(item, dict) and item.get("status") == "completed"
    return completed and isinstance(item, dict) and item.get("type") == "function_call"


def _tool_call(item: Mapping[str, Any]) -> RealtimeModelToolCallEvent:
    # The SDK drops the whole event when a compatible server leaves out any member, and the tool never runs.
    name, call_id, arguments, item_id = (
        str(item.get(member) or "") for member in ("name", "call_id", "arguments", "id")
    )
    return RealtimeModelToolCallEvent(name=name, call_id=call_id, arguments=arguments, id=item_id)
