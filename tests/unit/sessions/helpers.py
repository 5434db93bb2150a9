"""A conversation core on a clock of the test's own: provider events in, what is told and sent out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, TypeVar

from omnirt.protocol.types import Event
from omnirt.sessions import interrupts, mapping
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.outputs import GuardrailCheck, Interruption, PartHeard, Run, Upward
from omnirt.sessions.playback import Cut, Playback
from omnirt.sessions.reading import content_index, text_id
from tests.support import provider_events as pe

E = TypeVar("E", bound=Event)

RUN = Run("s1", "run1", "pcm16", 48)


class Talk:
    """Feeds a conversation, and keeps what came of it.

    Attributes:
        now: The clock, in seconds; tests move it.
        told: Every event for the host, in the order in which it would leave.
        sent: Every client event for the provider.
        dropped: The items whose queued audio was dropped, one set for each interruption.
        heard: What the storage is told of each part.
        checks: Answers that guardrails are to check.
        unsent: Audio in ms that has not left, by item.
    """

    def __init__(self, *, connected: bool = True) -> None:
        self.now = 100.0
        self.told: list[Event] = []
        self.sent: list[dict[str, Any]] = []
        self.dropped: list[frozenset[str]] = []
        self.heard: list[PartHeard] = []
        self.checks: list[GuardrailCheck] = []
        self.unsent: dict[str, int] = {}
        self.core = Conversation(RUN, "greeter", Playback(48, lambda item, _index: self.unsent.get(item, 0)))
        self.core.started_s = self.now
        if connected:
            self.core.connected(self.now)
            self.collect()

    def collect(self) -> None:
        """Carry out what there is."""
        for output in self.core.take():
            match output:
                case Upward():
                    self.sent.append(output.event)
                case Interruption():
                    self.dropped.append(output.item_ids)
                    self.told += output.events
                case PartHeard():
                    self.heard.append(output)
                case GuardrailCheck():
                    self.checks.append(output)
                case _:
                    self.told.append(output)

    def feed(self, *events: Mapping[str, Any]) -> None:
        """Events of the provider; audio goes the way of the decoded audio."""
        for event in events:
            if event.get("type") == "response.output_audio.delta":
                response_id, item_id = text_id(event, "response_id"), text_id(event, "item_id")
                data = base64.b64decode(event["delta"])
                self.core.audio(response_id, item_id, content_index(event), data, self.now)
            else:
                mapping.server_event(self.core, event, self.now)
            self.collect()

    def ask(self, instructions: str | None = None) -> str:
        """Ask for a response; returns the id of the `response.create`, "" when it has to wait."""
        before = len(self.sent)
        self.core.ask(self.now, instructions)
        self.collect()
        creates = [event for event in self.sent[before:] if event["type"] == "response.create"]
        return creates[0]["event_id"] if creates else ""

    def interrupt(
        self, item_id: str | None = None, content_index: int | None = None, played_ms: int | None = None
    ) -> tuple[bool, Cut | None]:
        """The host's interrupt."""
        result = interrupts.interrupt(self.core, self.now, item_id, content_index, played_ms)
        self.collect()
        return result

    def close(self) -> None:
        """The end."""
        self.core.close(self.now, "stopped")
        self.collect()

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, so far."""
        return [event for event in self.told if isinstance(event, kind)]

    def kinds(self) -> list[str]:
        """The methods of all events so far, without `realtime.`."""
        return [event.METHOD.removeprefix("realtime.") for event in self.told]

    def sent_types(self) -> list[str]:
        """The types of all client events so far."""
        return [event["type"] for event in self.sent]


def words_done(response_id: str, item_id: str, transcript: str) -> dict[str, Any]:
    """The words of the agent's speech are complete."""
    return pe.event(
        "response.output_audio_transcript.done",
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=0,
        transcript=transcript,
    )


def audio_done(response_id: str, item_id: str) -> dict[str, Any]:
    """The agent's speech is complete."""
    return pe.event(
        "response.output_audio.done",
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=0,
    )


def spoken(response_id: str, item_id: str, ms: int, text: str = "Hello") -> list[dict[str, Any]]:
    """A whole spoken response."""
    return [
        pe.created(response_id),
        pe.words(response_id, item_id, text),
        pe.audio(response_id, item_id, ms),
        audio_done(response_id, item_id),
        words_done(response_id, item_id, text),
        pe.done(response_id),
    ]
