"""The core of the loopback provider: one realtime session, sans-IO.

Events of the client go in through `receive`, with the time; events for it come out of `take`. Between
them the core wants to be called again at `wake_at`, and whenever something came of the jobs that it wants
done (`wanted`), with `tick`. It reads no clock, does no I/O and starts no task; its times are seconds of the
conversation, which may run faster than the clock on the wall.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import assert_never

import msgspec

from omnirt.loopback import wire
from omnirt.loopback.config import MODALITIES, SessionSettings, setting_error, wrong_modalities
from omnirt.loopback.hearing import BufferFull
from omnirt.loopback.items import Item, Items, item_from
from omnirt.loopback.listener import Listener
from omnirt.loopback.parts import Job, Parts, Turn
from omnirt.loopback.response import Response
from omnirt.loopback.speech import Clip
from omnirt.loopback.usage import Meter
from omnirt.loopback.wire import ClientError, Json, ResponseParams

_RESPONSES = 8  # at once: one in the conversation, the others beside it


class _Running:
    """A response on stage: its steps, and what they wait for."""

    def __init__(self, response: Response, steps: Iterator[float | Job]) -> None:
        self.response = response
        self.steps = steps
        self.wake_at: float | None = None
        self.waits_for: Job | None = None
        self.jobs: list[Job] = []

    def goes_on(self, now: float) -> bool:
        """Whether what it waited for is there; waits for nothing any more then."""
        if self.waits_for is not None and not self.waits_for.ready:
            return False
        if self.wake_at is not None and self.wake_at > now:
            return False
        self.wake_at = self.waits_for = None
        self.jobs = [job for job in self.jobs if not job.over]
        return True

    def wait_for(self, job: Job) -> None:
        """Wait for something new in a job, which is wanted until it is over, or until the response is."""
        self.waits_for = job
        if job not in self.jobs:
            self.jobs.append(job)


class Conversation:
    """A session with one client.

    Args:
        parts: Its brain, ears and voice.
        tag: Makes ids differ from those of other sessions.
        model: The model that the client asked for.
        now: The time, in seconds of the simulation.
        expires_at: When the connection ends, in seconds of the epoch; None when it does not.
    """

    def __init__(self, parts: Parts, *, tag: str, model: str, now: float, expires_at: int | None) -> None:
        self.now = now
        self._tag = tag
        self._count = 0
        self._out: deque[Json] = deque()
        self._parts = parts
        self.id = self.new_id("conv")
        self.items = Items()
        self.settings = SessionSettings(model=model)
        self._shown = {"id": self.new_id("sess"), "object": "realtime.session"}
        self._expires_at = expires_at
        self.meter = Meter()
        self._running: list[_Running] = []
        self.listener = Listener(self, parts.script, parts.ears)
        self.emit("session.created", session=self._session())

    # what the shell around the core uses

    def receive(self, message: str | bytes, now: float) -> None:
        """Take one event of the client."""
        self.now = now
        envelope = wire.decode_envelope(message)
        try:
            self._handle(wire.decode_event(message, envelope.type))
        except ClientError as error:
            self.refuse(error, envelope.event_id)
        except msgspec.ValidationError as error:
            self.refuse(setting_error(error, ""), envelope.event_id)
        self._advance()

    def tick(self, now: float) -> None:
        """Do what is due."""
        self.now = now
        self._advance()

    def take(self) -> list[Json]:
        """The events since the last call."""
        out = list(self._out)
        self._out.clear()
        return out

    @property
    def wake_at(self) -> float | None:
        """When `tick` has something to do, if nothing comes in before."""
        times = [run.wake_at for run in self._running if run.wake_at is not None]
        if self.listener.idle_at is not None:
            times.append(self.listener.idle_at)
        return min(times, default=None)

    @property
    def wanted(self) -> list[Job]:
        """The work to be done; what is no longer in it need not be finished."""
        return [*self.listener.jobs, *(job for run in self._running for job in run.jobs)]

    # what the parts of the core use

    def emit(self, type_: str, /, **members: object) -> None:
        """Send an event."""
        self._out.append({"type": type_, "event_id": self.new_id("event"), **members})

    def new_id(self, prefix: str) -> str:
        """A fresh id."""
        self._count += 1
        return f"{prefix}_{self._tag}{self._count:04d}"

    def find_speech(self, text: str) -> Clip | None:
        """Speech that is at hand."""
        return self._parts.find_speech(text)

    def refuse(self, error: ClientError, event_id: str | None) -> None:
        """Tell the client that something it sent is wrong."""
        self.emit(
            "error",
            error={
                "type": "invalid_request_error",
                "code": error.code,
                "message": error.message,
                "param": error.param,
                "event_id": event_id,
            },
        )

    @property
    def active(self) -> Response | None:
        """The response of the conversation that is not over."""
        return next((run.response for run in self._running if run.response.in_conversation), None)

    # client events

    def _handle(self, event: wire.ClientEvent) -> None:
        match event:
            case wire.SessionUpdate():
                self._update(event.session)
            case wire.Append():
                try:
                    self.listener.append(wire.decode_base64(event.audio, "audio"))
                except BufferFull:
                    raise ClientError("input_audio_buffer_full", "The input audio buffer is full.") from None
            case wire.Commit():
                self.listener.commit_by_hand()
            case wire.Clear():
                self.listener.clear()
            case wire.ItemCreate():
                self._create_item(event)
            case wire.ItemRetrieve():
                item = self.items.get(event.item_id, "retrieve")
                self.emit("conversation.item.retrieved", item=item.as_json(audio=True))
            case wire.ItemTruncate():
                per_ms = self.settings.output_format.bytes_per_ms
                self.items.truncate(event.item_id, event.content_index, event.audio_end_ms, per_ms)
                cut = {"item_id": event.item_id, "content_index": event.content_index}
                self.emit("conversation.item.truncated", **cut, audio_end_ms=event.audio_end_ms)
            case wire.ItemDelete():
                self.items.delete(event.item_id)
                self.listener.forget(event.item_id)
                self.emit("conversation.item.deleted", item_id=event.item_id)
            case wire.ResponseCreate():
                self._create_response(event.response or ResponseParams())
            case wire.ResponseCancel():
                self._cancel(event.response_id)
            case _:
                assert_never(event)

    def _session(self) -> Json:
        shown = msgspec.to_builtins(self.settings)
        return {**self._shown, **shown, "expires_at": self._expires_at}

    def _update(self, patch: Json) -> None:
        updated = self.settings.updated(patch)
        if updated.audio.output.voice != self.settings.audio.output.voice and self.meter.has_spoken:
            message = "Cannot update a conversation's voice if assistant audio is present."
            raise ClientError("cannot_update_voice", message, "session.audio.output.voice")
        self.settings = updated
        self.listener.configure()
        self.emit("session.updated", session=self._session())

    def _create_item(self, event: wire.ItemCreate) -> None:
        per_ms = self.settings.input_format.bytes_per_ms
        item = item_from(event.item, event.item.id or self.new_id("item"), per_ms)
        self.add_item(item, event.previous_item_id)

    def add_item(self, item: Item, previous: str | None = None) -> None:
        """Add an item that is complete, and remember that it waits for an answer."""
        previous = self.items.add(item, previous)
        self.listener.note(item)
        self.emit("conversation.item.added", previous_item_id=previous, item=item.as_json())
        self.emit("conversation.item.done", previous_item_id=previous, item=item.as_json())

    # responses

    def _create_response(self, params: ResponseParams) -> None:
        beside = params.conversation == "none"
        if not beside and self.active is not None:
            message = (
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise ClientError("conversation_already_has_active_response", message)
        if len(self._running) >= _RESPONSES:
            raise ClientError("too_many_responses", "Too many responses are in progress.")
        if params.output_modalities is not None and params.output_modalities not in MODALITIES:
            raise wrong_modalities(params.output_modalities, "response.output_modalities")
        if beside or params.input is not None:
            turn = _turn_beside(params)
        else:
            turn = self.listener.next_turn(params.instructions or "")
        self.respond(turn, params)

    def respond(self, turn: Turn, params: ResponseParams | None = None) -> None:
        """Begin a response to a turn."""
        params = params or ResponseParams()
        response = Response(self, self.settings, params, self._parts.brain.plan(turn, self, params))
        self.listener.idle_at = None
        self.meter.begin(response, self.settings, self.items)
        self.emit("response.created", response=response.as_json())
        self.emit("rate_limits.updated", rate_limits=self.meter.rate_limits())
        self._running.append(_Running(response, response.steps(self._parts.script.latency_ms)))

    def interrupt(self) -> None:
        """The user speaks: what is being said stops."""
        for run in [run for run in self._running if run.response.in_conversation]:
            run.response.cancel("turn_detected")
            self._finish(run)

    def _cancel(self, response_id: str | None) -> None:
        for run in self._running:
            if run.response.id == response_id or (response_id is None and run.response.in_conversation):
                run.response.cancel("client_cancelled")
                self._finish(run)
                return
        raise ClientError("response_cancel_not_active", "Cancellation failed: no active response found")

    def _finish(self, run: _Running) -> None:
        response = run.response
        self._running.remove(run)
        response.usage = self.meter.end(response)
        self.emit("response.done", response=response.as_json())
        if response.in_conversation:
            self.listener.response_done(response)

    def _advance(self) -> None:
        self.listener.tell_words()
        for run in list(self._running):
            while run in self._running and run.goes_on(self.now):
                match next(run.steps, None):
                    case None:
                        self._finish(run)
                    case Job() as job:
                        run.wait_for(job)
                    case wake_at:
                        run.wake_at = wake_at
        if self.listener.respond_when_due():
            self._advance()


def _turn_beside(params: ResponseParams) -> Turn:
    """What a response with its own input answers: that, or its instructions."""
    texts = [part.text for item in params.input or [] for part in item.content or [] if part.text]
    return Turn("text", " ".join(texts)) if texts else Turn("start", params.instructions or "")
