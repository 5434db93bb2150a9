"""The voice SDK's model, wrapped: every hazard of its transport is met here, in this one module.

Importing this module imports the SDK (seconds); the rest of the package imports it late, after the warm-up.
Private names of the SDK used: `_handle_ws_event`, `_emit_event`, `_create_websocket_connection` and
`_websocket`. Where one is missing the stock path takes over: an event of ours costs 10 ms more, the SDK
truncates by its own clock, audio is compressed, a close has no code.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, cast

import msgspec
from agents import set_tracing_disabled
from agents.realtime import RealtimeModel, RealtimeModelConfig, RealtimeModelListener
from agents.realtime.config import RealtimeSessionModelSettings
from agents.realtime.model_events import (
    RealtimeModelAudioEvent,
    RealtimeModelEvent,
    RealtimeModelRawServerEvent,
    RealtimeModelToolCallEvent,
)
from agents.realtime.model_inputs import (
    RealtimeModelSendEvent,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendToolOutput,
)
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel, TransportConfig
from websockets.asyncio.client import ClientConnection

from omnirt.providers.dialing import dial
from omnirt.sessions.reading import content_index, writable
from omnirt.specs.build import sdk_settings

Settings: TypeAlias = RealtimeSessionModelSettings

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
_TO_SESSION = frozenset({"turn_started", "turn_ended", "usage", "function_call"})
"""What the SDK's session needs of the model's events; the rest only fills its unbounded queue."""


class Watcher(Protocol):
    """Gets what the provider sends, at once and in order; nothing waits in the SDK's queue."""

    def on_server_event(self, event: Mapping[str, Any]) -> None:
        """Every event of the provider as it came; audio deltas too."""

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        """Decoded audio."""

    def on_broken_frame(self, error: Exception) -> None:
        """A frame that is no event; the connection goes on."""

    def on_disconnect(self, code: int | None, reason: str) -> None:
        """The connection is gone; None when there was no close frame."""

    def on_sdk_failure(self, error: Exception | None) -> None:
        """The SDK's session ended by itself; nothing works any more."""

    def refused_call(self, tool_call_id: str, name: str, arguments: str) -> str | None:
        """What the model is told of a call that cannot run; None for one that can."""

    def on_tool_output(self, tool_call_id: str, respond: bool) -> None:
        """A tool's output went upstream."""

    def session_settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings the SDK wants to send, with ours laid over."""


class WatchedModel(RealtimeModel, RealtimeModelListener):
    """The stock WebSocket model behind a listener of ours that comes first.

    A drop of the connection, a broken frame or an error event never reaches the SDK's session, which would
    end and lose what is queued: they are the watcher's.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._listeners: list[RealtimeModelListener] = []
        self._calls = _CallIds()
        quiet = all(hasattr(OpenAIRealtimeWebSocketModel, name) for name in QUIET_NAMES)
        model = _QuietModel if quiet else OpenAIRealtimeWebSocketModel
        self._inner = model(
            transport_config={
                "ping_interval": PING_INTERVAL_S,
                "ping_timeout": PING_INTERVAL_S,
                "max_size": MAX_FRAME_BYTES,
            }
        )
        self._inner.add_listener(self)

    async def connect(self, options: RealtimeModelConfig) -> None:
        """Open the socket and send the settings; does not wait for the provider's answer."""
        settings = sdk_settings(options.get("initial_model_settings", {}))
        await self._inner.connect({**options, "initial_model_settings": cast("Settings", settings)})
        socket = getattr(self._inner, "_websocket", None)
        if socket is not None:
            socket.close_timeout = CLOSE_TIMEOUT_S

    def add_listener(self, listener: RealtimeModelListener) -> None:
        """The SDK's session adds itself."""
        self._listeners.append(listener)

    def remove_listener(self, listener: RealtimeModelListener) -> None:
        """The SDK's session leaves."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def close(self) -> None:
        """Close the socket; waits for the peer, up to 10 s."""
        await self._inner.close()

    def abort(self) -> None:
        """Drop the socket without a word, for a peer that does not answer the close."""
        transport = getattr(getattr(self._inner, "_websocket", None), "transport", None)
        if transport is not None:
            transport.abort()

    async def on_event(self, event: RealtimeModelEvent) -> None:
        """An event of the stock model: the watcher first, then the SDK's session if it needs it."""
        match event.type:
            case "raw_server_event":
                if isinstance(event.data, dict):
                    self._watcher.on_server_event(event.data)
            case "audio":
                self._watcher.on_audio(event.response_id, event.item_id, event.content_index, event.data)
            case "exception":
                self._failed(event.exception)
            case "end_of_stream":
                # A clean close: code and reason are nowhere but on the socket.
                socket = getattr(self._inner, "_websocket", None)
                code, reason = getattr(socket, "close_code", None), getattr(socket, "close_reason", None)
                self._watcher.on_disconnect(code, reason or "")
            case "function_call":
                await self._called(event)
            case kind if kind in _TO_SESSION:
                await self._to_session(event)

    async def send_event(self, event: RealtimeModelSendEvent) -> None:
        """What the SDK's session sends; the follow-up response of a tool is asked for by our own turns."""
        if isinstance(event, RealtimeModelSendToolOutput):
            call_id = self._calls.original(event.tool_call.call_id)
            call = dataclasses.replace(event.tool_call, call_id=call_id)
            await self._inner.send_event(dataclasses.replace(event, tool_call=call, start_response=False))
            self._watcher.on_tool_output(call_id, event.start_response)
            return
        if isinstance(event, RealtimeModelSendSessionUpdate):
            settings = sdk_settings(self._watcher.session_settings(event.session_settings))
            event = dataclasses.replace(event, session_settings=cast("Settings", settings))
        await self._inner.send_event(event)

    async def send_client_event(self, event: Mapping[str, Any]) -> None:
        """Send an event of ours past the SDK's types, and past its gate, which one lost answer can block."""
        socket = getattr(self._inner, "_websocket", None)
        if socket is not None:
            await socket.send(msgspec.json.encode(event).decode())
            return
        other = {name: value for name, value in event.items() if name != "type"}
        raw = RealtimeModelSendRawMessage(message={"type": event["type"], "other_data": other})
        await self._inner.send_event(raw)

    async def _called(self, event: RealtimeModelToolCallEvent) -> None:
        told = self._watcher.refused_call(event.call_id, event.name, event.arguments)
        if told is None:
            await self._to_session(dataclasses.replace(event, call_id=self._calls.unique(event.call_id)))
            return
        # The arguments may be what was refused, and the SDK reads them once more.
        call = dataclasses.replace(event, name=writable(event.name), arguments="{}")
        output = RealtimeModelSendToolOutput(tool_call=call, output=writable(told), start_response=True)
        await self.send_event(output)

    async def _to_session(self, event: RealtimeModelEvent) -> None:
        for listener in list(self._listeners):
            await listener.on_event(event)

    def _failed(self, error: Exception) -> None:
        received = getattr(error, "rcvd", None)
        if hasattr(error, "rcvd") or isinstance(error, OSError):
            self._watcher.on_disconnect(getattr(received, "code", None), getattr(received, "reason", ""))
        else:
            self._watcher.on_broken_frame(error)


class _CallIds:
    """Ids of tool calls, made unique: the SDK ends the session when one comes again, or is empty.

    Some compatible servers count the calls of each response anew.
    """

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def unique(self, call_id: str) -> str:
        """An id that no call had before, the provider's own if it can be."""
        name, count = call_id or "call", 1
        while name in self._seen:
            count += 1
            name = f"{call_id or 'call'}_{count}"
        self._seen[name] = call_id
        return name

    def original(self, unique: str) -> str:
        """The provider's own id of a call."""
        return self._seen.get(unique, unique)


class _QuietModel(OpenAIRealtimeWebSocketModel):
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


def silence_tracing() -> None:
    """Keep the SDK's trace exporter from talking to the provider behind the user's back."""
    set_tracing_disabled(True)
