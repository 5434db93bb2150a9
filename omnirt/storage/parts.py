"""A run and the audio parts of it, as the loop and the writer thread share them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from omnirt.storage import locks, paths, rows
from omnirt.storage.audio import WavWriter, duration_ms
from omnirt.storage.database import Row
from omnirt.storage.records import AudioFile, Heard, RunInfo, Side


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
    """One file of audio: a content part of the agent's, or a stretch of the host's.

    The loop writes the first fields, the thread those after them. The host's has no item; its content index
    counts the stretches of the run.
    """

    def __init__(
        self, run: Run, side: Side, item_id: str, content_index: int, ordinal: int, at_ms: int
    ) -> None:
        info = run.info
        self.run = run
        self.side: Side = side
        self.item_id = item_id
        self.content_index = content_index
        self.at_ms = at_ms
        name = paths.audio_file_name(run.prefix, ordinal, item_id or side, content_index)
        self.path = run.folder / name
        self.format, self.rate = (
            (info.input_format, info.input_rate) if side == "host" else (info.output_format, info.output_rate)
        )
        self.taken = 0
        self.gap = 0
        self.dropped = 0
        self.told = 0
        self.dropping_from = 0

        self.wav = WavWriter(self.path, self.format, self.rate)
        self.listed = False
        """Whether the database knows of it."""
        self.failed = False
        """Given up: nothing more is written to it."""
        self.owed = 0
        """Bytes that a full disk did not take: silence stands in their place once there is room."""
        self.lost = 0
        """The same, all in all."""
        self.heard: Heard | None = None

    @property
    def end_ms(self) -> int:
        """Where the audio that was handed over ends in time."""
        return self.at_ms + self.ms(self.taken + self.gap)

    def ms(self, size: int) -> int:
        """How long `size` bytes of this audio last."""
        return duration_ms(self.format, self.rate, size)

    def file(self) -> AudioFile | None:
        """The file, unless nothing of it is or will be on disk."""
        size = self.wav.size if self.failed or self.lost else self.taken
        if not size:
            return None
        if self.side == "host":
            return AudioFile(self.path, "host", None, None, self.at_ms, self.ms(size))
        return AudioFile(self.path, "assistant", self.item_id, self.content_index, self.at_ms, self.ms(size))

    def row(self, data_dir: Path, *, final: bool) -> Row:
        """What the database says of it now."""
        return rows.audio_row(
            self.run.info.run_id,
            self.side,
            self.item_id,
            self.content_index,
            self.path.relative_to(data_dir).as_posix(),
            at_ms=self.at_ms,
            duration_ms=self.ms(self.wav.size),
            dropped_ms=self.ms(self.dropped + self.lost),
            heard=self.heard,
            final=final,
        )
