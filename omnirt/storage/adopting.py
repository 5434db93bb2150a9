"""Takes recordings into the history that the database does not know: their names tell whose they are.

A file is `audio/<project>/<agent>/<session>/<run>-<number>-<item>-<part>.wav` (see `paths`).
"""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from omnirt.storage.paths import safe_name
from omnirt.storage.sound import Recording

_NAME = re.compile(r"(?P<run>.+?)-(?P<number>\d{4,})-(?P<item>.+)-(?P<part>\d+)\.wav")
_RUNS = "SELECT run_id, started_at FROM runs WHERE session_id = ? ORDER BY started_at"
_SESSION = """INSERT INTO sessions (session_id, project_slug, agent_slug, started_at) VALUES (?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""
_RUN = """INSERT INTO runs (run_id, session_id, agent, provider, model, record, output_format,
    output_rate, started_at, ended_at, reason, duration_ms)
    VALUES (?, ?, ?, '', '', 'assistant', ?, ?, ?, ?, 'error', ?)"""
_RUN_LASTS = "UPDATE runs SET ended_at = max(ended_at, ?), duration_ms = max(duration_ms, ?) WHERE run_id = ?"
_AUDIO = """INSERT INTO audio (run_id, item_id, content_index, side, path, at_ms, duration_ms, dropped_ms,
    interrupted, final) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 1) ON CONFLICT DO NOTHING"""


class _Named(NamedTuple):
    """What a file's name says: its run's prefix, the item's name, which part."""

    run: str
    item: str
    part: int


def adopt(connection: sqlite3.Connection, data_dir: Path, path: Path) -> str:
    """Store a row for a recording, and a session and a run where there are none; returns the session's id."""
    match = _NAME.fullmatch(path.name)
    named = _Named(match["run"], match["item"], int(match["part"])) if match else _Named("lost", path.stem, 0)
    with Recording(path) as recording:
        total_ms = recording.total_ms
        form = (recording.format, recording.rate)
    written = path.stat().st_mtime
    session_id = _session(connection, path.parent, written - total_ms / 1000)
    run_id, started_at = _run(connection, path, session_id, named, form, written - total_ms / 1000)
    item_id, at_ms = _item(connection, run_id, named.item)
    if at_ms is None:
        # It was last written when its last sample came.
        at_ms = max(0, round((written - started_at) * 1000) - total_ms)
    side = "host" if named.item == "host" else "assistant"
    relative = path.relative_to(data_dir).as_posix()
    connection.execute(_AUDIO, (run_id, item_id, named.part, side, relative, at_ms, total_ms))
    connection.execute(
        _RUN_LASTS, (_wall_time(started_at + (at_ms + total_ms) / 1000), at_ms + total_ms, run_id)
    )
    return session_id


def _session(connection: sqlite3.Connection, folder: Path, started_at: float) -> str:
    """The session of a folder: one of those that are known, or else it is named after the folder."""
    project, agent = folder.parent.parent.name, folder.parent.name
    for (session_id,) in connection.execute("SELECT session_id FROM sessions"):
        if safe_name(session_id) == folder.name:
            return str(session_id)
    connection.execute(_SESSION, (folder.name, project, agent, _wall_time(started_at)))
    return folder.name


def _run(
    connection: sqlite3.Connection,
    path: Path,
    session_id: str,
    named: _Named,
    form: tuple[str, int],
    started_at: float,
) -> tuple[str, float]:
    """The run that the prefix of the file's name is of, and when it began."""
    for run_id, begun in connection.execute(_RUNS, (session_id,)):
        if safe_name(run_id).startswith(named.run):
            return str(run_id), datetime.fromisoformat(begun).timestamp()
    run_id = f"{named.run}-{safe_name(session_id)}"
    begun = _wall_time(started_at)
    connection.execute(_RUN, (run_id, session_id, path.parent.parent.name, *form, begun, begun, 0))
    return run_id, started_at


def _item(connection: sqlite3.Connection, run_id: str, name: str) -> tuple[str, int | None]:
    """The item that a file is named after, and when it came; the name itself when none is known."""
    if name == "host":
        return "", None
    for item_id, at_ms in connection.execute("SELECT item_id, at_ms FROM items WHERE run_id = ?", (run_id,)):
        if safe_name(item_id) == name:
            return str(item_id), int(at_ms)
    return name, None


def _wall_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
