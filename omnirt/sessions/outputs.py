"""What a session has to say, in order: events for the host, client events for the provider.

The first event of a run is `connected`: what comes before is held back, and told after it. The last is
`realtime.closed`: what comes after is dropped. No I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from msgspec import UNSET

from omnirt.protocol import events as ev
from omnirt.protocol.types import AudioFormat, CloseReason, ErrorInfo, Event
from omnirt.sessions.answers import Answer

E = TypeVar("E", bound=Event)

MAX_EARLY = 256
"""What a provider sends before the session is connected is kept up to this number, the latest."""


@dataclass(frozen=True)
class Upward:
    """An event for the provider, in its own spelling."""

    event: dict[str, Any]


@dataclass(frozen=True)
class Interruption:
    """Queued audio of these items is dropped, and the events go before all else of the session."""

    item_ids: frozenset[str]
    events: Sequence[Event]


@dataclass(frozen=True)
class PartHeard:
    """It is known how much of a part of the agent's audio was heard; for the storage."""

    item_id: str
    content_index: int
    heard_ms: int
    played_at_ms: int | None
    interrupted: bool


@dataclass(frozen=True)
class GuardrailCheck:
    """The words of an answer so far are to be checked; the verdict goes to `Gate.checked`."""

    answer: Answer
    text: str


Output = Event | Upward | Interruption | PartHeard | GuardrailCheck


@dataclass(frozen=True)
class Run:
    """Which run this is, and its audio: `bytes_per_ms` of the output format."""

    session_id: str
    run_id: str
    audio_format: AudioFormat
    bytes_per_ms: int


class Outputs:
    """The outputs of one run; `Conversation` adds what they follow from."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.started_s = 0.0
        """When the run started, by the same clock as `now`."""
        self._outputs: list[Output] = []
        self._begun = False
        self.over = False
        """Whether the end was told."""

    def at_ms(self, now: float) -> int:
        """Milliseconds since the start of the run."""
        return max(0, round((now - self.started_s) * 1000))

    def make(self, event: type[E], now: float, /, **fields: Any) -> E:
        """An event of this run."""
        return event(session_id=self.run.session_id, run_id=self.run.run_id, at_ms=self.at_ms(now), **fields)

    def push(self, output: Output) -> None:
        """Take an output; after the end of the run nothing is."""
        if not self.over:
            self._outputs.append(output)

    def emit(self, event: type[Event], now: float, /, **fields: Any) -> None:
        """Tell the host."""
        self.push(self.make(event, now, **fields))

    def send(self, event: dict[str, Any]) -> None:
        """Tell the provider."""
        self.push(Upward(event))

    def take(self) -> list[Output]:
        """What is to be carried out, in order; nothing before the session is connected."""
        if not self._begun:
            del self._outputs[:-MAX_EARLY]
            return []
        outputs, self._outputs = self._outputs, []
        return outputs

    def error(self, now: float, kind: str, message: str, *, retryable: bool = False, **fields: Any) -> None:
        """A `realtime.error` that does not end the session."""
        self.emit(
            ev.RealtimeError, now, kind=kind, message=message, retryable=retryable, fatal=False, **fields
        )

    def flow(
        self,
        now: float,
        direction: Literal["input", "storage"],
        dropped_ms: int,
        queued_bytes: int,
        item_id: str | None,
        from_ms: int,
    ) -> None:
        """Audio that a queue of ours could not take, and that is lost there; 0 ms are the warning of it."""
        self.emit(
            ev.RealtimeFlow,
            now,
            direction=direction,
            lost=dropped_ms > 0,
            dropped_ms=dropped_ms,
            queued_bytes=queued_bytes,
            item_id=UNSET if item_id is None else item_id,
            from_ms=from_ms if dropped_ms else UNSET,
        )

    def begin(self, now: float) -> None:
        """The first event of the run, and after it all that came before."""
        self._begun = True
        early, self._outputs = self._outputs, []
        self.emit(ev.RealtimeState, now, state="connected")
        for output in early:
            if isinstance(output, Event):
                output.at_ms = self.at_ms(now)  # which only rises
            self.push(output)

    def finish(self, now: float, reason: CloseReason, error: ErrorInfo | None) -> None:
        """The last event of the run; the provider is told nothing any more."""
        self._outputs = [output for output in self._outputs if not isinstance(output, Upward)]
        self.emit(ev.RealtimeClosed, now, reason=reason, error=UNSET if error is None else error)
        self.over = True
