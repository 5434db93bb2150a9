"""What the tests of the storage share: runs to record, rows to look at, a writer thread that stands still."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from omnirt.protocol.types import AudioFormat
from omnirt.storage import AudioStorage, RunInfo

LIMIT_S = 10.0


def run_info(
    session_id: str = "s1",
    run_id: str = "11111111-2222",
    *,
    record: Literal["assistant", "both", "none"] = "assistant",
    input_format: AudioFormat = "pcm16",
    output_format: AudioFormat = "pcm16",
    project: str = "acme",
    agent: str = "greeter",
) -> RunInfo:
    """A run as the session layer describes it."""
    return RunInfo(
        session_id=session_id,
        run_id=run_id,
        agent="Greeter",
        project_slug=project,
        agent_slug=agent,
        provider="simulator",
        model="simulated",
        started_at="2025-01-01T00:00:00.000Z",
        record=record,
        input_format=input_format,
        input_rate=24_000 if input_format == "pcm16" else 8_000,
        output_format=output_format,
        output_rate=24_000 if output_format == "pcm16" else 8_000,
    )


def query(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    """What the database of `data_dir` holds, read by another connection."""
    with contextlib.closing(sqlite3.connect(data_dir / "omnirt.db", timeout=LIMIT_S)) as connection:
        return connection.execute(sql).fetchall()


class Stall:
    """Keeps the writer thread where it is, behind all that was put before: a disk that stopped answering."""

    def __init__(self, storage: AudioStorage) -> None:
        assert storage._opened is not None
        self._reached, self._go = threading.Event(), threading.Event()
        self._call = storage._opened[1].call(self._stand)

    def _stand(self) -> None:
        self._reached.set()
        self._go.wait(LIMIT_S)

    def wait_reached(self) -> None:
        """Until the thread stands here."""
        assert self._reached.wait(LIMIT_S)

    def end(self) -> None:
        """Let it go on."""
        self._go.set()


@contextlib.contextmanager
def stalled_disk(storage: AudioStorage) -> Iterator[None]:
    """Within it, the writer thread writes nothing."""
    stall = Stall(storage)
    stall.wait_reached()
    try:
        yield
    finally:
        stall.end()
