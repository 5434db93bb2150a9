"""What goes into the storage and comes out of it: plain records, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omnirt.protocol.types import AudioFormat

Side = Literal["assistant", "host"]


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
    """A WAV file: a content part of the agent's speech, or a stretch of the host's audio without a gap."""

    path: Path
    side: Side
    item_id: str | None
    """None for the host's audio: which item it becomes is the provider's to say."""
    content_index: int | None
    at_ms: int
    """Its place since the run's start: when the agent's speech came; where the host's first sample lies."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a part of the agent's speech."""

    heard_ms: int
    played_at_ms: int | None
    """When it began to play, since the run's start; None when it never did."""
    interrupted: bool


@dataclass(frozen=True, slots=True)
class StorageProblem:
    """Something that was not stored; the voice goes on.

    `storage_failed` is told once per run, however much fails after it. `slow` with no `dropped_ms` is the
    early warning: half of what may wait for the disk is waiting. With them it tells of audio that the disk
    was too slow to take: `dropped_ms` of it are silence in the file, from `from_ms` on. The `dropped_ms` of
    all reports add up to all that was dropped. `item_id` is None for the host's audio.
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
