"""The runs of a stored session: with whom, in which formats, and how each ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import msgspec

from omnirt.protocol.types import AudioFormat, CloseReason, Event, ProviderName, Usage
from omnirt.storage import telling
from omnirt.storage.history import find_session
from omnirt.storage.patience import Patience
from omnirt.storage.reading import reading

_RUNS = """SELECT runs.run_id, agent, provider, model, input_format, input_rate, output_format, output_rate,
    started_at, reason, duration_ms, usage.json FROM runs LEFT JOIN usage USING (run_id)
    WHERE session_id = ? ORDER BY started_at, runs.rowid"""

_TOLD = "SELECT method, json FROM told WHERE run_id = ? ORDER BY position"


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as the database has it."""

    run_id: str
    agent: str
    provider: ProviderName
    model: str
    input_format: AudioFormat
    input_rate: int
    output_format: AudioFormat
    output_rate: int
    started_at: str
    reason: CloseReason
    """Of the end; `stopped` while it is live."""
    duration_ms: int
    usage: Usage | None


def runs_of(data_dir: Path, session_id: str, patience: Patience) -> list[StoredRun]:
    """The runs of a session, in order.

    Raises:
        OmnirtError: `not_found`, `storage_failed`, `timed_out`.
    """
    with reading(data_dir, patience) as connection:
        find_session(connection, session_id)
        rows = connection.execute(_RUNS, (session_id,)).fetchall() if connection is not None else []
    return [_run(*row) for row in rows]


def told_of(data_dir: Path, run_id: str, patience: Patience) -> list[Event]:
    """What the host was told in a run, in order, without words and sound (`telling`).

    Empty for a run of an early version.

    Raises:
        OmnirtError: `storage_failed`, `timed_out`.
    """
    with reading(data_dir, patience) as connection:
        return telling.read(connection.execute(_TOLD, (run_id,))) if connection is not None else []


def _run(
    run_id: str,
    agent: str,
    provider: Any,
    model: str,
    input_format: Any,
    input_rate: int | None,
    output_format: Any,
    output_rate: int,
    started_at: str,
    reason: Any,
    duration_ms: int | None,
    usage: str | None,
) -> StoredRun:
    return StoredRun(
        run_id=run_id,
        agent=agent,
        provider=cast("ProviderName", provider),
        model=model,
        # Runs of early versions did not say what they heard.
        input_format=input_format or output_format,
        input_rate=input_rate or output_rate,
        output_format=output_format,
        output_rate=output_rate,
        started_at=started_at,
        reason=reason if reason in get_args(CloseReason) else "stopped",
        duration_ms=duration_ms or 0,
        usage=_usage(usage),
    )


def _usage(text: str | None) -> Usage | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=Usage)
    except (msgspec.MsgspecError, ValueError):  # a damaged row: the talk can do without it
        return None
