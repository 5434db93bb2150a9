"""The statements that store a run, and the rows made of what the session layer hands over."""

from __future__ import annotations

import json

import msgspec

from omnirt.protocol.types import Event, Item, Usage
from omnirt.storage.database import Row, Value
from omnirt.storage.records import Heard, RunInfo, Side

_SESSION = """INSERT INTO sessions (session_id, project_slug, agent_slug, started_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (session_id) DO NOTHING"""
# Runs of a session are in the order of their start, also when the clock was set back between them.
_RUN = """INSERT INTO runs (run_id, session_id, agent, provider, model, record, input_format, input_rate,
    output_format, output_rate, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, (SELECT
        CASE WHEN max(started_at) >= ?11
            THEN strftime('%Y-%m-%dT%H:%M:%fZ', max(started_at), '+0.001 seconds')
        ELSE ?11 END FROM runs WHERE session_id = ?2))
    ON CONFLICT (run_id) DO NOTHING"""
_RUN_EXISTS = "SELECT 1 FROM runs WHERE run_id = ?"
_OPEN_RUNS = """SELECT run_id, session_id FROM runs WHERE ended_at IS NULL AND (?1 IS NULL OR session_id = ?1)
    LIMIT ?2"""
_RUN_END = "UPDATE runs SET ended_at = max(?, started_at), reason = ?, duration_ms = ? WHERE run_id = ?"
_RUN_AGENT = "UPDATE runs SET active_agent = ? WHERE run_id = ?"
_RUN_DELETE = "DELETE FROM runs WHERE run_id = ?"
_SESSION_DELETE = """DELETE FROM sessions
    WHERE session_id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE session_id = ?1)"""
_ITEM = """INSERT INTO items (run_id, item_id, position, type, role, status, at_ms, json)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (run_id, item_id) DO UPDATE SET type = excluded.type, role = excluded.role,
    status = excluded.status, at_ms = excluded.at_ms, json = excluded.json"""
_ITEM_DELETE = "DELETE FROM items WHERE run_id = ? AND item_id = ?"
_USAGE = """INSERT INTO usage (run_id, input_tokens, output_tokens, total_tokens, json) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (run_id) DO UPDATE SET input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens, total_tokens = excluded.total_tokens, json = excluded.json"""
_TOLD = "INSERT INTO told (run_id, position, method, json) VALUES (?, ?, ?, ?)"
_AUDIO = """INSERT INTO audio (run_id, item_id, content_index, side, path, at_ms, duration_ms, dropped_ms,
    heard_ms, played_at_ms, interrupted, final) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (run_id, side, item_id, content_index) DO UPDATE SET duration_ms = excluded.duration_ms,
    dropped_ms = excluded.dropped_ms, heard_ms = excluded.heard_ms, played_at_ms = excluded.played_at_ms,
    interrupted = excluded.interrupted, final = excluded.final"""


def start_rows(info: RunInfo) -> list[Row]:
    """The session and the run, unless they are stored already."""
    session = (info.session_id, info.project_slug, info.agent_slug, info.started_at)
    run = (info.run_id, info.session_id, info.agent, info.provider, info.model, info.record)
    audio = (info.input_format, info.input_rate, info.output_format, info.output_rate)
    return [_row(_SESSION, *session), _row(_RUN, *run, *audio, info.started_at)]


def run_exists(run_id: str) -> Row:
    """A query that finds something when the run is stored."""
    return _row(_RUN_EXISTS, run_id)


def open_runs(session_id: str | None, at_most: int) -> Row:
    """A query for runs without an end, with their sessions: of one session, or of all."""
    return _row(_OPEN_RUNS, session_id, at_most)


def agent_row(info: RunInfo, agent: str) -> Row:
    """Who answers in a run from here on."""
    return _row(_RUN_AGENT, agent, info.run_id)


def end_row(info: RunInfo, reason: str, ended_at: str, duration_ms: int) -> Row:
    """How a run ended."""
    return _row(_RUN_END, ended_at, reason, duration_ms, info.run_id)


def discard_rows(info: RunInfo) -> list[Row]:
    """Forget a run, and its session unless that has others."""
    return [_row(_RUN_DELETE, info.run_id), _row(_SESSION_DELETE, info.session_id)]


def item_row(info: RunInfo, item: Item, position: int) -> Row:
    """An item as it is now; the position of its first row stays."""
    role = None if item.role is msgspec.UNSET else item.role
    head = (info.run_id, item.item_id, position, item.type, role, item.status, item.at_ms)
    return _row(_ITEM, *head, _json(item))


def item_delete_row(info: RunInfo, item_id: str) -> Row:
    """Forget an item."""
    return _row(_ITEM_DELETE, info.run_id, item_id)


def told_row(info: RunInfo, event: Event, position: int) -> Row:
    """Something that the host was told."""
    return _row(_TOLD, info.run_id, position, event.METHOD, _json(event))


def usage_row(info: RunInfo, usage: Usage) -> Row:
    """The totals of a run so far."""
    totals = (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    counts = [None if count is msgspec.UNSET else count for count in totals]
    return _row(_USAGE, info.run_id, *counts, _json(usage))


def audio_row(
    run_id: str,
    side: Side,
    item_id: str,
    content_index: int,
    path: str,
    *,
    at_ms: int,
    duration_ms: int,
    dropped_ms: int,
    heard: Heard | None,
    final: bool,
) -> Row:
    """What is known of an audio file; `path` is relative to the data directory."""
    part = (run_id, item_id, content_index, side, path, at_ms, duration_ms, dropped_ms)
    known = (heard.heard_ms, heard.played_at_ms, int(heard.interrupted)) if heard else (None, None, 0)
    return _row(_AUDIO, *part, *known, int(final))


def _row(sql: str, *values: Value) -> Row:
    # A lone surrogate (JSON can hold one) is no text for SQLite; it is stored as its escape.
    return Row(
        sql,
        tuple(
            value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for value in values
        ),
    )


def _json(value: Item | Usage | Event) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate again; the standard library escapes it
        return json.dumps(msgspec.to_builtins(value))
