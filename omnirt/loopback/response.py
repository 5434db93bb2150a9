"""One response of the simulator: the actions of its plan as events, paced on a clock that it is told.

`Response.steps` is a generator: it emits events through its stage, and yields whenever it must wait,
for a time or for a job such as speech that has yet to be made. It reads no clock and starts no task.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from omnirt.loopback.audio import from_recording
from omnirt.loopback.config import SessionSettings
from omnirt.loopback.items import Item, Part
from omnirt.loopback.parts import Job, Speak, Stage, Step, Written
from omnirt.loopback.script import Action, Call, Failure
from omnirt.loopback.wire import Json, ResponseParams

DELTA_MS = 100
AHEAD_MS = 1_500
"""How far the audio may run ahead of its playback."""

AUDIO_TOKENS_PER_S = 20  # what the provider counts for speech it makes
_ARGUMENTS_DELTA = 24  # characters

Status = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]


class _Ended(Exception):
    def __init__(self, failure: Failure) -> None:
        self.failure = failure


class Response:
    """A response and what it has produced so far."""

    def __init__(
        self, stage: Stage, settings: SessionSettings, params: ResponseParams, plan: Iterable[Step]
    ) -> None:
        self.id = stage.new_id("resp")
        self.status: Status = "in_progress"
        self.in_conversation = params.conversation != "none"
        self.play_end = stage.now  # when the client's speaker is done with what was sent
        self.audio_tokens = 0
        self.text_tokens = 0
        self._exact_audio = 0.0
        self._previous: dict[str, str | None] = {}
        self._stage = stage
        self._settings = settings
        self._params = params
        self._plan = plan
        self._output: list[Item] = []
        self._open: tuple[Item, Part] | None = None
        self._details: Json | None = None
        self.usage: Json | None = None
        limit = params.max_output_tokens or settings.max_output_tokens
        self._limit = limit if isinstance(limit, int) else None

    @property
    def modality(self) -> str:
        """`audio` or `text`."""
        return (self._params.output_modalities or self._settings.output_modalities)[0]

    def as_json(self) -> Json:
        """The response as the protocol shows it."""
        audio = self._settings.audio.output
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self._details,
            "output": [item.as_json() for item in self._output],
            "conversation_id": self._stage.id if self.in_conversation else None,
            "output_modalities": [self.modality],
            "max_output_tokens": self._limit or "inf",
            "audio": {"output": {"format": msgspec.to_builtins(audio.format), "voice": audio.voice}},
            "usage": self.usage,
            "metadata": self._params.metadata,
        }

    def steps(self, latency_ms: int) -> Iterator[float | Job]:
        """Perform the plan; yields the time to wait for, or the job."""
        yield self._stage.now + latency_ms / 1000
        self.play_end = self._stage.now
        try:
            for step in self._plan:
                if isinstance(step, Job):
                    yield step
                elif isinstance(step, Written):
                    self._write(step.text)
                else:
                    yield from self._perform(step)
            self._end("completed", None)
        except _Ended as ended:
            self.fail(ended.failure)

    def _perform(self, action: Action) -> Iterator[float | Job]:
        if action.say is not None and self.modality == "audio":
            yield from self._say(action.say)
        elif (text := action.say or action.text) is not None:
            self._write_words(self._clip_text(text) if action.say is not None else text)
        elif action.wait_ms is not None:
            yield self._stage.now + action.wait_ms / 1000
        elif action.failure is not None:
            raise _Ended(action.failure)
        elif (error := action.error) is not None:
            self._stage.emit("error", error=msgspec.to_builtins(error) | {"event_id": None})
        elif action.forget:
            self._forget()
        else:
            self._close("completed")
            for call in action.calls:
                self._call(call)

    def _forget(self) -> None:
        oldest = next((item for item in self._stage.items.all if item not in self._output), None)
        if oldest is not None:
            self._stage.items.delete(oldest.id)
            self._stage.emit("conversation.item.deleted", item_id=oldest.id)

    def _clip_text(self, text: str) -> str:
        clip = self._stage.find_speech(text)  # a recording's name stands for its text
        return clip.text if clip is not None else text

    # speech and text

    def _say(self, text: str) -> Iterator[float | Job]:
        if (clip := self._stage.find_speech(text)) is None:
            yield (job := Speak(text, self._settings.audio.output.speed))
            if (clip := job.clip) is None:
                raise _Ended(Failure(message=job.failure or "There is no speech for this text."))
        form = self._settings.output_format
        data = from_recording(clip.pcm, form)
        data = data[: len(data) - len(data) % form.bytes_per_ms]
        size = DELTA_MS * form.bytes_per_ms
        item, part = self._message("output_audio")
        words, said, begin_ms = clip.words, 0, part.ms
        for offset in range(0, len(data), size):
            self.play_end = max(self.play_end, self._stage.now)
            if (due := self.play_end + (DELTA_MS - AHEAD_MS) / 1000) > self._stage.now:
                yield due
            chunk = data[offset : offset + size]
            end_ms = (offset + len(chunk)) // form.bytes_per_ms
            last = offset + size >= len(data)
            # the words that begin within this chunk go ahead of its audio
            while said < len(words) and (last or said == 0 or clip.ends_ms[said - 1] < end_ms):
                part.ends_ms.append(begin_ms + clip.ends_ms[said])
                self._transcript(item, part, words[said])
                said += 1
            self._audio(item, part, chunk, len(chunk) // form.bytes_per_ms)

    def _transcript(self, item: Item, part: Part, word: str) -> None:
        delta = f" {word}" if part.transcript else word
        part.transcript = (part.transcript or "") + delta
        self._count(text=_tokens(delta))
        self._emit("response.output_audio_transcript.delta", item, delta=delta)

    def _audio(self, item: Item, part: Part, chunk: bytes, ms: int) -> None:
        if self.in_conversation:
            self._stage.items.keep_audio(part, chunk, ms)
        self.play_end += ms / 1000
        delta = binascii.b2a_base64(chunk, newline=False).decode()
        self._emit("response.output_audio.delta", item, delta=delta)
        self._count(audio=ms * AUDIO_TOKENS_PER_S / 1000)

    def _write_words(self, text: str) -> None:
        for word in text.split():
            goes_on = self._open is not None and self._open[1].text
            self._write(f" {word}" if goes_on else word)

    def _write(self, delta: str) -> None:
        item, part = self._message("output_text")
        part.text = (part.text or "") + delta
        self._emit("response.output_text.delta", item, delta=delta)
        self._count(text=_tokens(delta))

    def _count(self, *, text: float = 0, audio: float = 0) -> None:
        self._exact_audio += audio
        self.text_tokens += int(text)
        self.audio_tokens = round(self._exact_audio)
        if self._limit is not None and self.text_tokens + self.audio_tokens >= self._limit:
            raise _Ended(Failure(status="incomplete", reason="max_output_tokens"))

    # items

    def _message(self, kind: Literal["output_audio", "output_text"]) -> tuple[Item, Part]:
        if self._open is not None and self._open[1].type == kind:
            return self._open
        self._close("completed")
        item = Item(self._stage.new_id("item"), "message", "in_progress", "assistant")
        self._add(item)
        part = Part(kind)
        item.content.append(part)
        self._open = item, part
        self._emit("response.content_part.added", item, part=_part_json(part, begun=True))
        return self._open

    def _call(self, call: Call) -> None:
        item = Item(self._stage.new_id("item"), "function_call", "in_progress", name=call.tool)
        item.call_id = self._stage.new_id("call")
        self._add(item)
        arguments = call.arguments
        text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        members: Json = {"call_id": item.call_id, "response_id": self.id, "item_id": item.id}
        members["output_index"] = len(self._output) - 1
        for at in range(0, len(text), _ARGUMENTS_DELTA):
            delta = text[at : at + _ARGUMENTS_DELTA]
            self._stage.emit("response.function_call_arguments.delta", **members, delta=delta)
        item.arguments = text
        self.text_tokens += _tokens(text) + 4
        done = members | {"name": call.tool, "arguments": text}
        self._stage.emit("response.function_call_arguments.done", **done)
        self._done(item, "completed")

    def _add(self, item: Item) -> None:
        self._output.append(item)
        index = len(self._output) - 1
        self._stage.emit(
            "response.output_item.added", response_id=self.id, output_index=index, item=item.as_json()
        )
        if self.in_conversation:
            self._previous[item.id] = previous = self._stage.items.add(item)
            self._stage.emit("conversation.item.added", previous_item_id=previous, item=item.as_json())

    def _close(self, status: Literal["completed", "incomplete"]) -> None:
        if self._open is None:
            return
        (item, part), self._open = self._open, None
        if part.type == "output_audio":
            self._emit("response.output_audio.done", item)
            self._emit("response.output_audio_transcript.done", item, transcript=part.transcript or "")
        else:
            self._emit("response.output_text.done", item, text=part.text or "")
        self._emit("response.content_part.done", item, part=_part_json(part))
        self._done(item, status)

    def _done(self, item: Item, status: Literal["completed", "incomplete"]) -> None:
        item.status = status
        index = self._output.index(item)
        self._stage.emit(
            "response.output_item.done", response_id=self.id, output_index=index, item=item.as_json()
        )
        if self.in_conversation:
            previous = self._previous[item.id]
            self._stage.emit("conversation.item.done", previous_item_id=previous, item=item.as_json())

    def _emit(self, type_: str, item: Item, **members: object) -> None:
        self._stage.emit(
            type_,
            response_id=self.id,
            item_id=item.id,
            output_index=self._output.index(item),
            content_index=0,
            **members,
        )

    # the end, which the conversation tells, with the usage

    def fail(self, failure: Failure) -> None:
        """End without completing."""
        if failure.status == "incomplete":
            self._end("incomplete", {"reason": failure.reason})
        else:
            error = {"type": failure.type, "code": failure.code, "message": failure.message}
            self._end("failed", {"error": error})

    def cancel(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """Stop: what was sent stays in the conversation, incomplete."""
        self._end("cancelled", {"reason": reason})

    def _end(self, status: Status, details: Json | None) -> None:
        self._close("completed" if status == "completed" else "incomplete")
        self.status = status
        self._details = None if details is None else {"type": status, **details}


def _part_json(part: Part, *, begun: bool = False) -> Json:
    if part.type == "output_audio":
        return {"type": "audio", "transcript": "" if begun else part.transcript or ""}
    return {"type": "text", "text": "" if begun else part.text or ""}


def _tokens(text: str) -> int:
    return max(1, round(len(text) / 4))
