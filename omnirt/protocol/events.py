"""EVENTS: the notifications, with shapes and sources.

Those on the session as such are in `notices`, those on tools and agents in `agent_events`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from omnirt.protocol.agent_events import (
    RealtimeAgentEnd as RealtimeAgentEnd,
    RealtimeAgentStart as RealtimeAgentStart,
    RealtimeGuardrailTripped as RealtimeGuardrailTripped,
    RealtimeHandoff as RealtimeHandoff,
    RealtimeMcpStatus as RealtimeMcpStatus,
    RealtimeToolApprovalResolved as RealtimeToolApprovalResolved,
    RealtimeToolEnd as RealtimeToolEnd,
    RealtimeToolStart as RealtimeToolStart,
)
from omnirt.protocol.notices import (
    LogMessage as LogMessage,
    RealtimeClosed as RealtimeClosed,
    RealtimeError as RealtimeError,
    RealtimeFlow as RealtimeFlow,
    RealtimeRaw as RealtimeRaw,
    RealtimeUsage as RealtimeUsage,
)
from omnirt.protocol.types import (
    ErrorInfo,
    Event,
    Item,
    ResponseStatus,
    Usage,
)


class RealtimeState(Event):
    """The state of the talk changed; `connected` is the first event of a run.

    With `reconnecting`: which attempt it is, from 1, in how long it is made, and why. With the `connected`
    after it: which one succeeded, how long there was no connection, whether the model knows the whole talk.
    """

    METHOD = "realtime.state"
    SOURCE = "session state table: every input, response and speech event"

    state: Literal[
        "connected", "listening", "userSpeaking", "thinking", "speaking", "reconnecting", "closing"
    ]
    attempt: int | UnsetType = UNSET
    delay_ms: int | UnsetType = UNSET
    cause: Literal["connectionLost", "expired", "expiring"] | UnsetType = UNSET
    gap_ms: int | UnsetType = UNSET
    restored: bool | UnsetType = UNSET


class RealtimeAudio(Event):
    """A chunk of the agent's speech; `offsetMs` is its place in the item's part, `deltaMs` its length."""

    METHOD = "realtime.audio"
    SOURCE = "response.output_audio.delta"

    response_id: str
    item_id: str
    content_index: int
    audio: bytes
    offset_ms: int
    delta_ms: int
    audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"]


class RealtimeAudioEnd(Event):
    """No more audio of this part; `file` is where it was stored."""

    METHOD = "realtime.audioEnd"
    SOURCE = "response.output_audio.done, or the end of its response"

    item_id: str
    content_index: int
    total_ms: int
    file: str | UnsetType = UNSET


class RealtimeAudioInterrupted(Event):
    """The host empties its player: the user heard `heardMs` of the `generatedMs` of this part."""

    METHOD = "realtime.audioInterrupted"
    SOURCE = "session.interrupt, or input_audio_buffer.speech_started (barge-in)"

    item_id: str
    content_index: int
    was_playing: bool
    heard_ms: int
    generated_ms: int


class TranscriptEvent(Event):
    """Fields of every transcript and text event."""

    item_id: str
    content_index: int
    role: Literal["user", "assistant"]


class RealtimeTranscriptDelta(TranscriptEvent):
    """A piece of the transcript of speech."""

    METHOD = "realtime.transcriptDelta"
    SOURCE = "response.output_audio_transcript.delta, conversation.item.input_audio_transcription.delta"

    delta: str


class RealtimeTranscriptDone(TranscriptEvent):
    """The whole transcript, authoritative; `heardText` when it is known already what of it was heard.

    `error` when the transcription failed.
    """

    METHOD = "realtime.transcriptDone"
    SOURCE = (
        "response.output_audio_transcript.done, conversation.item.input_audio_transcription.completed/failed"
    )

    text: str
    heard_text: str | UnsetType = UNSET
    error: ErrorInfo | UnsetType = UNSET


class RealtimeTextDelta(TranscriptEvent):
    """A piece of text output."""

    METHOD = "realtime.textDelta"
    SOURCE = "response.output_text.delta"

    delta: str


class RealtimeTextDone(TranscriptEvent):
    """The whole text, authoritative."""

    METHOD = "realtime.textDone"
    SOURCE = "response.output_text.done"

    text: str
    error: ErrorInfo | UnsetType = UNSET


class RealtimeItemAdded(Event):
    """A new item of the conversation."""

    METHOD = "realtime.itemAdded"
    SOURCE = "conversation.item.added"

    item: Item


class RealtimeItemUpdated(Event):
    """An item changed; only the changed one is sent."""

    METHOD = "realtime.itemUpdated"
    SOURCE = "conversation.item.done, transcripts, truncation"

    item: Item


class RealtimeItemRemoved(Event):
    """An item is gone from the conversation."""

    METHOD = "realtime.itemRemoved"
    SOURCE = "conversation.item.deleted"

    item_id: str


class RealtimeResponseStart(Event):
    """The provider began a response."""

    METHOD = "realtime.responseStart"
    SOURCE = "response.created"

    response_id: str


class Latency(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Where the time of a response went, in ms; absent where it does not apply."""

    speech_end_to_first_audio_ms: int | UnsetType = UNSET
    request_to_first_audio_ms: int | UnsetType = UNSET
    first_audio_to_host_ms: int | UnsetType = UNSET


class RealtimeResponseEnd(Event):
    """A response ended; a failed one says why."""

    METHOD = "realtime.responseEnd"
    SOURCE = "response.done"

    response_id: str
    status: ResponseStatus
    reason: str | UnsetType = UNSET
    error: ErrorInfo | UnsetType = UNSET
    usage: Usage | UnsetType = UNSET
    latency: Latency | UnsetType = UNSET


class InputSpeechEvent(Event):
    """Fields of the events on the user's speech; `audioMs` counts the input audio sent so far."""

    item_id: str | UnsetType = UNSET
    audio_ms: int | UnsetType = UNSET


class RealtimeInputSpeechStart(InputSpeechEvent):
    """The user began to speak."""

    METHOD = "realtime.inputSpeechStart"
    SOURCE = "input_audio_buffer.speech_started"


class RealtimeInputSpeechEnd(InputSpeechEvent):
    """The user stopped speaking."""

    METHOD = "realtime.inputSpeechEnd"
    SOURCE = "input_audio_buffer.speech_stopped, or committed without one"


class RealtimeInputTimeout(InputSpeechEvent):
    """Nobody spoke for the idle time of the turn detection."""

    METHOD = "realtime.inputTimeout"
    SOURCE = "input_audio_buffer.timeout_triggered"


_SESSION_EVENTS: tuple[type[Event], ...] = (
    RealtimeState,
    RealtimeAudio,
    RealtimeAudioEnd,
    RealtimeAudioInterrupted,
    RealtimeTranscriptDelta,
    RealtimeTranscriptDone,
    RealtimeTextDelta,
    RealtimeTextDone,
    RealtimeItemAdded,
    RealtimeItemUpdated,
    RealtimeItemRemoved,
    RealtimeResponseStart,
    RealtimeResponseEnd,
    RealtimeToolStart,
    RealtimeToolEnd,
    RealtimeToolApprovalResolved,
    RealtimeAgentStart,
    RealtimeAgentEnd,
    RealtimeHandoff,
    RealtimeGuardrailTripped,
    RealtimeInputSpeechStart,
    RealtimeInputSpeechEnd,
    RealtimeInputTimeout,
    RealtimeMcpStatus,
    RealtimeUsage,
    RealtimeFlow,
    RealtimeError,
    RealtimeClosed,
    RealtimeRaw,
)

EVENTS: dict[str, type[Event] | type[LogMessage]] = {
    **{event.METHOD: event for event in _SESSION_EVENTS},
    LogMessage.METHOD: LogMessage,
}
