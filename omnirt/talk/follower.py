"""Follows the notifications of a talk: what is going on, and the lines that tell it."""

from __future__ import annotations

from msgspec import UNSET

from omnirt.client.streams import Notification
from omnirt.protocol import events as e
from omnirt.talk.view import View


class Follower:
    """Takes the notifications one by one.

    Args:
        view: Where they are shown.

    Attributes:
        state: Of the session.
        saying: What the agent says just now.
        answering: Whether the agent speaks, or is about to.
    """

    def __init__(self, view: View) -> None:
        self.state = "connected"
        self.saying = ""
        self._view = view
        self._cut: set[str] = set()

    @property
    def answering(self) -> bool:
        """Whether there is something to interrupt."""
        return self.state in ("thinking", "speaking")

    def take(self, event: Notification) -> None:
        """Handles one."""
        self._view.event(event)
        match event:
            case e.RealtimeState():
                self._state(event)
            case e.RealtimeTranscriptDelta() | e.RealtimeTextDelta():
                self._delta(event)
            case e.RealtimeTranscriptDone() | e.RealtimeTextDone():
                self._words(event)
            case e.RealtimeAudioInterrupted():
                self._interrupted(event)
            case e.RealtimeItemUpdated():
                self._item(event)
            case e.RealtimeToolStart():
                self._tool_start(event)
            case e.RealtimeToolEnd():
                self._tool_end(event)
            case e.RealtimeHandoff():
                self._handoff(event)
            case e.RealtimeGuardrailTripped():
                self._guardrail(event)
            case e.RealtimeResponseEnd():
                self._response(event)
            case e.RealtimeError():
                self._error(event)
            case e.LogMessage():
                self._message(event)
            case _:
                pass

    def _state(self, event: e.RealtimeState) -> None:
        self.state = event.state
        if event.state == "reconnecting":
            self._view.say("daemon", "reconnecting", "the connection is lost; trying again")

    def _delta(self, event: e.RealtimeTranscriptDelta | e.RealtimeTextDelta) -> None:
        self.saying += event.delta if event.role == "assistant" else ""

    def _words(self, event: e.RealtimeTranscriptDone | e.RealtimeTextDone) -> None:
        if event.role == "assistant":
            self.saying = ""
        if event.text:
            self._view.say("you" if event.role == "user" else "agent", "transcript", event.text)

    def _interrupted(self, event: e.RealtimeAudioInterrupted) -> None:
        self.saying = ""
        heard, made = event.heard_ms / 1000, event.generated_ms / 1000
        self._view.say("agent", "interrupted", f"falls silent: {heard:.1f} s were heard of {made:.1f} s")

    def _item(self, event: e.RealtimeItemUpdated) -> None:
        item = event.item
        if item.interrupted is True and isinstance(item.heard_text, str) and item.item_id not in self._cut:
            self._cut.add(item.item_id)
            self._view.say("agent", "heard", f"you heard: {item.heard_text or 'nothing of it'}")

    def _tool_start(self, event: e.RealtimeToolStart) -> None:
        self._view.say("tool", "toolStart", f"{event.tool_name}({shown(event.arguments)})")

    def _tool_end(self, event: e.RealtimeToolEnd) -> None:
        told = f"{event.tool_name} {event.status}"
        self._view.say("tool", "toolEnd", told, float(event.duration_ms))

    def _handoff(self, event: e.RealtimeHandoff) -> None:
        self._view.say("daemon", "handoff", f"{event.to_agent} takes over from {event.from_agent}")

    def _guardrail(self, event: e.RealtimeGuardrailTripped) -> None:
        self._view.say("daemon", "guardrail", f"the answer was stopped: {event.message}")

    def _response(self, event: e.RealtimeResponseEnd) -> None:
        if event.status == "failed":
            why = "" if event.error is UNSET else f": {event.error.message}"
            self._view.say("daemon", "failed", f"the answer failed{why}")

    def _error(self, event: e.RealtimeError) -> None:
        self._view.say("daemon", "error", event.message)

    def _message(self, event: e.LogMessage) -> None:
        self._view.say("daemon", "message", event.message)


def shown(arguments: object) -> str:
    """The arguments of a tool, for people."""
    if not isinstance(arguments, dict):
        return str(arguments)
    return ", ".join(f"{name}: {value}" for name, value in arguments.items())
