"""A run and the audio parts of it, as the loop and the writer thread share them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from omnirt.storage import locks, paths, rows
from omnirt.storage.audio import WavWriter, duration_ms
from omnirt.storage.database import Row
from omnirt.storage.records import RunInfo


class Run:
    """A live run, as the thread knows it."""

    def __init__(self, info: RunInfo, data_dir: Path, report: Callable[[str], None]) -> None:
        self.info = info
        self.folder = paths.session_audio_dir(data_dir, info.project_slug, info.agent_slug, info.session_id)
        self.prefix = ""
        self.no_audio = info.record == "none"
        self.lock: locks.SessionLock | None = None
        self.failed = False
        self._report = report

    def fail(self, message: str) -> None:
        """Tell the session that something was not stored; once, whatever fails after it."""
        if not self.failed:
            self.failed = True
            self._report(message)


class Part:
    """The audio of one content part. The loop writes the first fields, the thread those after them."""

    def __init__(self, run: Run, item_id: str, content_index: int, ordinal: int, at_ms: int) -> None:
        info = run.info
        self.run = run
        self.item_id = item_id
        self.content_index = content_index
        self.at_ms = at_ms
        self.path = run.folder / paths.audio_file_name(run.prefix, ordinal, item_id, content_index)
        self.taken = 0
        self.gap = 0
        self.dropped = 0
        self.told = 0
        self.dropping_from = 0

        self.wav = WavWriter(self.path, info.output_format, info.output_rate)
        self.failed = False
        self.heard_ms: int | None = None
        self.interrupted = False

    def ms(self, size: int) -> int:
        """How long `size` bytes of this audio last."""
        return duration_ms(self.run.info.output_format, self.run.info.output_rate, size)

    def row(self, data_dir: Path, *, final: bool) -> Row:
        """What the database says of it now."""
        return rows.audio_row(
            self.run.info,
            self.item_id,
            self.content_index,
            self.path.relative_to(data_dir).as_posix(),
            at_ms=self.at_ms,
            duration_ms=self.ms(self.wav.size),
            dropped_ms=self.ms(self.dropped),
            heard_ms=self.heard_ms,
            interrupted=self.interrupted,
            final=final,
        )
