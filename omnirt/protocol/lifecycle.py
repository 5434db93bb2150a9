"""Params and results of the methods about the daemon itself. Those about sessions are in `methods`."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from omnirt.protocol.types import Params, Queues, Result, SessionState


class ClientInfo(Struct, rename="camel", kw_only=True):
    """Who the host is, for the log."""

    name: str
    version: str | None = None


class HostCapabilities(Struct, rename="camel", kw_only=True):
    """Which calls the host answers."""

    tools: bool | None = None
    approvals: bool | None = None


class InitializeParams(Struct, rename="camel", kw_only=True):
    """Unknown members are ignored here, and only here."""

    protocol_version: Any = None
    client_info: ClientInfo | None = None
    process_id: int | None = None
    capabilities: HostCapabilities | None = None
    opt_out_notifications: list[str] | None = None


class ServerInfo(Result):
    """Name and version of the daemon."""

    name: str
    version: str


class ServerCapabilities(Result):
    """What this daemon offers, as arrays of names."""

    methods: list[str]
    notifications: list[str]
    calls: list[str]
    providers: list[str]


class Limits(Result):
    """The bounds a host should know: message size, live sessions, queued input, queued output."""

    max_message_bytes: int
    max_sessions: int
    input_queue_ms: int
    output_queue_bytes: int


class InitializeResult(Result):
    """The answer to `initialize`."""

    protocol_version: int
    server_info: ServerInfo
    capabilities: ServerCapabilities
    limits: Limits


class NoParams(Params):
    """No members."""


class CancelParams(Params):
    """The id of the request to cancel, any JSON-RPC id."""

    id: Any


class StorageBacklog(Struct, rename="camel", kw_only=True):
    """What the disk has not taken yet, the audio it was too slow for, and the runs it writes."""

    queued_bytes: int
    queued: int
    dropped_ms: int
    open_runs: int


class LiveSession(Struct, rename="camel", kw_only=True):
    """How one live session is doing; `droppedAudioMs` is what the host was too slow to take."""

    session_id: str
    run_id: str
    state: SessionState
    queues: Queues
    dropped_audio_ms: int
    reconnects: int


class ServerStatsResult(Result):
    """Figures for operators.

    `queues` has bytes or counts by name; `tasks` counts those of asyncio; `threads` and `descriptors` are
    those of the process, `reconnects` those of all sessions so far.
    """

    uptime_ms: int
    pid: int
    rss_bytes: int
    sessions: int
    queues: dict[str, int]
    dropped_audio_ms: int
    tasks: int
    threads: int
    reconnects: int
    storage: StorageBacklog
    live: list[LiveSession]
    descriptors: int | UnsetType = UNSET
