"""The user's side of a session: input audio, turns, their transcription, and which turn is next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omnirt.loopback.config import ServerVad
from omnirt.loopback.hearing import InputBuffer, SpeechStarted, SpeechStopped
from omnirt.loopback.items import Item, Part
from omnirt.loopback.parts import Ears, Hearing, Job, Turn
from omnirt.loopback.script import Script, Unheard
from omnirt.loopback.wire import ClientError

if TYPE_CHECKING:
    from omnirt.loopback.conversation import Conversation
    from omnirt.loopback.response import Response

_LEAST_MS = 100  # the provider commits no less
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Listener:
    """Hears the user, and knows what is not answered yet."""

    def __init__(self, talk: Conversation, script: Script, ears: Ears) -> None:
        self.idle_at: float | None = None
        self._talk = talk
        self._script = script
        self._ears = ears
        self._buffer = InputBuffer(ears.activity)
        self._hearing: Hearing | None = None  # of the turn that is being spoken
        self._heard: dict[str, tuple[Hearing, Part]] = {}  # by item: turns whose words are not known yet
        self._item_id: str | None = None  # announced by speech_started, used by the commit
        self._turns: dict[str, Turn] = {}  # not answered yet, in order
        self._outputs: list[tuple[str, str, str]] = []  # (item id, tool, output), not answered yet
        self._number = 0
        self._due = 0  # responses that turn detection owes
        self.configure()

    def configure(self) -> None:
        """Follow the session's settings."""
        self._buffer.configure(self._talk.settings.input_format, self._talk.settings.detection)

    # audio

    def append(self, audio: bytes) -> None:
        """Take audio, and tell what is heard in it."""
        for heard in self._buffer.append(audio):
            match heard:
                case SpeechStarted(at_ms=at_ms):
                    self._started(at_ms)
                case SpeechStopped(at_ms=at_ms):
                    self._stopped(at_ms)
        if self._hearing is not None:
            self._hearing.follow(self._buffer.audio, self._buffer.quiet_ms)

    def _started(self, at_ms: int) -> None:
        self.idle_at = None
        self._item_id = self._talk.new_id("item")
        self._hearing = self._ears.begin(self._buffer.format)
        self._talk.emit("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self._item_id)
        detection = self._talk.settings.detection
        if detection is not None and detection.interrupt_response is not False:
            self._talk.interrupt()

    def _stopped(self, at_ms: int) -> None:
        self._talk.emit("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._item_id)
        self._commit()
        detection = self._talk.settings.detection
        if detection is not None and detection.create_response is not False:
            self._due += 1

    def commit_by_hand(self) -> None:
        """The client ends the turn; it asks for a response itself."""
        if (have := self._buffer.buffered_ms) < _LEAST_MS:
            message = (
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least {_LEAST_MS}ms of audio, but buffer only has {have:.2f}ms of audio."
            )
            raise ClientError("input_audio_buffer_commit_empty", message)
        self._commit()

    def clear(self) -> None:
        """Forget uncommitted audio."""
        self._buffer.clear()
        self._item_id = self._hearing = None
        self._talk.emit("input_audio_buffer.cleared")

    def _commit(self) -> None:
        talk, form = self._talk, self._buffer.format
        quiet_ms, audio = self._buffer.quiet_ms, self._buffer.take()
        item_id, self._item_id = self._item_id or talk.new_id("item"), None
        hearing, self._hearing = self._hearing, None
        talk.emit("input_audio_buffer.committed", previous_item_id=talk.items.last_id, item_id=item_id)
        part = Part("input_audio")
        talk.add_item(Item(item_id, "message", "completed", "user", [part]))
        talk.items.keep_audio(part, audio, len(audio) // form.bytes_per_ms)
        detected = hearing is not None
        hearing = hearing or self._ears.begin(form)
        hearing.end(audio, quiet_ms, detected=detected)
        self._heard[item_id] = hearing, part
        self._turns[item_id] = Turn("audio", "", self._turns[item_id].number, hearings=(hearing,))
        self.tell_words()

    # words

    @property
    def jobs(self) -> list[Job]:
        """The work of hearing."""
        hearings = [hearing for hearing, _ in self._heard.values()]
        return [job for hearing in [*hearings, self._hearing] if hearing is not None for job in hearing.jobs]

    def tell_words(self) -> None:
        """Tell the words that have become known."""
        for item_id, (hearing, part) in list(self._heard.items()):
            self._tell_deltas(item_id, hearing)
            if hearing.words is not None:
                del self._heard[item_id]
                self._tell_end(item_id, part, hearing.words)
        if self._hearing is not None and self._item_id is not None:
            self._tell_deltas(self._item_id, self._hearing)

    def _tell_deltas(self, item_id: str, hearing: Hearing) -> None:
        for delta in hearing.deltas():
            if self._is_transcribing:
                self._talk.emit(f"{_TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=delta)

    def _tell_end(self, item_id: str, part: Part, words: str | Unheard) -> None:
        part.known = words if isinstance(words, str) else ""
        if (turn := self._turns.get(item_id)) is not None:
            self._turns[item_id] = Turn("audio", part.known, turn.number)
        if not self._is_transcribing:
            return
        members = {"item_id": item_id, "content_index": 0}
        if isinstance(words, Unheard):
            error = {"type": "transcription_error", "code": "audio_unintelligible", "message": words.fail}
            self._talk.emit(f"{_TRANSCRIPTION}.failed", **members, error=error)
            return
        part.transcript = words
        usage = {"type": "duration", "seconds": part.ms / 1000}
        self._talk.emit(f"{_TRANSCRIPTION}.completed", **members, transcript=words, usage=usage)

    @property
    def _is_transcribing(self) -> bool:
        return self._talk.settings.audio.input.transcription is not None

    # which turn is next

    def note(self, item: Item) -> None:
        """A new item of the client: does it wait for an answer?"""
        if item.type == "function_call_output":
            self._outputs.append((item.id, self._talk.items.tool_of(item.call_id), item.output))
        elif item.role == "user":
            self._number += 1
            self._turns[item.id] = Turn("audio" if item.has_audio else "text", item.text, self._number)
        elif item.role == "assistant":
            # A talk that is told goes on: what came before this was answered by it.
            self._turns, self._outputs = {}, []
        self.idle_at = None

    def forget(self, item_id: str) -> None:
        """An item was deleted."""
        self._turns.pop(item_id, None)
        self._outputs = [output for output in self._outputs if output[0] != item_id]

    def next_turn(self, instructions: str) -> Turn:
        """What a response answers: the outputs of tools, else the turns that wait, else nothing."""
        if self._outputs:
            outputs, self._outputs = self._outputs, []
            tools = tuple(tool for _, tool, _ in outputs)
            return Turn("tool_output", "\n".join(output for *_, output in outputs), tools=tools)
        if self._turns and self._script.answers == "each":
            return self._turns.pop(next(iter(self._turns)))
        if self._turns:
            turns, self._turns = list(self._turns.values()), {}
            text = "\n".join(turn.text for turn in turns if not turn.hearings)
            hearings = tuple(hearing for turn in turns for hearing in turn.hearings)
            return Turn(turns[-1].kind, text, turns[-1].number, hearings=hearings)
        return Turn("start", instructions)

    def respond_when_due(self) -> bool:
        """Begin the response that turn detection owes, or the one to a long silence."""
        if self._talk.active is not None:
            return False
        if self._due:
            self._due -= 1
            self._talk.respond(self.next_turn(""))
            return True
        if self.idle_at is not None and self.idle_at <= self._talk.now:
            self._time_out()
            return True
        return False

    # silence

    def response_done(self, response: Response) -> None:
        """A response is over: the user's silence counts from the end of its playback."""
        detection = self._talk.settings.detection
        if isinstance(detection, ServerVad) and detection.idle_timeout_ms and not self._buffer.speaking:
            self.idle_at = max(response.play_end, self._talk.now) + detection.idle_timeout_ms / 1000

    def _time_out(self) -> None:
        talk, item_id = self._talk, self._talk.new_id("item")
        self.idle_at = None
        end = self._buffer.total_ms
        start = max(0, end - self._buffer.buffered_ms)
        talk.emit(
            "input_audio_buffer.timeout_triggered", audio_start_ms=start, audio_end_ms=end, item_id=item_id
        )
        talk.emit("input_audio_buffer.committed", previous_item_id=talk.items.last_id, item_id=item_id)
        self._buffer.clear()
        talk.add_item(Item(item_id, "message", "completed", "user", [Part("input_audio")]))
        self._turns.pop(item_id)
        talk.respond(Turn("idle"))
