"""Shapes of params and results of `history.*` and `audio.*`: what is stored of live and ended sessions."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from omnirt.protocol.types import (
    AudioFileInfo,
    AudioFormat,
    CloseReason,
    Index,
    Item,
    Millis,
    Params,
    Result,
)

LIST_LIMIT = 50
MAX_LIST_LIMIT = 500
GET_LIMIT = 200
MAX_GET_LIMIT = 2000
MAX_QUERY = 1000

Limit = Annotated[int, Meta(ge=1, le=2**31 - 1, description="A page has no more; it may have fewer")]
Query = Annotated[str, Meta(max_length=MAX_QUERY)]
Cursor = Annotated[str, Meta(max_length=4096, description="`nextCursor` of the page before")]


class HistoryListParams(Params):
    """`history.list`: the newest sessions first; `query` finds those with an item that has all its words."""

    project_slug: str | None = None
    agent_slug: str | None = None
    query: Query | None = None
    limit: Limit | None = None
    cursor: Cursor | None = None


class StoredSession(Result, kw_only=True):
    """A stored session: who it was with and how long; no `endedAt` while it is live."""

    session_id: str
    agent: str
    project_slug: str
    agent_slug: str
    started_at: str
    ended_at: str | UnsetType = UNSET
    reason: CloseReason | UnsetType = UNSET
    duration_ms: int


class HistoryListResult(Result):
    """`history.list`."""

    sessions: list[StoredSession]
    next_cursor: str | UnsetType = UNSET


class HistoryGetParams(Params):
    """`history.get`: the items of all runs, the oldest first."""

    session_id: str
    limit: Limit | None = None
    cursor: Cursor | None = None


class StoredItem(Item):
    """An item with the run that it belongs to, from whose start `atMs` counts."""

    run_id: str


class StoredAudio(AudioFileInfo):
    """A WAV file with the run that it belongs to, and its place on the run's clock."""

    run_id: str
    at_ms: int


class HistoryGetResult(Result):
    """`history.get`: a page of the items, and the files of the same stretch of time."""

    session: StoredSession
    items: list[StoredItem]
    audio: list[StoredAudio]
    next_cursor: str | UnsetType = UNSET


class HistoryDeleteParams(Params):
    """`history.delete`."""

    session_id: str


class HistoryDeleteResult(Result):
    """`history.delete`: what is gone."""

    deleted_rows: int
    deleted_files: int


class AudioReadParams(Params):
    """`audio.read`: a stretch of the audio of an item; of the host's side when `itemId` is empty.

    Without `runId` it is that of the last run that has any.
    """

    session_id: str
    item_id: str
    content_index: Index | None = None
    offset_ms: Millis | None = None
    length_ms: Millis | None = None
    run_id: str | None = None


class AudioReadResult(Result):
    """`audio.read`: audio in the format it is stored in, and what stretch of the whole it is."""

    audio: bytes
    format: AudioFormat
    sample_rate: int
    offset_ms: int
    length_ms: int
    total_ms: int


class AudioExportParams(Params):
    """`audio.export`: without `itemId` the whole conversation, of the run `runId` or of all."""

    session_id: str
    path: str
    item_id: str | None = None
    overwrite: bool | None = None
    run_id: str | None = None


class AudioExportResult(Result):
    """`audio.export`."""

    path: str
    duration_ms: int
    channels: int
