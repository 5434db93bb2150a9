"""The provider's events, read into the conversation core: one small function for each kind.

Works on the server's own JSON, because transcripts, speech, usage and the status of a response come only
there; audio comes decoded, from the SDK. What is unknown is passed over: a new kind of event is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omnirt.protocol import events as ev
from omnirt.protocol.types import ErrorInfo, ResponseStatus
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.heard import heard_fields
from omnirt.sessions.interrupts import barge_in
from omnirt.sessions.part_ends import audio_ended
from omnirt.sessions.provider_errors import error_event, failure, words
from omnirt.sessions.reading import content_index, dig, is_count, speech, text_id
from omnirt.sessions.responses import MAX_SERIES, Series, SeriesKind
from omnirt.sessions.usage import read_usage, transcription_seconds

Raw = Mapping[str, Any]
Handler = Callable[[Conversation, Raw, float], None]

_STATUSES: dict[str, ResponseStatus] = {
    "completed": "completed",
    "cancelled": "cancelled",
    "failed": "failed",
    "incomplete": "incomplete",
}


def server_event(talk: Conversation, raw: Raw, now: float) -> None:
    """Read one event of the provider."""
    handler = HANDLERS.get(str(raw.get("type")))
    if handler is not None:
        handler(talk, raw, now)
        talk.sync_state(now)


def _session_updated(talk: Conversation, raw: Raw, now: float) -> None:
    detection = dig(raw, "session", "audio", "input", "turn_detection")
    known = isinstance(dig(raw, "session", "audio", "input"), Mapping)
    talk.turns.server_vad = isinstance(detection, Mapping) or not known
    settings: Raw = detection if isinstance(detection, Mapping) else {}
    talk.turns.creates_response = talk.turns.server_vad and settings.get("create_response") is not False
    talk.interrupts_on_speech = settings.get("interrupt_response") is not False
    if not talk.turns.server_vad:
        if talk.turns.user_speaking:
            talk.emit(ev.RealtimeInputSpeechEnd, now)
        talk.turns.detection_off()


def _speech_started(talk: Conversation, raw: Raw, now: float) -> None:
    if not talk.turns.user_speaking:
        talk.emit(ev.RealtimeInputSpeechStart, now, **speech(raw, "audio_start_ms"))
    talk.turns.speech_started()
    talk.tool_turns.restart()
    barge_in(talk, now)


def _speech_stopped(talk: Conversation, raw: Raw, now: float) -> None:
    if talk.turns.user_speaking:
        talk.emit(ev.RealtimeInputSpeechEnd, now, **speech(raw, "audio_end_ms"))
    talk.turns.speech_stopped(text_id(raw, "item_id"), now)
    talk.speech_ended_at = now


def _committed(talk: Conversation, raw: Raw, now: float) -> None:
    if talk.turns.user_speaking:
        talk.emit(ev.RealtimeInputSpeechEnd, now, **speech(raw, ""))
    if talk.speech_ended_at is None:
        talk.speech_ended_at = now
    talk.tool_turns.restart()
    talk.turns.committed(text_id(raw, "item_id"), now)
    talk.pump(now)


def _cleared(talk: Conversation, raw: Raw, now: float) -> None:
    # Speech that was going on is dropped with its audio, and no provider reports its end.
    if talk.turns.user_speaking:
        talk.emit(ev.RealtimeInputSpeechEnd, now)
        talk.turns.user_speaking = False


def _timeout_triggered(talk: Conversation, raw: Raw, now: float) -> None:
    talk.emit(ev.RealtimeInputTimeout, now, **speech(raw, "audio_end_ms"))


def _item(talk: Conversation, raw: Raw, now: float) -> None:
    item = raw.get("item")
    if not isinstance(item, Mapping):
        return
    seen = talk.items.seen(item, talk.at_ms(now))
    if seen is not None:
        talk.item_changed(seen[0], now, new=seen[1])


def _item_removed(talk: Conversation, raw: Raw, now: float) -> None:
    item_id = text_id(raw, "item_id")
    # What we took out of the model's context for nobody heard it stays in the history.
    if item_id not in talk.heard.taken_out and talk.items.removed(item_id):
        talk.emit(ev.RealtimeItemRemoved, now, item_id=item_id)


def _item_truncated(talk: Conversation, raw: Raw, now: float) -> None:
    item_id, heard = text_id(raw, "item_id"), raw.get("audio_end_ms")
    ours = heard_fields(talk, item_id)
    told = {"heard_ms": heard} if is_count(heard) else {}
    changed = talk.items.change(item_id, interrupted=True, **(ours or told))
    if changed is not None:
        talk.item_changed(changed, now, new=False)


def _response_created(talk: Conversation, raw: Raw, now: float) -> None:
    response_id = dig(raw, "response", "id")
    response_id = response_id if isinstance(response_id, str) else ""
    if talk.responses.is_over(response_id):
        return
    for running in list(talk.responses.running.values()):
        if not running.told and running.response_id != response_id:
            # It was taken for one because of a stray event of its: nobody would ever end it.
            talk.give_up(running.response_id, now, "incomplete")
    talk.response_started(response_id, now).told = True


def _output_item(talk: Conversation, raw: Raw, now: float) -> None:
    _item(talk, raw, now)
    item, response = raw.get("item"), talk.responses.running.get(text_id(raw, "response_id"))
    if isinstance(item, Mapping) and response is not None and isinstance(item.get("id"), str):
        response.items.add(item["id"])


def _output_item_done(talk: Conversation, raw: Raw, now: float) -> None:
    _output_item(talk, raw, now)
    item = raw.get("item")
    if isinstance(item, Mapping) and (item.get("type"), item.get("status")) == ("function_call", "completed"):
        response = talk.responses.running.get(text_id(raw, "response_id"))
        call = (text_id(item, "id"), text_id(item, "call_id"), text_id(item, "name"))
        if response is not None and call[0]:
            if call in response.calls:
                return  # told twice
            response.calls.add(call)
        talk.turns.tool_called(str(item.get("call_id") or ""), text_id(raw, "response_id"))


def _response_done(talk: Conversation, raw: Raw, now: float) -> None:
    response = raw.get("response")
    if not isinstance(response, Mapping):
        return
    response_id = talk.responses.ending(text_id(response, "id"))
    details = dig(response, "status_details")
    details = details if isinstance(details, Mapping) else {}
    reason, broke = details.get("reason"), details.get("error")
    fields: dict[str, Any] = {}
    if isinstance(reason, str):
        fields["reason"] = words(talk, reason)
    if isinstance(broke, Mapping):
        fields["error"] = failure(talk, broke)
    status = _STATUSES.get(str(response.get("status")), "completed")
    if talk.responses.is_over(response_id):
        # Given up by us before; the provider is through with it only now, and takes asks again.
        talk.turns.done(response_id)
        talk.pump(now)
        return
    # A server that sends nothing but the end still had a response.
    response_id = talk.response_started(response_id, now).response_id
    talk.response_ended(response_id, now, status, read_usage(response.get("usage")), **fields)


def _audio_done(talk: Conversation, raw: Raw, now: float) -> None:
    response = talk.responses.find(text_id(raw, "response_id"))
    item_id = text_id(raw, "item_id") or (response.own_item if response is not None else "")
    audio_ended(talk, item_id, content_index(raw), now)


def _delta(kind: SeriesKind) -> Handler:
    def handle(talk: Conversation, raw: Raw, now: float) -> None:
        response_id, delta = text_id(raw, "response_id"), raw.get("delta")
        if talk.responses.is_over(response_id) or not isinstance(delta, str) or not delta:
            return
        response = talk.response_started(response_id, now)
        item_id = text_id(raw, "item_id") or response.own_item
        response.items.add(item_id)
        series = Series(item_id, content_index(raw), kind, "assistant", response.response_id)
        _add_delta(talk, series, delta, now)

    return handle


def _done(kind: SeriesKind, member: str) -> Handler:
    def handle(talk: Conversation, raw: Raw, now: float) -> None:
        response_id, item_id, text = text_id(raw, "response_id"), text_id(raw, "item_id"), raw.get(member)
        if not item_id:
            response = talk.responses.find(response_id)
            item_id = response.own_item if response is not None else ""
        if item_id and not talk.responses.is_over(response_id):
            talk.words_done(item_id, content_index(raw), kind, text if isinstance(text, str) else None, now)

    return handle


def _transcription_delta(talk: Conversation, raw: Raw, now: float) -> None:
    delta = raw.get("delta")
    if isinstance(delta, str) and delta and text_id(raw, "item_id"):
        _add_delta(
            talk, Series(text_id(raw, "item_id"), content_index(raw), "transcript", "user"), delta, now
        )


def _transcription_completed(talk: Conversation, raw: Raw, now: float) -> None:
    _user_words(talk, raw, now, str(raw.get("transcript") or ""), None)
    seconds = transcription_seconds(raw.get("usage"))
    if seconds is not None:
        talk.count(seconds, now)


def _transcription_failed(talk: Conversation, raw: Raw, now: float) -> None:
    error = raw.get("error")
    _user_words(talk, raw, now, None, failure(talk, error if isinstance(error, Mapping) else {}))


def _user_words(talk: Conversation, raw: Raw, now: float, text: str | None, error: ErrorInfo | None) -> None:
    series = Series(text_id(raw, "item_id"), content_index(raw), "transcript", "user")
    part = (series.item_id, series.content_index, series.kind)
    if not series.item_id or talk.responses.was_said(*part):
        return
    talk.responses.series.setdefault(part, series)
    talk.words_done(series.item_id, series.content_index, "transcript", text, now, error)


def _add_delta(talk: Conversation, series: Series, delta: str, now: float) -> None:
    while len(talk.responses.series) >= MAX_SERIES:
        oldest = next(iter(talk.responses.series.values()))
        talk.words_done(oldest.item_id, oldest.content_index, oldest.kind, None, now)
    talk.responses.delta(series, delta)
    if (series.kind, series.role) == ("transcript", "assistant"):
        part = talk.playback.get(series.item_id, series.content_index)
        audio_ms = part.generated_ms if part is not None else 0
        talk.heard.said(series.item_id, series.content_index, delta, audio_ms)
    talk.emit(
        ev.RealtimeTextDelta if series.kind == "text" else ev.RealtimeTranscriptDelta,
        now,
        item_id=series.item_id,
        content_index=series.content_index,
        role=series.role,
        delta=delta,
    )


HANDLERS: dict[str, Handler] = {
    "session.updated": _session_updated,
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
    "input_audio_buffer.committed": _committed,
    "input_audio_buffer.cleared": _cleared,
    "input_audio_buffer.timeout_triggered": _timeout_triggered,
    "conversation.item.added": _item,
    "conversation.item.created": _item,
    "conversation.item.done": _item,
    "conversation.item.deleted": _item_removed,
    "conversation.item.truncated": _item_truncated,
    "conversation.item.input_audio_transcription.delta": _transcription_delta,
    "conversation.item.input_audio_transcription.completed": _transcription_completed,
    "conversation.item.input_audio_transcription.failed": _transcription_failed,
    "response.created": _response_created,
    "response.output_item.added": _output_item,
    "response.output_item.done": _output_item_done,
    "response.output_audio.done": _audio_done,
    "response.output_audio_transcript.delta": _delta("transcript"),
    "response.output_audio_transcript.done": _done("transcript", "transcript"),
    "response.output_text.delta": _delta("text"),
    "response.output_text.done": _done("text", "text"),
    "response.done": _response_done,
    "error": error_event,
}
