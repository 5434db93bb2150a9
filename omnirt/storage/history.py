"""Questions to the database about stored sessions: which there are, and what was said in one.

All of it runs in a thread of whoever asks, on a connection of its own (`reading`).
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast, get_args

import msgspec
from msgspec import UNSET

from omnirt.errors import OmnirtError
from omnirt.protocol.stored_methods import (
    GET_LIMIT,
    LIST_LIMIT,
    MAX_GET_LIMIT,
    MAX_LIST_LIMIT,
    HistoryGetParams,
    HistoryGetResult,
    HistoryListParams,
    HistoryListResult,
    StoredAudio,
    StoredItem,
    StoredSession,
)
from omnirt.protocol.types import CloseReason, Item
from omnirt.storage.cursors import cursor_of, key_of
from omnirt.storage.patience import Patience
from omnirt.storage.reading import reading

MAX_PAGE_BYTES = 4 << 20
"""Of the items of a page; a result has 8 MiB at most, with room for the files."""
MAX_FILES = 800
"""Of a page; each takes some 500 bytes, and 5000 at most."""
_MEMBERS = 100
"""An item itself has fewer."""
_QUOTE = '"'

# A run that goes on, or that nobody ended, lasts as long as what is stored of it.
_DURATION = """coalesce(duration_ms, max(
    coalesce((SELECT max(at_ms) FROM items WHERE run_id = runs.run_id), 0),
    coalesce((SELECT max(at_ms + duration_ms) FROM audio WHERE run_id = runs.run_id), 0)))"""
_SESSION = f"""SELECT session_id, project_slug, agent_slug, started_at,
    (SELECT sum({_DURATION}) FROM runs WHERE session_id = sessions.session_id)
    FROM sessions"""
_LAST_RUN = """SELECT coalesce(active_agent, agent), ended_at, reason FROM runs WHERE session_id = ?
    ORDER BY started_at DESC, rowid DESC LIMIT 1"""
_SAID = """session_id IN (SELECT session_id FROM runs WHERE run_id IN
    (SELECT run_id FROM items WHERE id IN (SELECT rowid FROM words WHERE words MATCH ?)))"""
_ITEMS = """SELECT runs.started_at, run_id, position, items.at_ms, json FROM items JOIN runs USING (run_id)
    WHERE session_id = ? AND (runs.started_at, run_id, position) > (?, ?, ?)
    ORDER BY runs.started_at, run_id, position LIMIT ?"""
_EARLIER_AGENTS = """SELECT agent, coalesce(active_agent, agent) FROM runs
    WHERE session_id = ? AND run_id <> ? ORDER BY started_at DESC, rowid DESC LIMIT 1"""
_EARLIER_ITEMS = """SELECT run_id, json FROM items JOIN runs USING (run_id)
    WHERE session_id = ? AND run_id <> ? ORDER BY runs.started_at DESC, run_id DESC, position DESC LIMIT ?"""
_AUDIO = """SELECT runs.started_at, run_id, at_ms, id, path, side, item_id, content_index, audio.duration_ms
    FROM audio JOIN runs USING (run_id)
    WHERE session_id = ?1 AND (runs.started_at, run_id, at_ms, id) > (?2, ?3, ?4, ?5)
    AND (?6 IS NULL OR (runs.started_at, run_id, at_ms) < (?6, ?7, ?8))
    ORDER BY runs.started_at, run_id, at_ms, id LIMIT ?9"""


# What SQLite takes for one.
_Number = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]


class _ListKey(msgspec.Struct, array_like=True, frozen=True):
    """The last session of a page."""

    started_at: str
    session_id: str


class _PageKey(msgspec.Struct, array_like=True, frozen=True):
    """The last item (start and id of its run, position) and file (the same, time, row) of a page."""

    item: tuple[str, str, _Number]
    file: tuple[str, str, _Number, _Number]


_BEFORE_ALL = _PageKey(("", "", -1), ("", "", -1, -1))


def list_sessions(data_dir: Path, params: HistoryListParams, patience: Patience) -> HistoryListResult:
    """A page of the stored sessions, those that began last first.

    Raises:
        OmnirtError: `invalid_params` for a cursor that is none, `storage_failed`, `timed_out`.
    """
    where, values = ["1"], list[Any]()
    for column, value in (("project_slug", params.project_slug), ("agent_slug", params.agent_slug)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    if params.query is not None and params.query.strip():
        match = match_of(params.query)
        where.append(_SAID if match else "0")
        values += [match] if match else []
    key = key_of(params.cursor, _ListKey)
    if key is not None:
        where.append("(started_at, session_id) < (?, ?)")
        values += (key.started_at, key.session_id)
    limit = min(params.limit or LIST_LIMIT, MAX_LIST_LIMIT)
    sql = f"{_SESSION} WHERE {' AND '.join(where)} ORDER BY started_at DESC, session_id DESC LIMIT ?"
    with reading(data_dir, patience) as connection:
        if connection is None:
            return HistoryListResult(sessions=[])
        rows = connection.execute(sql, [*values, limit + 1]).fetchall()
        sessions = [_session(connection, row) for row in rows[:limit]]
    last = sessions[-1] if len(rows) > limit else None
    following = UNSET if last is None else cursor_of(_ListKey(last.started_at, last.session_id))
    return HistoryListResult(sessions=sessions, next_cursor=following)


def get_session(data_dir: Path, params: HistoryGetParams, patience: Patience) -> HistoryGetResult:
    """A page of a session: its items in order, and the files that lie between them in time.

    Raises:
        OmnirtError: `not_found`; `invalid_params` for a cursor that is none, `storage_failed`, `timed_out`.
    """
    key = key_of(params.cursor, _PageKey) or _BEFORE_ALL
    with reading(data_dir, patience) as connection:
        session = find_session(connection, params.session_id)
        limit = min(params.limit or GET_LIMIT, MAX_GET_LIMIT)
        values = (params.session_id, *key.item, limit + 1)
        rows = connection.execute(_ITEMS, values).fetchall() if connection is not None else []
        taken = _within(rows[:limit])
        # The page of files ends where the next page of items begins.
        until = (*rows[taken][:2], rows[taken][3]) if len(rows) > taken else (None, None, None)
        bounds = (params.session_id, *key.file, *until, MAX_FILES + 1)
        files = connection.execute(_AUDIO, bounds).fetchall() if connection is not None else []
    kept = files[:MAX_FILES]
    more = len(rows) > taken or len(files) > len(kept)
    following = _PageKey(
        item=tuple(rows[taken - 1][:3]) if taken else key.item,
        file=tuple(kept[-1][:4]) if kept else key.file,
    )
    return HistoryGetResult(
        session=session,
        items=[stored_item(run_id, text) for _, run_id, _, _, text in rows[:taken]],
        audio=[_file(data_dir, row) for row in kept],
        next_cursor=cursor_of(following) if more else UNSET,
    )


class EarlierRuns(NamedTuple):
    """What a session that is to go on was before: the agents of its last run, and its last items in order."""

    agent: str
    active_agent: str
    items: list[StoredItem]


def earlier_runs(
    data_dir: Path, session_id: str, run_id: str, limit: int, patience: Patience
) -> EarlierRuns | None:
    """The runs of a session before the one that begins; None when there are none.

    Raises:
        OmnirtError: `storage_failed`, `timed_out`.
    """
    with reading(data_dir, patience) as connection:
        if connection is None:
            return None
        agents = connection.execute(_EARLIER_AGENTS, (session_id, run_id)).fetchone()
        if agents is None:
            return None
        rows = connection.execute(_EARLIER_ITEMS, (session_id, run_id, limit)).fetchall()
    agent, active_agent = agents
    return EarlierRuns(agent, active_agent, [stored_item(run_id, text) for run_id, text in reversed(rows)])


def find_session(connection: sqlite3.Connection | None, session_id: str) -> StoredSession:
    """A stored session.

    Raises:
        OmnirtError: `not_found`.
    """
    row = None
    if connection is not None:
        row = connection.execute(f"{_SESSION} WHERE session_id = ?", (session_id,)).fetchone()
    if connection is None or row is None:
        raise OmnirtError("not_found", f"No session with the id {session_id[:128]!r} is stored.")
    return _session(connection, row)


def match_of(query: str) -> str:
    """The full-text query that asks for all the words of what a user typed; `word*` finds its beginnings."""
    words = query.replace("\0", " ").split()
    quoted = (
        '"{}"{}'.format(word.rstrip("*").replace('"', '""'), "*" * word.endswith("*")) for word in words
    )
    # Punctuation alone would find nothing, as no text has it among its words.
    return " ".join(phrase for word, phrase in zip(words, quoted, strict=True) if any(map(str.isalnum, word)))


def stored_item(run_id: str, text: str) -> StoredItem:
    """An item from its row.

    Raises:
        OmnirtError: `storage_failed`: the row is damaged.
    """
    try:
        item = msgspec.json.decode(_plain(text), type=Item)
    except (ValueError, RecursionError):
        message = "An item in the database is damaged; `omnirt storage verify --repair` leaves it out."
        raise OmnirtError("storage_failed", message) from None
    for limit in (100_000, 1000, 10):  # an output of a tool may have megabytes
        if len(msgspec.json.encode(item)) <= MAX_PAGE_BYTES:
            break
        item = msgspec.convert(_shortened(msgspec.to_builtins(item), limit), Item)
    return StoredItem(run_id=run_id, **msgspec.structs.asdict(item))


def _plain(text: str) -> bytes:
    """JSON without lone surrogates, which only the standard library's reader takes."""
    if "\\ud" not in text:
        return text.encode()
    return json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "replace")


def _session(connection: sqlite3.Connection, row: Sequence[Any]) -> StoredSession:
    session_id, project_slug, agent_slug, started_at, duration_ms = row
    agent, ended_at, reason = connection.execute(_LAST_RUN, (session_id,)).fetchone() or ("", None, None)
    known = reason in get_args(CloseReason)
    return StoredSession(
        session_id=session_id,
        agent=agent,
        project_slug=project_slug,
        agent_slug=agent_slug,
        started_at=started_at,
        ended_at=UNSET if ended_at is None else ended_at,
        reason=cast("CloseReason", reason) if known else UNSET,
        duration_ms=duration_ms or 0,
    )


def _within(rows: Sequence[Sequence[Any]]) -> int:
    """How many of the items fit into a page; one always does."""
    size = 0
    for count, row in enumerate(rows):
        size += min(len(row[4].encode()), MAX_PAGE_BYTES)
        if count and size > MAX_PAGE_BYTES:
            return count
    return len(rows)


def _file(data_dir: Path, row: Sequence[Any]) -> StoredAudio:
    _, run_id, at_ms, _, path, side, item_id, content_index, duration_ms = row
    return StoredAudio(
        path=str(data_dir / path),
        side="host" if side == "host" else "assistant",
        item_id=item_id or UNSET,
        content_index=content_index,
        duration_ms=duration_ms,
        run_id=run_id,
        at_ms=at_ms,
    )


def _shortened(value: Any, limit: int) -> Any:
    """A value of JSON with no text and no list longer than that."""
    match value:
        case str():
            return value if len(value) <= limit else f"{value[:limit]}…"
        case list():
            return [_shortened(each, limit) for each in value[:limit]]
        case dict():
            names = itertools.islice(value, max(limit, _MEMBERS))
            return {name: _shortened(value[name], limit) for name in names}
        case _:
            return value
