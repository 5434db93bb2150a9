"""METHODS: what a host may ask, with their rules (the shapes: `lifecycle`, `session_methods`)."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from omnirt.protocol.agent_methods import (
    AgentEntry as AgentEntry,
    AgentListResult as AgentListResult,
    AgentProblem as AgentProblem,
    AgentValidateParams as AgentValidateParams,
    AgentValidateResult as AgentValidateResult,
)
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
from omnirt.protocol.session_methods import (
    MAX_WAIT_MS as MAX_WAIT_MS,
    WAIT_TIMEOUT_MS as WAIT_TIMEOUT_MS,
    EndedResponse as EndedResponse,
    InputImage as InputImage,
    InputText as InputText,
    SessionInterruptParams as SessionInterruptParams,
    SessionInterruptResult as SessionInterruptResult,
    SessionLimits as SessionLimits,
    SessionListResult as SessionListResult,
    SessionParams as SessionParams,
    SessionPlaybackParams as SessionPlaybackParams,
    SessionRespondParams as SessionRespondParams,
    SessionSendAudioParams as SessionSendAudioParams,
    SessionSendAudioResult as SessionSendAudioResult,
    SessionSendMessageParams as SessionSendMessageParams,
    SessionSendTextParams as SessionSendTextParams,
    SessionStartParams as SessionStartParams,
    SessionStartResult as SessionStartResult,
    SessionStopParams as SessionStopParams,
    SessionStopResult as SessionStopResult,
    SessionUpdateParams as SessionUpdateParams,
    SessionWaitParams as SessionWaitParams,
    SessionWaitResult as SessionWaitResult,
)
from omnirt.protocol.stored_methods import (
    AudioExportParams as AudioExportParams,
    AudioExportResult as AudioExportResult,
    AudioReadParams as AudioReadParams,
    AudioReadResult as AudioReadResult,
    HistoryDeleteParams as HistoryDeleteParams,
    HistoryDeleteResult as HistoryDeleteResult,
    HistoryGetParams as HistoryGetParams,
    HistoryGetResult as HistoryGetResult,
    HistoryListParams as HistoryListParams,
    HistoryListResult as HistoryListResult,
    StoredAudio as StoredAudio,
    StoredItem as StoredItem,
    StoredSession as StoredSession,
)
from omnirt.protocol.types import Empty, Result, SessionInfo


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
    "agent.list": MethodSpec(
        NoParams, AgentListResult, "The agents that can be started by name.", notification=False
    ),
    "agent.validate": MethodSpec(
        AgentValidateParams,
        AgentValidateResult,
        "All that would keep an agent from being started.",
        notification=False,
    ),
    "history.list": MethodSpec(
        HistoryListParams, HistoryListResult, "Stored sessions, the newest first.", notification=False
    ),
    "history.get": MethodSpec(
        HistoryGetParams, HistoryGetResult, "The items and files of a stored session.", notification=False
    ),
    "history.delete": MethodSpec(
        HistoryDeleteParams, HistoryDeleteResult, "Deletes a session that is not live.", notification=False
    ),
    "audio.read": MethodSpec(
        AudioReadParams, AudioReadResult, "A stretch of a recording, as it is stored.", notification=False
    ),
    "audio.export": MethodSpec(
        AudioExportParams,
        AudioExportResult,
        "Writes an item, or a conversation in stereo, as a WAV file.",
        notification=False,
    ),
}
