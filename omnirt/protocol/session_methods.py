"""Shapes of params and results of the `session.*` methods."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from omnirt.protocol.types import (
    AudioFileInfo,
    AudioSpec,
    CloseReason,
    Devices,
    DevicesInUse,
    Features,
    Index,
    Millis,
    Params,
    ProviderName,
    ResponseStatus,
    Result,
    SampleRate,
    SessionId,
    SessionInfo,
    Usage,
)

WAIT_TIMEOUT_MS = 120_000
MAX_WAIT_MS = 24 * 3600 * 1000


Minutes = Annotated[float, Meta(gt=0, le=MAX_WAIT_MS / 60_000)]


class SessionLimits(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """When the daemon ends a session by itself: after so long, so much silence, or so many tokens."""

    max_minutes: Minutes | None = None
    idle_minutes: Minutes | None = None
    max_total_tokens: Annotated[int, Meta(gt=0)] | None = None


class SessionStartParams(Params):
    """`session.start`."""

    agent: str | dict[str, Any]
    session_id: SessionId | None = None
    variables: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    realtime: dict[str, Any] | None = None
    record: Literal["assistant", "both", "none"] | None = None
    resume: bool | None = None
    raw: bool | None = None
    limits: SessionLimits | None = None
    input_audio: SampleRate | None = None
    output_audio: SampleRate | None = None
    devices: Devices | None = None


class SessionStartResult(Result):
    """`session.start`, once connected."""

    session_id: str
    run_id: str
    resumed: bool
    started_at: str
    agent: str
    provider: ProviderName
    model: str
    input_audio: AudioSpec
    output_audio: AudioSpec
    features: Features
    devices: DevicesInUse | UnsetType = UNSET


class SessionParams(Params):
    """Params that name a session and nothing else."""

    session_id: str


class SessionSendAudioParams(Params):
    """`session.sendAudio`: base64 of the session's input format."""

    session_id: str
    audio: bytes
    commit: bool | None = None


class SessionSendAudioResult(Result):
    """What was taken of this chunk, and what waits to go upstream, in ms."""

    accepted_ms: int
    queued_ms: int


class SessionSendTextParams(Params):
    """`session.sendText`."""

    session_id: str
    text: str
    respond: bool | None = None


class InputText(
    Struct, rename="camel", forbid_unknown_fields=True, tag="input_text", tag_field="type", kw_only=True
):
    """Text of a message."""

    text: str


class InputImage(
    Struct, rename="camel", forbid_unknown_fields=True, tag="input_image", tag_field="type", kw_only=True
):
    """An image of a message: an https or data URL."""

    image_url: Annotated[str, Meta(pattern="^(https?:|data:image/)")]
    detail: Literal["auto", "low", "high"] | None = None


class SessionSendMessageParams(Params):
    """`session.sendMessage`."""

    session_id: str
    content: Annotated[list[InputText | InputImage], Meta(min_length=1)]
    role: Literal["user", "system"] | None = None
    respond: bool | None = None


class SessionRespondParams(Params):
    """`session.respond`."""

    session_id: str
    instructions: str | None = None


class SessionInterruptParams(Params):
    """`session.interrupt`: `playedMs` says how far the host's speaker is in the item."""

    session_id: str
    item_id: str | None = None
    content_index: Index | None = None
    played_ms: Millis | None = None


class SessionInterruptResult(Result):
    """Whether a response was cancelled or an item cut; which, and how much of it was heard."""

    interrupted: bool
    item_id: str | UnsetType = UNSET
    heard_ms: int | UnsetType = UNSET


class SessionPlaybackParams(Params):
    """`session.playback`: a position, not an increment."""

    session_id: str
    item_id: str
    content_index: Index
    played_ms: Millis


class SessionUpdateParams(Params):
    """`session.update`: a new agent, new template variables, or realtime settings member by member."""

    session_id: str
    agent: str | dict[str, Any] | None = None
    variables: dict[str, Any] | None = None
    realtime: dict[str, Any] | None = None


class SessionWaitParams(Params):
    """`session.wait`."""

    session_id: str
    for_: Literal["idle", "closed"] | None = None
    timeout_ms: Annotated[int, Meta(ge=0, le=MAX_WAIT_MS)] | None = None


class EndedResponse(Result):
    """A response that ended since the last wait, with its text or the transcript of its speech."""

    response_id: str
    status: ResponseStatus
    text: str


class SessionWaitResult(Result):
    """`session.wait`."""

    state: Literal["idle", "closed"]
    responses: list[EndedResponse]


class SessionListResult(Result):
    """`session.list`."""

    sessions: list[SessionInfo]


class SessionStopParams(Params):
    """`session.stop`: `force` overtakes the waits for idle sent before."""

    session_id: str
    force: bool | None = None


class SessionStopResult(Result):
    """`session.stop`: the true reason of the end, and the files left."""

    reason: CloseReason
    duration_ms: int
    usage: Usage
    files: list[AudioFileInfo]
