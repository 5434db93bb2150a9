"""Follows the notifications of the demo's session: keeps what happened, and tells the timeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec import UNSET

from omnirt.demo.sound import Part, Speaker, waveform
from omnirt.demo.view import Entry, View, Who
from omnirt.protocol import events as e
from omnirt.protocol.types import Event


@dataclass
class Facts:
    """What happened, for the verdict at the end."""

    said_by_user: list[str] = field(default_factory=list)
    said_by_agent: list[str] = field(default_factory=list)
    tools_called: list[str] = field(default_factory=list)
    tools_ended: list[str] = field(default_factory=list)
    interrupted: e.RealtimeAudioInterrupted | None = None
    stale_audio: int = 0
    answers: int = 0
    closed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Timeline:
    """Adds lines to the view, each with its time since the demo began."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._began = time.monotonic()

    def now_ms(self) -> float:
        """Since the demo began."""
        return (time.monotonic() - self._began) * 1000

    def add(
        self,
        who: Who,
        event: str,
        text: str,
        *,
        latency_ms: float | None = None,
        wave: list[float] | None = None,
        more: Mapping[str, object] | None = None,
        **facts: object,
    ) -> None:
        """Adds a line; `more` and `facts` are figures for `--json`."""
        figures = {**facts, **(more or {})}
        self._view.show(Entry(round(self.now_ms()), who, event, text, latency_ms, wave or [], figures))


class Follower:
    """Takes the session's events one by one.

    Args:
        timeline: Where they are shown.
        speaker: What plays the audio.
        changed: Called after each event, for those who wait for something to have happened.
    """

    def __init__(self, timeline: Timeline, speaker: Speaker, changed: Callable[[], None]) -> None:
        self.facts = Facts()
        self.saying = ""
        self.asked_at_ms = 0.0
        self._timeline = timeline
        self._speaker = speaker
        self._changed = changed
        self._cut: set[str] = set()
        self._with_audio: set[str] = set()

    def take(self, event: Event) -> None:
        """Handles one event."""
        match event:
            case e.RealtimeAudio():
                self._audio(event)
            case e.RealtimeInputSpeechStart():
                self._timeline.add("daemon", "speechStart", "hears speech")
            case e.RealtimeInputSpeechEnd():
                self.asked_at_ms = self._timeline.now_ms()
                self._timeline.add("daemon", "speechEnd", "end of speech")
            case e.RealtimeTranscriptDelta(role="assistant"):
                self.saying += event.delta
            case e.RealtimeTranscriptDone():
                self._transcript(event)
            case e.RealtimeToolStart():
                self.facts.tools_called.append(event.tool_name)
            case e.RealtimeToolEnd():
                self._tool_end(event)
            case e.RealtimeAudioInterrupted():
                self._interrupted(event)
            case e.RealtimeResponseEnd():
                self._response_end(event)
            case e.RealtimeError():
                self.facts.errors.append(event.message)
                self._timeline.add("daemon", "error", f"{event.kind}: {event.message}", kind=event.kind)
            case e.RealtimeClosed():
                self.facts.closed.append(event.reason)
                self._timeline.add("daemon", "closed", f"session closed: {event.reason}", reason=event.reason)
            case _:
                pass
        self._changed()

    def _audio(self, event: e.RealtimeAudio) -> None:
        if event.item_id in self._cut:
            self.facts.stale_audio += 1
            return
        if event.response_id not in self._with_audio:
            self._with_audio.add(event.response_id)
            self.saying = ""
            self._timeline.add(
                "agent",
                "firstAudio",
                "starts to speak",
                latency_ms=self._timeline.now_ms() - self.asked_at_ms,
                responseId=event.response_id,
            )
        self._speaker.receive(event.item_id, event.content_index, event.audio)

    def _transcript(self, event: e.RealtimeTranscriptDone) -> None:
        if event.role == "user":
            self.facts.said_by_user.append(event.text)
            self._timeline.add("you", "transcript", f"“{event.text}”", role="user")
            return
        self.facts.said_by_agent.append(event.text)
        part = self._part(event.item_id, event.content_index)
        self._timeline.add(
            "agent",
            "transcript",
            f"“{event.text}”",
            wave=waveform(bytes(part.data)) if part else None,
            role="assistant",
            itemId=event.item_id,
        )

    def _part(self, item_id: str, content_index: int) -> Part | None:
        found = [p for p in self._speaker.parts if (p.item_id, p.content_index) == (item_id, content_index)]
        return found[0] if found else None

    def _tool_end(self, event: e.RealtimeToolEnd) -> None:
        self.facts.tools_ended.append(event.status)
        self.asked_at_ms = self._timeline.now_ms()
        self._timeline.add(
            "daemon",
            "toolEnd",
            f"told the agent what {event.tool_name} gave",
            latency_ms=event.duration_ms,
            status=event.status,
        )

    def _interrupted(self, event: e.RealtimeAudioInterrupted) -> None:
        self._speaker.empty()
        self._cut.add(event.item_id)
        self.facts.interrupted = event
        heard, generated = event.heard_ms / 1000, event.generated_ms / 1000
        self._timeline.add(
            "agent",
            "interrupted",
            f"falls silent: {heard:.1f} s were heard of {generated:.1f} s",
            itemId=event.item_id,
            heardMs=event.heard_ms,
            generatedMs=event.generated_ms,
        )

    def _response_end(self, event: e.RealtimeResponseEnd) -> None:
        if event.response_id in self._with_audio and event.status == "completed":
            self.facts.answers += 1
        latency = event.latency
        figures: dict[str, object] = {}
        if latency is not UNSET:
            named = {
                "speechEndToFirstAudioMs": latency.speech_end_to_first_audio_ms,
                "requestToFirstAudioMs": latency.request_to_first_audio_ms,
                "firstAudioToHostMs": latency.first_audio_to_host_ms,
            }
            figures = {name: value for name, value in named.items() if value is not UNSET}
        told = ", ".join(f"{name} {value}" for name, value in figures.items())
        self._timeline.add(
            "daemon",
            "responseEnd",
            f"response {event.status}" + (f" ({told})" if told else ""),
            status=event.status,
            responseId=event.response_id,
            more=figures,
        )
