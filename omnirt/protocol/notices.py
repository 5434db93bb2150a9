"""Notifications about a session as such: its usage, flow, errors and end. The others are in `events`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import UNSET, Struct, UnsetType

from omnirt.protocol.types import CloseReason, ErrorInfo, Event, InputTokens, OutputTokens, Upstream


class RealtimeUsage(Event, kw_only=True):
    """Running totals of the session, the members of `Usage`."""

    METHOD = "realtime.usage"
    SOURCE = "response.done, conversation.item.input_audio_transcription.completed"

    input_tokens: int | UnsetType = UNSET
    output_tokens: int | UnsetType = UNSET
    total_tokens: int | UnsetType = UNSET
    input: InputTokens
    output: OutputTokens
    seconds: float | UnsetType = UNSET


class RealtimeFlow(Event):
    """Audio that a slow host (`output`), provider (`input`) or disk (`storage`) could not take."""

    METHOD = "realtime.flow"
    SOURCE = "the bounds of the daemon's own queues"

    direction: Literal["output", "input", "storage"]
    lost: bool
    dropped_ms: int
    queued_bytes: int
    item_id: str | UnsetType = UNSET
    from_ms: int | UnsetType = UNSET


class RealtimeError(Event):
    """Something went wrong; most are not fatal and the talk goes on."""

    METHOD = "realtime.error"
    SOURCE = "error events of the provider, failed notifications of the host, faults of the daemon"

    kind: str
    message: str
    retryable: bool
    fatal: bool
    upstream: Upstream | UnsetType = UNSET
    method: str | UnsetType = UNSET
    count: int | UnsetType = UNSET
    path: str | UnsetType = UNSET


class RealtimeClosed(Event):
    """The session is over; always the last event."""

    METHOD = "realtime.closed"
    SOURCE = "the end of the session"

    reason: CloseReason
    error: ErrorInfo | UnsetType = UNSET


class RealtimeRaw(Event):
    """The provider's event as it came; only with `raw: true`."""

    METHOD = "realtime.raw"
    SOURCE = "every event of the provider"

    event: Any


class LogMessage(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """For the user's eyes; belongs to no session."""

    METHOD: ClassVar[str] = "log.message"
    SOURCE: ClassVar[str] = "notifications that could not be served"

    level: Literal["debug", "info", "warning", "error"]
    message: str
