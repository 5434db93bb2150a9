"""What goes into the storage and comes out of it: plain records, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omnirt.protocol.types import AudioFormat


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run of a session, as it starts.

    `record` is about audio alone: with `none` the run, its items and its usage are stored all the same.
    """

    session_id: str
    run_id: str
    agent: str
    project_slug: str
    agent_slug: str
    provider: str
    model: str
    started_at: str
    """RFC 3339, UTC."""
    record: Literal["assistant", "both", "none"]
    input_format: AudioFormat
    input_rate: int
    """Hz."""
    output_format: AudioFormat
    output_rate: int


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A WAV file: the audio of one content part of one item."""

    path: Path
    side: Literal["assistant"]
    item_id: str
    content_index: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class StorageProblem:
    """Something that was not stored; the voice goes on.

    `storage_failed` is told once per run, however much fails after it. `slow` tells of assistant audio that
    the disk was too slow to take: `dropped_ms` of it are silence in the file, from `from_ms` on. The
    `dropped_ms` of all reports add up to all that was dropped.
    """

    kind: Literal["storage_failed", "slow"]
    message: str
    session_id: str
    run_id: str
    item_id: str | None = None
    from_ms: int = 0
    dropped_ms: int = 0
    queued_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StorageStats:
    """How the storage is doing, for `server.stats`."""

    queued_bytes: int
    queued_entries: int
    dropped_ms: int
    open_runs: int
