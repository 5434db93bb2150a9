"""The conversation core: what the host is told and what goes upstream, for all that happens in a session.

Sans-IO: no socket, no clock, no task. Every method takes `now` (seconds of one monotonic clock); what follows
from it are outputs (`sessions.outputs`), which the session carries out in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from omnirt.protocol import events as ev
from omnirt.protocol.types import CloseReason, ErrorInfo, Item, ResponseStatus, SessionState, Usage
from omnirt.sessions import heard, part_ends
from omnirt.sessions.items import ItemLedger
from omnirt.sessions.outputs import Outputs, Run
from omnirt.sessions.playback import Part, Playback
from omnirt.sessions.rates import Outgoing
from omnirt.sessions.responses import MAX_RUNNING, OWN_ID, Response, ResponseLedger, SeriesKind
from omnirt.sessions.tool_turns import ToolTurns
from omnirt.sessions.turns import Turns
from omnirt.sessions.usage import added


class Conversation(Outputs):
    """All that a session knows of its talk; see the module's first lines."""

    def __init__(self, run: Run, agent: str, playback: Playback) -> None:
        super().__init__(run)
        self.agent = agent
        self.turns = Turns()
        self.tool_turns = ToolTurns()
        self.playback = playback
        self.heard = heard.HeardWords()
        self.items = ItemLedger()
        self.responses = ResponseLedger()
        self.usage = Usage()
        self.interrupts_on_speech = True
        self.state: SessionState = "starting"
        self.speech_ended_at: float | None = None
        self.mask: Callable[[str], str] = str
        """Hides secrets in what the provider says: some echo the key they refuse."""
        self.outgoing: Outgoing | None = None
        """Converts the agent's audio, where the host wants another rate than the provider's."""
        self.away = False  # while there is no connection: nothing is asked for then
        self.reconnects = 0
        self._closing = False

    def handed_off(self, from_agent: str, to_agent: str, now: float) -> None:
        """Another agent answers from here on."""
        self.agent = to_agent
        self.emit(ev.RealtimeHandoff, now, from_agent=from_agent, to_agent=to_agent)

    # -- state -------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """The provider answered the settings: the first event of the run."""
        self.state = "connected"
        self.begin(now)
        self.sync_state(now)

    def sync_state(self, now: float) -> None:
        """Tell the state when it changed; it follows from what is going on and is stored nowhere else."""
        state = self._derived_state()
        if state != self.state and self.state != "starting":
            self.state = state
            self.emit(ev.RealtimeState, now, state=state)

    def _derived_state(self) -> SessionState:
        if self._closing:
            return "closing"
        if self.away:
            return "reconnecting"
        if any(r.first_audio_at is not None and not r.muted for r in self.responses.running.values()):
            return "speaking"
        if self.turns.user_speaking:
            return "userSpeaking"
        return "thinking" if self.turns.thinking() else "listening"

    # -- responses ---------------------------------------------------------------------------------------

    def ask(self, now: float, instructions: str | None = None) -> None:
        """The host wants a response."""
        self.turns.ask(now, instructions)
        self.pump(now)

    def pump(self, now: float) -> None:
        """Send the next `response.create` if it is its turn."""
        ask = None if self.away else self.turns.next_create(now)
        if ask is not None:
            create: dict[str, Any] = {"type": "response.create", "event_id": ask.event_id}
            if ask.instructions is not None:
                create["response"] = {"instructions": ask.instructions}
            self.send(create)
        self.sync_state(now)

    def response_started(self, response_id: str, now: float) -> Response:
        """`response.created`, or the first sign of a response from a server that does not send it."""
        running = self.responses.find(response_id)
        if running is not None:
            return running
        while len(self.responses.running) >= MAX_RUNNING:
            self.give_up(next(iter(self.responses.running)), now, "incomplete")
        response_id = response_id or self.responses.own_id()
        ask = self.turns.created(response_id)
        requested = ask.sent_at if ask else None
        spoken = self.speech_ended_at
        if requested is not None and spoken is not None and spoken > requested:
            spoken = None  # of a turn that ended since: the next response answers it
        else:
            self.speech_ended_at = None
        response = Response(response_id, self.agent, requested, spoken)
        self.responses.start(response)
        self.emit(ev.RealtimeResponseStart, now, response_id=response_id)
        self.emit(ev.RealtimeAgentStart, now, agent=response.agent)
        if ask is not None and ask.cancelled:
            self.cancel_response(now)
        self.sync_state(now)
        return response

    def response_ended(
        self, response_id: str, now: float, status: ResponseStatus, usage: Usage | None = None, **fields: Any
    ) -> None:
        """`response.done`: closes all that is open in it, exactly once."""
        response = self.responses.running.get(response_id)
        if response is None:
            return
        if response.stopped:
            status, fields["reason"] = "cancelled", response.stopped
        part_ends.close_parts(self, now, response_id, complete=status == "completed")
        for series in self.responses.open_series(response_id):
            self.words_done(series.item_id, series.content_index, series.kind, None, now)
        for item in self.items.cut_short(response.items) if response.stopped else ():
            self.item_changed(item, now, new=False)
        self.responses.end(response_id, status)
        heard.response_over(self, response_id)
        self.turns.done(response_id)
        latency = response.latency()
        self.emit(ev.RealtimeAgentEnd, now, agent=response.agent)
        self.emit(
            ev.RealtimeResponseEnd,
            now,
            response_id=response_id,
            status=status,
            usage=UNSET if usage is None else usage,
            latency=UNSET if latency == ev.Latency() else latency,
            **fields,
        )
        if usage is not None:
            self.count(usage, now)
        self.pump(now)

    def give_up(self, response_id: str, now: float, status: ResponseStatus, **fields: Any) -> None:
        """End a response whose end the provider does not tell, nor that of its items."""
        response = self.responses.running.get(response_id)
        self.response_ended(response_id, now, status, **fields)
        for item in self.items.cut_short(response.items) if response is not None else ():
            self.item_changed(item, now, new=False)

    def count(self, usage: Usage, now: float) -> None:
        """Add to the running totals and tell them."""
        self.usage = added(self.usage, usage)
        self.emit(ev.RealtimeUsage, now, **msgspec.structs.asdict(self.usage))

    # -- words and items ---------------------------------------------------------------------------------

    def words_done(
        self,
        item_id: str,
        content_index: int,
        kind: SeriesKind,
        text: str | None,
        now: float,
        error: ErrorInfo | None = None,
    ) -> None:
        """The end of a series of deltas, told once; `text` None takes the sum of the deltas."""
        if self.responses.was_said(item_id, content_index, kind):
            return
        text = self.heard.final((item_id, content_index), text) if kind == "transcript" else text
        series = self.responses.series.get((item_id, content_index, kind))
        item = self.items.get(item_id)
        user = series.role == "user" if series else item is not None and item.role == "user"
        final = self.responses.close_series(item_id, content_index, kind, text)
        done = self.make(
            ev.RealtimeTextDone if kind == "text" else ev.RealtimeTranscriptDone,
            now,
            item_id=item_id,
            content_index=content_index,
            role="user" if user else "assistant",
            text=final,
            error=UNSET if error is None else error,
        )
        self.push(heard.with_heard(self, done))
        changed = self.items.transcribed(item_id, content_index, final) if final else None
        if changed is not None and user:
            self.item_changed(changed, now, new=False)
        elif changed is not None:
            heard.words_known(self, changed, now)

    def item_changed(self, item: Item, now: float, *, new: bool) -> None:
        """Tell a new or changed item."""
        self.emit(ev.RealtimeItemAdded if new else ev.RealtimeItemUpdated, now, item=item)

    # -- audio -------------------------------------------------------------------------------------------

    def audio(self, response_id: str, item_id: str, content_index: int, data: bytes, now: float) -> None:
        """A chunk of the agent's speech; one that is stale goes nowhere."""
        if self.over or not data or self.responses.is_over(response_id):
            return
        running = self.responses.find(response_id)
        item_id = item_id or (running.own_item if running is not None else "")
        part = self.playback.get(item_id, content_index)
        if part is not None and (part.cut or part.ended):
            return
        response = self.response_started(response_id, now)
        if response.muted:
            return
        response_id, item_id = response.response_id, item_id or response.own_item
        response.items.add(item_id)
        if response.first_audio_at is None:
            response.first_audio_at = now
            self.sync_state(now)
        if self.outgoing is not None:
            data = self.outgoing.convert((item_id, content_index), data)
        if part is None:
            part = self.playback.generated(response_id, item_id, content_index, 0, now)
        self.more_audio(part, data, now)

    def more_audio(self, part: Part, data: bytes, now: float) -> None:
        """Tell audio of a part, in the host's format and at its rate."""
        if not data:
            return
        offset_ms = part.generated_ms
        self.playback.generated(part.response_id, *part.key, len(data), now)
        run = self.run
        audio = ev.RealtimeAudio(  # not by `emit`: there is nothing as frequent
            session_id=run.session_id,
            run_id=run.run_id,
            at_ms=self.at_ms(now),
            response_id=part.response_id,
            item_id=part.item_id,
            content_index=part.content_index,
            audio=data,
            offset_ms=offset_ms,
            delta_ms=part.generated_ms - offset_ms,
            audio_format=run.audio_format,
        )
        self.push(audio)

    def cancel_response(self, now: float, only: str | None = None) -> bool:
        """Cancel the running response upstream, or the one asked for as it begins; no audio of it follows."""
        targets = self.turns.cancel_targets(now, only)
        for response_id, event_id in targets:
            cancel = {"type": "response.cancel", "event_id": event_id}
            if not response_id.startswith(OWN_ID):
                cancel["response_id"] = response_id
            self.send(cancel)
            if response_id in self.responses.running:
                self.responses.running[response_id].muted = True
        return bool(targets)

    # -- end ---------------------------------------------------------------------------------------------

    def closing(self, now: float) -> None:
        """The session is being closed."""
        self._closing = True
        heard.settle_all(self, now)
        self.sync_state(now)

    def close(self, now: float, reason: CloseReason, error: ErrorInfo | None = None) -> None:
        """End all that was started, then tell the end: the last event."""
        self.end_all(now)
        self.finish(now, reason, error)

    def end_all(self, now: float) -> None:
        """End all that was started."""
        self._closing = True
        part_ends.close_parts(self, now)
        for response_id in list(self.responses.running):
            self.give_up(response_id, now, "cancelled", reason="session_closed")
        for series in self.responses.open_series():
            self.words_done(series.item_id, series.content_index, series.kind, None, now)
        heard.settle_all(self, now)
        if self.turns.user_speaking:
            self.turns.user_speaking = False
            self.emit(ev.RealtimeInputSpeechEnd, now)
