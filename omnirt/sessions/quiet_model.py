"""The stock model of the voice SDK without what omnirt does itself, and with a socket of our own.

Private names of the SDK used: those in `QUIET_NAMES`.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from typing import Any

from agents import set_tracing_disabled
from agents.realtime.model_events import (
    RealtimeModelAudioEvent,
    RealtimeModelRawServerEvent,
    RealtimeModelToolCallEvent,
)
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel, TransportConfig
from agents.tracing import set_trace_provider
from agents.tracing.provider import DefaultTraceProvider
from websockets.asyncio.client import ClientConnection

from omnirt.providers.dialing import dial
from omnirt.sessions.audio_socket import AUDIO_DELTA, AudioSocket, TakeAudio
from omnirt.sessions.reading import content_index

PING_INTERVAL_S = 4.0
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
log = logging.getLogger(__name__)

QUIET_NAMES = ("_handle_ws_event", "_emit_event", "_create_websocket_connection")
"""Private names of the stock model without which it is taken as it is."""


class QuietModel(OpenAIRealtimeWebSocketModel):
    """The stock model without what we do ourselves: its interruptions by the clock, its retrievals.

    Its socket is ours as well, because the stock one offers compression and follows redirects.

    Attributes:
        take_audio: Takes the agent's audio before the stock model reads it; None for the stock way.
        own_ids: Gives an event the ids that the session has for what is in it.
    """

    take_audio: TakeAudio | None = None
    own_ids: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    _calling = ""
    _called: frozenset[tuple[str, ...]] = frozenset()
    """Calls of the response `_calling`: item id, call id, name."""

    async def _create_websocket_connection(
        self, url: str, headers: dict[str, str], transport_config: TransportConfig | None = None
    ) -> ClientConnection:
        socket = await dial(
            url,
            headers,
            ping_s=PING_INTERVAL_S,
            max_size=MAX_FRAME_BYTES,
            close_timeout=CLOSE_TIMEOUT_S,
            connection=AudioSocket,
        )
        assert isinstance(socket, AudioSocket), "as it was asked for"
        socket.take_audio = self.take_audio
        return socket

    async def _handle_ws_event(self, event: dict[str, Any]) -> None:
        kind = event.get("type") if isinstance(event, dict) else None
        if kind is not None and self.own_ids is not None:
            event = dict(self.own_ids(event))
        if kind == AUDIO_DELTA:
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
            if self._is_first(event):
                await self._emit_event(_tool_call(event["item"]))
        else:
            await super()._handle_ws_event(event)

    def _is_first(self, event: Mapping[str, Any]) -> bool:
        """Whether a call is told for the first time: one that is told twice runs once."""
        response_id, item = str(event.get("response_id") or ""), event["item"]
        if response_id != self._calling or not response_id:
            self._calling, self._called = response_id, frozenset()
        call = tuple(str(item.get(name) or "") for name in ("id", "call_id", "name"))
        if call in self._called and call[0]:
            return False
        self._called |= {call}
        return True


def _is_call(item: object) -> bool:
    completed = isinstance(item, dict) and item.get("status") == "completed"
    return completed and isinstance(item, dict) and item.get("type") == "function_call"


def _tool_call(item: Mapping[str, Any]) -> RealtimeModelToolCallEvent:
    # The SDK drops the whole event when a compatible server leaves out any member, and the tool never runs.
    name, call_id, arguments, item_id = (
        str(item.get(member) or "") for member in ("name", "call_id", "arguments", "id")
    )
    return RealtimeModelToolCallEvent(name=name, call_id=call_id, arguments=arguments, id=item_id)


def warm_up() -> None:
    """Make what the SDK makes at its first settings message, 20 ms of schemas, where nobody waits for it."""
    try:
        QuietModel()._get_session_config({})
    except Exception as error:  # noqa: BLE001 - it is made later then
        log.debug("the voice SDK was not warmed up: %s", type(error).__name__)


def silence_tracing() -> None:
    """Keep the SDK's trace exporter from talking to the provider behind the user's back.

    Where nobody has set up tracing, it is by a provider without an exporter: to make the stock one, only to
    switch it off, costs 150 ms and 3 MB.
    """
    from agents.tracing import setup

    if getattr(setup, "GLOBAL_TRACE_PROVIDER", "unknown") is None:
        provider = DefaultTraceProvider()
        provider.set_disabled(True)
        set_trace_provider(provider)
    else:
        set_tracing_disabled(True)
