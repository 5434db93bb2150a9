"""METHODS: what a host may ask, with the shapes of params and results (about the daemon: `lifecycle`)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from omnirt.protocol.lifecycle import (
    CancelParams as CancelParams,
    ClientInfo as ClientInfo,
    HostCapabilities as HostCapabilities,
    InitializeParams as InitializeParams,
    InitializeResult as InitializeResult,
    Limits as Limits,
    NoParams as NoParams,
    ServerCapabilities as ServerCapabilities,
    ServerInfo as ServerInfo,
    ServerStatsResult as ServerStatsResult,
)
from omnirt.protocol.types import (
    AudioFileInfo,
    AudioSpec,
    CloseReason,
    Empty,
    Features,
    Idle,
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


class SessionStartParams(Params):
    """`session.start`."""

    NOT_YET: ClassVar[dict[str, str]] = {
        "resume": "going on with a stored session",
        "record": "recording the host's side as well",
        "limits": "limits of a session",
        "devices": "microphone and loudspeaker of the daemon's own",
    }
    IDLE: ClassVar[Idle] = {"resume": (None, False), "limits": (None, {}), "devices": (None, {})}

    agent: str | dict[str, Any]
    session_id: SessionId | None = None
    variables: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    realtime: dict[str, Any] | None = None
    record: Literal["assistant", "none"] | None = None
    raw: bool | None = None
    input_audio: SampleRate | None = None
    output_audio: SampleRate | None = None


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


class MethodSpec(NamedTuple):
    """One row of METHODS.

    `ordered`: an input of a session, which keeps its place among the others of that session.
    `request`, `notification`: in which forms it may be sent.
    `cancellable`: whether `$/cancelRequest` reaches it.
    """

    params: type[Struct]
    result: type[Struct]
    doc: str
    ordered: bool = False
    request: bool = True
    notification: bool = True
    cancellable: bool = True


METHODS: dict[str, MethodSpec] = {
    "initialize": MethodSpec(
        InitializeParams,
        InitializeResult,
        "Says who the host is and learns what the daemon offers.",
        notification=False,
    ),
    "initialized": MethodSpec(NoParams, Empty, "Accepted, means nothing.", request=False),
    "ping": MethodSpec(NoParams, Empty, "Answers at once."),
    "shutdown": MethodSpec(
        NoParams,
        Empty,
        "Closes every session and flushes storage; only `exit` is legal after it.",
        cancellable=False,
    ),
    "exit": MethodSpec(NoParams, Empty, "Ends the process: code 0 after `shutdown`, else 1."),
    "$/cancelRequest": MethodSpec(
        CancelParams, Empty, "The request is answered -32800 unless done.", request=False
    ),
    "rpc.discover": MethodSpec(NoParams, Result, "The OpenRPC document, the same as schemas/openrpc.json."),
    "server.stats": MethodSpec(NoParams, ServerStatsResult, "Uptime, memory, sessions, queues."),
    "session.start": MethodSpec(
        SessionStartParams,
        SessionStartResult,
        "Starts a session; answered once connected.",
        notification=False,
    ),
    "session.sendAudio": MethodSpec(
        SessionSendAudioParams,
        SessionSendAudioResult,
        "Queues audio; `commit: true` ends the turn and asks for a response.",
        ordered=True,
    ),
    "session.sendText": MethodSpec(
        SessionSendTextParams,
        Empty,
        "Sends a user text and asks for a response unless `respond: false`.",
        ordered=True,
    ),
    "session.sendMessage": MethodSpec(
        SessionSendMessageParams, Empty, "Sends a user or system message of text and images.", ordered=True
    ),
    "session.respond": MethodSpec(
        SessionRespondParams, Empty, "Asks for a response: the agent speaks first.", ordered=True
    ),
    "session.clearAudio": MethodSpec(SessionParams, Empty, "Drops uncommitted input audio.", ordered=True),
    "session.interrupt": MethodSpec(
        SessionInterruptParams, SessionInterruptResult, "Cancels the response and cuts what is playing."
    ),
    "session.playback": MethodSpec(SessionPlaybackParams, Empty, "Reports how far the host's speaker is."),
    "session.update": MethodSpec(
        SessionUpdateParams, Empty, "Swaps the active agent, its variables or its settings.", ordered=True
    ),
    "session.wait": MethodSpec(
        SessionWaitParams, SessionWaitResult, "Waits until the session is idle, or closed.", ordered=True
    ),
    "session.get": MethodSpec(SessionParams, SessionInfo, "One live session.", notification=False),
    "session.list": MethodSpec(NoParams, SessionListResult, "All live sessions.", notification=False),
    "session.stop": MethodSpec(SessionStopParams, SessionStopResult, "Ends a session.", cancellable=False),
}
