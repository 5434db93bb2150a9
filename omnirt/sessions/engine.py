"""The running part of a session: provider link, conversation core, recorder and sink, joined.

What the provider sends is read into the conversation at once; what follows from it is carried out in order:
events to the recorder and the sink, client events through one sender task. Inputs come from `upstream`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.methods import SessionInterruptResult
from omnirt.protocol.types import CloseReason, ErrorInfo, Event
from omnirt.resampling import Resampler
from omnirt.sessions import words
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.guard_checks import Checker
from omnirt.sessions.guardrails import Gate
from omnirt.sessions.heard import reported
from omnirt.sessions.inbox import EventsEntry
from omnirt.sessions.interrupts import interrupt
from omnirt.sessions.kept import Kept
from omnirt.sessions.link import Handshake, ProviderLink
from omnirt.sessions.losses import EXPLAINS_S, Loss, loss, unusable
from omnirt.sessions.outputs import GuardrailCheck, Interruption, PartHeard, Upward
from omnirt.sessions.reading import dig, is_shallow
from omnirt.sessions.signal import Signal
from omnirt.sessions.sink import EventSink
from omnirt.sessions.tools import ToolRunner
from omnirt.storage import Heard, RunRecorder

log = logging.getLogger(__name__)

MAX_UPWARD = 1024
"""Client events that wait for the socket; a provider that takes none of so many is gone."""

Ended = Callable[[CloseReason, ErrorInfo | None], None]


class Engine:
    """Joins the parts of one run; the SDK's watcher (`sessions.sdk.Watcher`).

    Args:
        talk: The conversation core.
        sink: Where events go.
        recorder: What stores audio, items and usage.
        raw: Whether the provider's events are passed on as they come.
        hide: Masks our own secrets in an event: some servers tell a client its key again.
        ended: Called when the connection is gone.
        refused: Makes of a provider's error at the start the one that the host gets.
    """

    def __init__(
        self,
        talk: Conversation,
        sink: EventSink,
        recorder: RunRecorder,
        *,
        raw: bool,
        hide: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        ended: Ended,
        refused: Callable[[Mapping[str, Any]], OmnirtError],
    ) -> None:
        self.talk = talk
        self.link: ProviderLink
        self.tools: ToolRunner
        self.gate = Gate(talk, self._play)
        self.checker: Checker
        self.spoke = False
        """Whether the provider made audio: from then on it refuses another voice."""
        self.kept: Kept | None = None
        """What goes upstream again after a loss, if the session goes on then."""
        self.on_loss: Callable[[Loss], None] | None = None
        self.expires_at: float | None = None
        """When the provider ends the session, by our clock, as far as it told."""
        self.handshake = Handshake(refused)
        self._refused = refused
        self._last_error: tuple[Mapping[str, Any], float] = {}, 0.0
        self.heard_at = 0.0
        """When the provider said something last."""
        self.agent_tools: Callable[[], frozenset[str]] = frozenset
        self.overlay: Callable[[], Mapping[str, Any]] = dict
        self.sink = sink
        self._recorder = recorder
        self.raw = raw
        self.look_at_player: Callable[[], None] = lambda: None
        """Takes the position of a loudspeaker of ours."""
        self.incoming: Resampler | None = None
        """Converts the host's audio, where its rate is not the provider's."""
        self._hide = hide
        self._ended = ended
        self.changed = Signal()
        self._upward: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_UPWARD)

    # -- what the provider sends (Watcher) ---------------------------------------------------------------

    def on_server_event(self, event: Mapping[str, Any]) -> None:
        """Every event of the provider, at once and in order."""
        self.heard_at = now = time.monotonic()
        if self.raw:
            whole = self._hide(event) if is_shallow(event) else {"type": event.get("type")}
            self.talk.emit(ev.RealtimeRaw, now, event=whole)
        if event.get("type") == "response.output_audio.delta":
            return  # comes decoded, next
        event = self._hide(event)
        self._note(event, now)
        if not self.handshake.done:
            self.handshake.server_event(event)
        elif event.get("type") == "error" and (end := unusable(self._last_error[0], self._refused)):
            self._ended("error", end)
            return
        if self.kept is not None:
            self.kept.server_event(event)
        self.gate.server_event(event, now)
        self.carry_out()
        self.changed.notify()

    def _note(self, event: Mapping[str, Any], now: float) -> None:
        """What is said once a connection, and explains its end."""
        if event.get("type") == "error":
            error = event.get("error")
            self._last_error = error if isinstance(error, Mapping) else {}, now
            self.talk.items.seeds.refused(str(self._last_error[0].get("event_id")))
        elif event.get("type") == "response.done":
            error = dig(event, "response", "status_details", "error")
            if isinstance(error, Mapping) or dig(event, "response", "status") == "completed":
                self._last_error = error if isinstance(error, Mapping) else {}, now
        elif event.get("type") == "session.created":
            expires_at = dig(event, "session", "expires_at")
            left_s = expires_at - time.time() if isinstance(expires_at, int | float) else 0
            self.expires_at = now + left_s if left_s > 0 else None

    def begin(self) -> None:
        """Another connection is about to be opened."""
        self._last_error = {}, 0.0
        self.handshake = Handshake(self._refused)
        self.spoke = False
        self.expires_at = None
        if self.incoming is not None:
            self.incoming.reset()  # what it has in it is sent again with what was lost

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        """A decoded chunk of the agent's speech."""
        self.spoke = True
        self.heard_at = time.monotonic()
        self.gate.audio(response_id, item_id, content_index, data, self.heard_at)
        self.carry_out()

    def on_judged(self, check: GuardrailCheck, tripped: Sequence[str], message: str) -> None:
        """What the output guardrails say of an answer."""
        self.gate.checked(check, tripped, message, time.monotonic())
        self.carry_out()
        self.changed.notify()

    def _play(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        self.talk.audio(response_id, item_id, content_index, data, time.monotonic())

    def host_audio(self, data: bytes) -> None:
        """The host's audio was accepted: it is stored before it goes upstream."""
        if self._recorder.keeps_host:
            self._recorder.host_audio(data, self.talk.at_ms(time.monotonic()))

    def interrupt(
        self, item_id: str | None, content_index: int | None, played_ms: int | None
    ) -> SessionInterruptResult:
        """Cancel and cut, at once."""
        self.look_at_player()
        done, cut = interrupt(self.talk, time.monotonic(), item_id, content_index, played_ms)
        self.carry_out()
        if cut is None:
            return SessionInterruptResult(interrupted=done)
        return SessionInterruptResult(interrupted=done, item_id=cut.part.item_id, heard_ms=cut.heard_ms)

    def playback(self, item_id: str, content_index: int, played_ms: int) -> None:
        """The host said how far its player is."""
        reported(self.talk, item_id, content_index, played_ms, time.monotonic())
        self.carry_out()

    def on_broken_frame(self, error: Exception) -> None:
        """A frame that is no event: told, and the talk goes on."""
        message = f"The provider sent a frame that cannot be read ({type(error).__name__}); it was skipped."
        self.talk.error(time.monotonic(), "provider_error", message)
        self.carry_out()

    def on_disconnect(self, code: int | None, reason: str) -> None:
        """The connection is gone."""
        if not self.handshake.done:
            self.handshake.closed(code, reason)
            return
        error, told_at = self._last_error
        recent = error if time.monotonic() - told_at < EXPLAINS_S else {}
        lost = loss(code, self.talk.mask(reason), recent, self._refused)
        if self.on_loss is not None and lost.recoverable:
            self.on_loss(lost)
        else:
            self._ended(lost.reason, lost.error)

    def on_sdk_failure(self, error: Exception | None) -> None:
        """The SDK's session ended by itself: without this, a session that nobody serves would stay."""
        name = "no exception" if error is None else type(error).__name__
        log.error("the voice SDK ended its session: %s", name)
        message = f"The voice SDK ended the session by itself ({name}); start it again."
        self._ended("error", ErrorInfo(kind="internal", message=message))

    def refused_call(self, tool_call_id: str, name: str, arguments: str) -> str | None:
        """What the model is told of a call that cannot run; None for one that can."""
        return self.tools.refused(tool_call_id, name, arguments, self.agent_tools())

    def on_tool_output(self, tool_call_id: str, output: str) -> None:
        """A tool's output is about to go upstream."""
        if self.kept is not None:
            item = {"type": "function_call_output", "call_id": tool_call_id, "output": output}
            self.kept.events(EventsEntry([{"type": "conversation.item.create", "item": item}]))

    def on_tool_told(self, tool_call_id: str, respond: bool) -> None:
        """It went upstream: the last one of a response asks for the next."""
        now = time.monotonic()
        self.talk.tool_turns.output_sent(self.talk, tool_call_id, now, respond=respond)
        self.talk.pump(now)
        self.carry_out()
        self.changed.notify()

    def session_settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The SDK's settings with the session's own over them, so that a handoff or update undoes none."""
        return {**settings, **self.overlay()}

    # -- carrying out ------------------------------------------------------------------------------------

    def carry_out(self) -> None:
        """Do what the conversation says, in order."""
        for output in self.talk.take():
            match output:
                case Event():
                    self._record(output)
                    self.sink.put(output)
                case Upward():
                    self._send_up(output.event)
                case Interruption():
                    for event in output.events:
                        self._record(event)
                    self.sink.interrupt(output.item_ids, output.events)
                case PartHeard():
                    heard = Heard(output.heard_ms, output.played_at_ms, output.interrupted)
                    self._recorder.audio_end(output.item_id, output.content_index, heard)
                case GuardrailCheck():
                    self.checker.start(output)

    def _record(self, event: Event) -> None:
        match event:
            case ev.RealtimeAudio():
                self._recorder.audio(event.item_id, event.content_index, event.audio, event.at_ms)
            case ev.RealtimeAudioEnd():
                file = self._recorder.audio_end(event.item_id, event.content_index)
                if file is not None:
                    event.file = str(file.path)
            case ev.RealtimeItemAdded() | ev.RealtimeItemUpdated():
                self._recorder.item(words.so_far(self.talk, event.item))
            case ev.RealtimeItemRemoved():
                self._recorder.remove_item(event.item_id)
            case ev.RealtimeUsage():
                self._recorder.usage(self.talk.usage)
            case ev.RealtimeHandoff():
                self._recorder.agent(event.to_agent)
            case _:
                pass
        self._recorder.told(event)

    def _send_up(self, event: dict[str, Any]) -> None:
        try:
            self._upward.put_nowait(event)
        except asyncio.QueueFull:
            message = "The provider takes no more events; the session is over."
            self._ended("connectionLost", ErrorInfo(kind="provider_unreachable", message=message))

    async def send_loop(self) -> None:
        """Send what the conversation wants to say to the provider; never behind the host's inputs."""
        while True:
            event = await self._upward.get()
            await self.link.send_event(event)
            self._upward.task_done()

    async def carry_up(self) -> None:
        """Carry out, and let it go upstream before the next input: a response answers what came before it."""
        self.carry_out()
        await self._upward.join()

    def save_words(self) -> None:
        """Store the words that came since the last time: a kill must not take them."""
        for item in words.unsaved(self.talk):
            self._recorder.item(item)
