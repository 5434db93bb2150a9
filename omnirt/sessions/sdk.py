"""The voice SDK's model, wrapped: every hazard of its transport is met here and in `quiet_model`.

Importing this module imports the SDK (seconds); the rest of the package imports it late, after the warm-up.
Private names of the SDK used: `_handle_ws_event`, `_emit_event`, `_create_websocket_connection` and
`_websocket`. Where one is missing the stock path takes over: an event of ours costs 10 ms more, the SDK
truncates by its own clock, audio is compressed, a close has no code.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol, TypeAlias, cast

import msgspec
from agents.realtime import RealtimeModel, RealtimeModelConfig, RealtimeModelListener
from agents.realtime.config import RealtimeSessionModelSettings
from agents.realtime.model_events import RealtimeModelEvent, RealtimeModelToolCallEvent
from agents.realtime.model_inputs import (
    RealtimeModelSendAudio,
    RealtimeModelSendEvent,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendToolOutput,
)
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel
from pybase64 import b64encode
from websockets.exceptions import ConnectionClosed

from omnirt.sessions import quiet_model as stock
from omnirt.sessions.audio_socket import AudioSocket
from omnirt.sessions.ids import CallIds, ConnectionIds
from omnirt.sessions.reading import writable
from omnirt.specs.build import sdk_settings

log = logging.getLogger(__name__)

Settings: TypeAlias = RealtimeSessionModelSettings

MAX_REFUSALS = 64
"""Refused calls whose answers wait for the connection; with more, its reader waits too."""
_TO_SESSION = frozenset({"turn_started", "turn_ended", "usage", "function_call"})
"""What the SDK's session needs of the model's events; the rest only fills its unbounded queue."""


def _append(data: bytes) -> bytes:
    return b'{"type":"input_audio_buffer.append","audio":"%b"}' % b64encode(data)


class Watcher(Protocol):
    """Gets what the provider sends, at once and in order; nothing waits in the SDK's queue.

    Attributes:
        raw: Whether audio deltas are wanted as they came, too.
    """

    raw: bool

    def on_server_event(self, event: Mapping[str, Any]) -> None:
        """Every event of the provider as it came; audio deltas too, if they are wanted raw."""

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

    def on_tool_output(self, tool_call_id: str, output: str) -> None:
        """A tool's output is about to go upstream."""

    def on_tool_told(self, tool_call_id: str, respond: bool) -> None:
        """It went upstream."""

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
        self._calls = CallIds()
        self._refusals: set[asyncio.Task[None]] = set()
        self._ids = ConnectionIds()
        self._options: RealtimeModelConfig = {}
        self.up = asyncio.Event()
        """Set while inputs may go upstream: not before the model knows the talk so far."""
        self._inner = self._make()

    def _make(self) -> OpenAIRealtimeWebSocketModel:
        quiet = all(hasattr(OpenAIRealtimeWebSocketModel, name) for name in stock.QUIET_NAMES)
        model = stock.QuietModel if quiet else OpenAIRealtimeWebSocketModel
        inner = model(
            transport_config={
                "ping_interval": stock.PING_INTERVAL_S,
                "ping_timeout": stock.PING_INTERVAL_S,
                "max_size": stock.MAX_FRAME_BYTES,
            }
        )
        inner.add_listener(self)
        if isinstance(inner, stock.QuietModel):
            inner.own_ids = self._ids.event
            if not self._watcher.raw:
                inner.take_audio = self._take_audio if self._ids.differ else self._watcher.on_audio
        return inner

    def _take_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        self._watcher.on_audio(self._ids.ours(response_id), self._ids.ours(item_id), content_index, data)

    async def connect(self, options: RealtimeModelConfig) -> None:
        """Open the socket and send the settings; does not wait for the provider's answer."""
        self._options = options
        settings = sdk_settings(options.get("initial_model_settings", {}))
        await self._inner.connect({**options, "initial_model_settings": cast("Settings", settings)})
        socket = getattr(self._inner, "_websocket", None)
        if socket is not None:
            socket.close_timeout = stock.CLOSE_TIMEOUT_S

    async def reconnect(self, headers: Mapping[str, str], url: str, used: Collection[str]) -> None:
        """Open another socket in place of the lost one; the SDK's session goes on as it was.

        Args:
            headers, url: Of the endpoint.
            used: Ids of the talk so far: the next connection may use them for something else.
        """
        self._ids.next_connection(used)
        old, self._inner = self._inner, self._make()
        old.remove_listener(self)
        await _drop(old)
        await self.connect({**self._options, "url": url, "headers": dict(headers)})

    def add_listener(self, listener: RealtimeModelListener) -> None:
        """The SDK's session adds itself."""
        self._listeners.append(listener)

    def remove_listener(self, listener: RealtimeModelListener) -> None:
        """The SDK's session leaves."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def close(self) -> None:
        """Close the socket; waits for the peer, up to 10 s."""
        for task in self._refusals:
            task.cancel()
        await self._inner.close()

    def abort(self) -> None:
        """Drop the socket without a word, for a peer that does not answer the close."""
        _abort(self._inner)

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
            await self.up.wait()
            self._watcher.on_tool_output(call_id, event.output)
            call = dataclasses.replace(event.tool_call, call_id=self._ids.theirs(call_id))
            await self._send(dataclasses.replace(event, tool_call=call, start_response=False))
            self._watcher.on_tool_told(call_id, event.start_response)
            return
        if isinstance(event, RealtimeModelSendSessionUpdate):
            settings = sdk_settings(self._watcher.session_settings(event.session_settings))
            event = dataclasses.replace(event, session_settings=cast("Settings", settings))
        await self._send(event)

    async def _send(self, event: RealtimeModelSendEvent) -> None:
        try:
            await self._inner.send_event(event)
        except (ConnectionClosed, AssertionError) as lost:
            # An assertion is what the stock model says after its close. Whoever reads is told of it.
            log.debug("not sent, the connection is gone: %s", type(lost).__name__)

    def post_audio(self, data: bytes) -> bool:
        """Append audio at the end of this turn of the loop; False if it has to wait for the socket."""
        socket = getattr(self._inner, "_websocket", None)
        return isinstance(socket, AudioSocket) and socket.post(_append(data))

    async def send_audio(self, data: bytes) -> None:
        """Append audio, past the SDK's types: half the cost of a chunk."""
        socket = getattr(self._inner, "_websocket", None)
        if socket is None:
            await self._send(RealtimeModelSendAudio(audio=data, commit=False))
            return
        try:
            await socket.send(_append(data), text=True)
        except ConnectionClosed as lost:
            log.debug("not sent, the connection is gone: %s", type(lost).__name__)

    async def send_client_event(self, event: Mapping[str, Any]) -> None:
        """Send an event of ours past the SDK's types, and past its gate, which one lost answer can block."""
        told = self._ids.upward(event)
        if told is None:
            return
        event = told
        socket = getattr(self._inner, "_websocket", None)
        if socket is not None:
            try:
                await socket.send(msgspec.json.encode(event), text=True)
            except ConnectionClosed as lost:
                log.debug("not sent, the connection is gone: %s", type(lost).__name__)
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
        if self.up.is_set() or len(self._refusals) >= MAX_REFUSALS:
            await self.send_event(output)
            return
        # What is read next may be what the connection waits for.
        task = asyncio.create_task(self.send_event(output))
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)

    async def _to_session(self, event: RealtimeModelEvent) -> None:
        for listener in list(self._listeners):
            await listener.on_event(event)

    def _failed(self, error: Exception) -> None:
        received = getattr(error, "rcvd", None)
        if hasattr(error, "rcvd") or isinstance(error, OSError):
            self._watcher.on_disconnect(getattr(received, "code", None), getattr(received, "reason", ""))
        else:
            self._watcher.on_broken_frame(error)


def _abort(model: OpenAIRealtimeWebSocketModel) -> None:
    transport = getattr(getattr(model, "_websocket", None), "transport", None)
    if transport is not None:
        transport.abort()


async def _drop(model: OpenAIRealtimeWebSocketModel) -> None:
    """Let go of a model whose connection is lost, or to be given up; within a bound."""
    _abort(model)
    try:
        async with asyncio.timeout(stock.CLOSE_TIMEOUT_S):
            await model.close()
    except Exception as error:  # noqa: BLE001 - it is gone in any case
        log.debug("closing a lost connection: %s", type(error).__name__)
