"""What went upstream and would be lost with the connection: inputs that the provider has not taken up yet.

Sans-IO. Texts are kept until their item comes back; the audio of a turn until it was transcribed or answered;
of audio in which nobody speaks the last moments, which may be the beginning of a word. All within bounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from omnirt.sessions.inbox import INPUT_QUEUE_MS, AudioEntry, Entry, EventsEntry
from omnirt.sessions.reading import dig, text_id

LEAD_MS = 1500
"""What may pass between the first sound of a word and the provider's report of speech, generously. In ms."""
MAX_MESSAGES = 256


class Unsent(NamedTuple):
    """What has to go upstream again.

    Args:
        entries: Turns that were over, and texts, in order.
        speech: Audio of a turn that was not.
        item_ids: Items of the lost connection that these entries make anew.
        dropped_ms: Audio of the turn that was beyond the bound.
    """

    entries: list[Entry]
    speech: list[Entry]
    item_ids: list[str]
    dropped_ms: int


class Kept:
    """The inputs of one session that may have to be sent again.

    Args:
        detects: Whether the provider detects turns by itself.
    """

    def __init__(self, detects: Callable[[], bool]) -> None:
        self._detects = detects
        self._open: deque[AudioEntry] = deque()
        self._open_ms = 0
        self._turns: dict[str, list[AudioEntry]] = {}
        self._messages: deque[EventsEntry] = deque(maxlen=MAX_MESSAGES)
        self._speaking = False
        self._dropped_ms = 0

    # -- what goes upstream ------------------------------------------------------------------------------

    def audio(self, entry: AudioEntry, now: float) -> None:
        """Audio is about to go upstream."""
        entry.sent_at = now
        self._open.append(entry)
        self._open_ms += entry.duration_ms
        silent = self._detects() and not self._speaking and not entry.commit
        while True:
            first = self._open[0]
            left_ms = self._open_ms - first.duration_ms
            # By the clock as well: what is sent faster than it is spoken is reported on later.
            over = silent and left_ms >= LEAD_MS and now - first.sent_at >= LEAD_MS / 1000
            if not over and left_ms < INPUT_QUEUE_MS:
                return
            self._open.popleft()
            self._open_ms = left_ms
            self._dropped_ms += 0 if over else first.duration_ms

    def events(self, entry: EventsEntry) -> None:
        """Events are about to go upstream."""
        for event in entry.events:
            if event["type"] == "conversation.item.create":
                self._messages.append(EventsEntry([event], size=entry.size))
            elif event["type"] == "input_audio_buffer.clear":
                self._forget_open()

    # -- what the provider says of it --------------------------------------------------------------------

    def server_event(self, event: Mapping[str, Any]) -> None:
        """An event of the provider's."""
        react = _REACTIONS.get(str(event.get("type")))
        if react is not None:
            react(self, event)

    def _speech_started(self, _: Mapping[str, Any]) -> None:
        self._speaking = True

    def _speech_stopped(self, _: Mapping[str, Any]) -> None:
        self._speaking = False

    def _committed(self, event: Mapping[str, Any]) -> None:
        self._speaking = False
        entries = list(self._open)
        last = max((at for at, entry in enumerate(entries) if entry.commit), default=len(entries) - 1)
        self._turns[text_id(event, "item_id")] = entries[: last + 1]
        self._forget_open()
        for entry in entries[last + 1 :]:
            self.audio(entry, entry.sent_at)
        while len(self._turns) > 1 and self._turns_ms() > INPUT_QUEUE_MS:
            del self._turns[next(iter(self._turns))]

    def _transcribed(self, event: Mapping[str, Any]) -> None:
        if event.get("transcript"):
            self._turns.pop(text_id(event, "item_id"), None)

    def _added(self, event: Mapping[str, Any]) -> None:
        item = event.get("item")
        if not isinstance(item, Mapping) or not self._messages:
            return
        sent = self._messages[0].events[0]["item"]
        same = all(item.get(name) == sent.get(name) for name in ("type", "role", "call_id"))
        if same and not _is_speech(item):
            self._messages.popleft()

    def _response_done(self, event: Mapping[str, Any]) -> None:
        if dig(event, "response", "status") != "failed":
            self._turns.clear()

    def _turns_ms(self) -> int:
        return sum(entry.duration_ms for turn in self._turns.values() for entry in turn)

    def _forget_open(self) -> None:
        self._open.clear()
        self._open_ms = self._dropped_ms = 0

    # -- after a loss ------------------------------------------------------------------------------------

    def take(self) -> Unsent:
        """What has to go upstream again; nothing is kept any more, until it does."""
        entries: list[Entry] = []
        for turn in self._turns.values():
            entries += turn
            if not turn or not turn[-1].commit:
                entries.append(AudioEntry(b"", 0, commit=True))  # the provider had ended it
        entries += self._messages
        speech: list[Entry] = list(self._open)
        item_ids = [item_id for item_id in self._turns if item_id]
        unsent = Unsent(entries, speech, item_ids, self._dropped_ms)
        self._turns.clear()
        self._messages.clear()
        self._forget_open()
        self._speaking = False
        return unsent


def _is_speech(item: Mapping[str, Any]) -> bool:
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, Mapping) and part.get("type") == "input_audio" for part in parts)


_REACTIONS: dict[str, Callable[[Kept, Mapping[str, Any]], None]] = {
    "input_audio_buffer.speech_started": Kept._speech_started,
    "input_audio_buffer.speech_stopped": Kept._speech_stopped,
    "input_audio_buffer.committed": Kept._committed,
    "conversation.item.input_audio_transcription.completed": Kept._transcribed,
    "conversation.item.added": Kept._added,
    "conversation.item.created": Kept._added,
    "response.done": Kept._response_done,
}
