"""What the tests of the storage share: runs to record, rows to look at, a writer thread that stands still."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from omnirt.protocol.types import AudioFormat
from omnirt.storage import AudioStorage, RunInfo

LIMIT_S = 10.0


def run_info(
    session_id: str = "s1",
    run_id: str = "11111111-2222",
    *,
    record: str = "assistant",
    output_format: AudioFormat = "pcm16",
    project: str = "acme",
    agent: str = "greeter",
) -> RunInfo:
    """A run as the session layer describes it."""
    assert record in ("assistant", "none")
    return RunInfo(
        session_id=session_id,
        run_id=run_id,
        agent="Greeter",
        project_slug=project,
        agent_slug=agent,
        provider="simulator",
        model="simulated",
        started_at="2025-01-01T00:00:00Z",
        record="none" if record == "none" else "assistant",
        output_format=output_format,
        output_rate=24_000 if output_format == "pcm16" else 8_000,
    )


def query(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    """What the database of `data_dir` holds, read by another connection."""
    with contextlib.closing(sqlite3.connect(data_dir / "omnirt.db", timeout=LIMIT_S)) as connection:
        return connection.execute(sql).fetchall()


@contextlib.contextmanager
def stalled_disk(storage: AudioStorage) -> Iterator[None]:
    """Within it, the writer thread writes nothing: a disk that has stopped answering."""
    assert storage._opened is not None
    stopped, go = threading.Event(), threading.Event()

    def stall() -> None:
        stopped.set()
        go.wait(LIMIT_S)

    call = storage._opened[1].call(stall)
    assert stopped.wait(LIMIT_S)
    try:
        yield
    finally:
        go.set()
        del call
