"""Whose turn it is: which responses were asked for, are running, or are still owed; when the talk is idle.

The daemon alone issues `response.create`, one at a time and only when no response runs, because the SDK's own
gate can be blocked for good by one unanswered request. No I/O and no clock: times are seconds of one
monotonic clock that the caller hands in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

CREATE_TIMEOUT_S = 12.0
"""A `response.create` that gets neither an answer nor an error in this time is given up.

Longer than it takes to notice a half-open connection: after that it is asked again on the next one.
"""
SPEECH_REPORT_S = 2.0
"""How long after the last audio went upstream the provider may still report speech (PROTOCOL section 3)."""
VAD_RESPONSE_S = 10.0
"""How long after the end of speech the provider may take to begin the response it owes."""
CANCEL_TIMEOUT_S = 5.0
"""A cancelled response that is not reported done in this time counts as ended."""

MAX_ASKS = 256
"""Asks that wait; beyond it the last one answers for the next too, as what they are about is said already."""
MAX_COMMITS = 256
"""Commits of the host that the provider answered in no way."""


@dataclass
class Ask:
    """One request for a response; `event_id` is set once it went upstream."""

    asked_at: float
    instructions: str | None = None
    event_id: str = ""
    sent_at: float = 0.0
    cancelled: bool = False


@dataclass
class _Commit:
    """A commit of the host's that the provider has not answered."""

    sent_at: float
    asked: bool
    """Whether the response was asked for with it."""
    answered: bool = False
    """Whether a response that the provider began by itself has ended since."""


@dataclass
class Turns:
    """The ledger of asked, running and owed responses of one session."""

    server_vad: bool = True
    """Whether the provider detects turns by itself."""
    creates_response: bool = True
    """Whether the provider answers a detected turn without being asked."""
    asks: deque[Ask] = field(default_factory=deque)
    in_flight: Ask | None = None
    active: dict[str, None] = field(default_factory=dict)
    """Responses that run; one, unless the provider begins some by itself."""
    user_speaking: bool = False
    inputs: int = 0
    """What the host sent so far; of audio, only where the provider does not tell whether somebody spoke."""
    tools: list[tuple[str, str]] = field(default_factory=list)
    """Tool calls without output upstream: (tool call id, response id); some servers repeat the ids."""
    cancel_sent: dict[str, float] = field(default_factory=dict)
    _counter: int = 0
    _speech_deadline: float = 0.0
    _owed_until: float = 0.0
    _commit_until: float = 0.0
    _vad_item: str = ""
    _commits: dict[str, _Commit] = field(default_factory=dict)
    """By event id, in order."""
    _own: set[str] = field(default_factory=set)
    """Those of the active responses that the provider began by itself."""
    _vad_committed_at: float | None = None
    _answered: tuple[str, Ask] | None = None
    """The response that seemed to answer an ask; an error for it may still tell otherwise."""
    _blocked_at: float | None = None
    """Since when the provider refuses asks for the sake of a response that we know nothing of."""

    def event_id(self, what: str) -> str:
        """A fresh id for an event of ours, by which its error is known."""
        self._counter += 1
        return f"omnirt_{what}_{self._counter}"

    def ask(self, now: float, instructions: str | None = None) -> None:
        """A response is wanted."""
        if len(self.asks) < MAX_ASKS:
            self.asks.append(Ask(now, instructions))

    def next_create(self, now: float) -> Ask | None:
        """The ask that may go upstream now; the caller sends it."""
        if self.active or self.in_flight is not None or self._blocked_at is not None or not self.asks:
            return None
        ask = self.asks.popleft()
        while ask.instructions is None and self.asks and self.asks[0].instructions is None:
            # One response answers all that came in meanwhile: a second one would have nothing to say.
            self.asks.popleft()
        ask.event_id, ask.sent_at = self.event_id("create"), now
        self.in_flight = ask
        return ask

    def created(self, response_id: str) -> Ask | None:
        """`response.created`: the ask that it answers, or None when the provider began by itself."""
        ask, self.in_flight = self.in_flight, None
        self.active[response_id] = None
        self._blocked_at = None
        if ask is None:
            self._owed_until = 0.0
            self._own.add(response_id)
        else:
            self._answered = response_id, ask
        return ask

    def done(self, response_id: str) -> None:
        """`response.done`."""
        self.cancel_sent.pop(response_id, None)
        self.active.pop(response_id, None)
        self._blocked_at = None
        if response_id in self._own:
            self._own.discard(response_id)
            for commit in self._commits.values():
                commit.answered = True
        if self._answered is not None and self._answered[0] == response_id:
            self._answered = None

    def refused(self, event_id: str, code: str, now: float) -> bool:
        """An error for an event of ours; True when it is repaired or harmless, so the host is not told."""
        ask = self._refused_ask(event_id)
        if ask is not None:
            busy = code == "conversation_already_has_active_response"
            if busy and not ask.cancelled:
                self.asks.appendleft(ask)
                if not self.active:
                    # Asking again at once would be refused again, and again.
                    self._blocked_at = now
            return busy
        if event_id in self._commits:
            commit = self._commit_over(event_id)
            if code != "input_audio_buffer_commit_empty":
                return False
            # There was nothing to commit; the response is wanted all the same.
            if not commit.asked and not self._is_answered(commit, now):
                self.ask(now)
            return True
        return event_id.startswith(("omnirt_cancel_", "omnirt_truncate_", "omnirt_delete_"))

    def _refused_ask(self, event_id: str) -> Ask | None:
        ask = self.in_flight
        if ask is not None and ask.event_id == event_id:
            self.in_flight = None
            return ask
        if self._answered is not None and self._answered[1].event_id == event_id:
            # The response that began meanwhile was the provider's own.
            self._own.add(self._answered[0])
            self._owed_until = 0.0
            ask, self._answered = self._answered[1], None
            return ask
        return None

    def audio_sent(self, now: float) -> None:
        """Audio went upstream: the provider may report speech for a while, if it detects any."""
        if self.server_vad:
            self._speech_deadline = now + SPEECH_REPORT_S
        else:
            self.inputs += 1

    def commit_sent(self, event_id: str, now: float) -> None:
        """The host ended the turn. Without turn detection the response is asked for at once."""
        self._speech_deadline = 0.0
        self._commits[event_id] = _Commit(now, asked=not self.server_vad)
        if len(self._commits) > MAX_COMMITS:
            del self._commits[next(iter(self._commits))]
        if self.server_vad:
            # Its own detection may commit first: only the provider's answer tells whose turn this becomes.
            self._commit_until = now + VAD_RESPONSE_S
        else:
            self.ask(now)

    def detection_off(self) -> None:
        """The provider detects no turns any more: it reports neither the end of speech nor new speech."""
        self.user_speaking = False
        self._speech_deadline = 0.0

    def cleared(self) -> None:
        """Uncommitted input was dropped."""
        self._speech_deadline = 0.0

    def speech_started(self) -> None:
        """`input_audio_buffer.speech_started`."""
        self.user_speaking = True
        self._vad_committed_at = None

    def speech_stopped(self, item_id: str, now: float) -> None:
        """`input_audio_buffer.speech_stopped`: from here on the provider owes a response."""
        self.user_speaking = False
        self._vad_item = item_id
        if self.creates_response:
            self._owed_until = now + VAD_RESPONSE_S

    def committed(self, item_id: str, now: float) -> None:
        """`input_audio_buffer.committed`, by the provider's turn detection or by our commit."""
        self.user_speaking = False
        if item_id and item_id == self._vad_item:
            self._vad_committed_at = now
        elif self._commits:
            commit = self._commit_over(next(iter(self._commits)))
            at = self._vad_committed_at
            # What is left of a turn just detected is its silence; later it is what the host wants heard.
            rest = at is not None and at > commit.sent_at - SPEECH_REPORT_S
            if not commit.asked and not (rest and self._is_answered(commit, now)):
                self.ask(now)

    def _is_answered(self, commit: _Commit, now: float) -> bool:
        """Whether the provider's own response to a turn that it detected is the one that a commit wants.

        It is when nobody spoke since, and the response was not over when the commit was sent.
        """
        if self._vad_committed_at is None or not self.creates_response:
            return False
        return commit.answered or bool(self._own) or now < self._owed_until

    def _commit_over(self, event_id: str) -> _Commit:
        commit = self._commits.pop(event_id)
        if not self._commits:
            self._commit_until = 0.0
        return commit

    def tool_called(self, tool_call_id: str, response_id: str) -> None:
        """The model called a tool in a response."""
        self.tools.append((tool_call_id, response_id))

    def tool_answered(self, tool_call_id: str, now: float, *, respond: bool) -> None:
        """A tool's output went upstream; the last one of a response asks for the answer to all of them."""
        answered = next((call for call in self.tools if call[0] == tool_call_id), None)
        if answered is not None:
            self.tools.remove(answered)
        if respond and not any(answered is not None and call[1] == answered[1] for call in self.tools):
            self.ask(now)

    def unanswered(self, now: float) -> list[Ask]:
        """What was asked for, or is owed, and was not answered whole; what was cancelled is not."""
        asks = [*self.asks] if self.in_flight is None else [self.in_flight, *self.asks]
        running = self.active.keys() - self.cancel_sent.keys()
        if not asks and (running or self._commits or now < self._owed_until):
            asks = [Ask(now)]
        return [Ask(now, ask.instructions) for ask in asks if not ask.cancelled]

    def cancel_targets(self, now: float, only: str | None = None) -> list[tuple[str, str]]:
        """(response id, event id) of each to cancel now; an ask in flight is cancelled as it begins."""
        if self.in_flight is not None and only is None:
            self.in_flight.cancelled = True
        targets = [name for name in self.active if name not in self.cancel_sent and only in (None, name)]
        self.cancel_sent.update(dict.fromkeys(targets, now))
        return [(response_id, self.event_id("cancel")) for response_id in targets]

    def overdue(self, now: float) -> tuple[Ask | None, list[str]]:
        """What was left unanswered too long: an ask (given up here), cancelled responses (to be ended)."""
        # The same sums as in `deadline`: whoever slept until then finds something.
        ask: Ask | None = None
        if self.in_flight is not None and now >= self.in_flight.sent_at + CREATE_TIMEOUT_S:
            ask, self.in_flight = self.in_flight, None
        elif self._blocked_at is not None and now >= self._blocked_at + CREATE_TIMEOUT_S:
            self._blocked_at = None
            ask = self.asks.popleft() if self.asks else None
        late = [rid for rid, sent in self.cancel_sent.items() if now >= sent + CANCEL_TIMEOUT_S]
        return ask, late

    def deadline(self) -> float | None:
        """When `overdue` has something to say, unless something happens before."""
        times = [sent + CANCEL_TIMEOUT_S for sent in self.cancel_sent.values()]
        if self.in_flight is not None:
            times.append(self.in_flight.sent_at + CREATE_TIMEOUT_S)
        if self._blocked_at is not None:
            times.append(self._blocked_at + CREATE_TIMEOUT_S)
        return min(times, default=None)

    def thinking(self) -> bool:
        """Whether a response is asked for or running, or a tool runs."""
        return bool(self.asks or self.in_flight or self.active or self.tools)

    def idle(self, now: float) -> bool:
        """Whether nothing is running, asked for or owed."""
        return not self.thinking() and not self.user_speaking and now >= self.idle_after()

    def idle_at(self, now: float) -> float | None:
        """When the talk is idle if nothing happens before; None while something has to happen first."""
        if self.thinking() or self.user_speaking:
            return None
        return max(now, self.idle_after())

    def idle_after(self) -> float:
        """The time until which the provider may still begin something by itself."""
        return max(self._speech_deadline, self._owed_until, self._commit_until)
