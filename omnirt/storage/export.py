"""Audio of stored sessions for others: a stretch of an item, an item as a file, a conversation in stereo."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sqlite3
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from omnirt.errors import OmnirtError
from omnirt.protocol.stored_methods import (
    AudioExportParams,
    AudioExportResult,
    AudioReadParams,
    AudioReadResult,
)
from omnirt.storage.history import find_session
from omnirt.storage.paths import FILE_MODE, database_path, recording_path
from omnirt.storage.patience import Patience
from omnirt.storage.reading import reading, told
from omnirt.storage.sound import Recording

MAX_READ_BYTES = 5_760_000
"""Of one `audio.read`, 120 s of PCM16: as base64 just within the 8 MiB that a result may have."""
_BLOCK = 1 << 16
_MAX_DATA = 0xFFFF_FFFF - 64  # the sizes in a WAV header have 32 bits

_PARTS = """SELECT path FROM audio JOIN runs USING (run_id) WHERE session_id = ?1 AND item_id = ?2
    AND run_id = coalesce(?4, (SELECT run_id FROM audio JOIN runs USING (run_id)
        WHERE session_id = ?1 AND item_id = ?2 ORDER BY runs.started_at DESC, runs.rowid DESC LIMIT 1))
    AND (?3 IS NULL OR content_index = ?3) ORDER BY content_index"""
_RUNS = """SELECT run_id, coalesce(duration_ms, 0) FROM runs
    WHERE session_id = ?1 AND (?2 IS NULL OR run_id = ?2) ORDER BY started_at, rowid"""
_CLIPS = """SELECT side, path, coalesce(played_at_ms, at_ms), CASE WHEN interrupted THEN heard_ms END,
    duration_ms FROM audio WHERE run_id = ? ORDER BY coalesce(played_at_ms, at_ms), id"""

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are written."""


class Clip(NamedTuple):
    """A recording on the clock of a conversation, and how much of it was heard if it was cut."""

    path: Path
    at_ms: int = 0
    heard_ms: int | None = None


class Placed(NamedTuple):
    """A clip in a channel of a rate: from which sample on, so many of its own samples, which make so many."""

    path: Path
    begin: int
    frames: int
    length: int
    rate: int

    @property
    def end(self) -> int:
        """The sample of the channel behind it."""
        return self.begin + self.length


def read_audio(data_dir: Path, params: AudioReadParams, patience: Patience) -> AudioReadResult:
    """A stretch of a recording, clamped to what there is.

    Raises:
        OmnirtError: `not_found`, `storage_failed`, `timed_out`.
    """
    with reading(data_dir, patience) as connection:
        path, *_ = _parts(data_dir, connection, params, params.item_id, params.content_index)
    with told(data_dir, patience), Recording(path) as recording:
        begin = recording.bytes_of(params.offset_ms or 0)
        length = recording.size if params.length_ms is None else recording.bytes_of(params.length_ms)
        data = recording.read(begin, min(length, MAX_READ_BYTES))
        return AudioReadResult(
            audio=data,
            format=recording.format,
            sample_rate=recording.rate,
            offset_ms=recording.ms(begin),
            length_ms=recording.ms(len(data)),
            total_ms=recording.total_ms,
        )


def export_audio(
    data_dir: Path,
    params: AudioExportParams,
    patience: Patience,
    progress: Progress = lambda done, total: None,
) -> AudioExportResult:
    """Write an item, or the whole conversation, as one PCM16 WAV file; all of it or nothing.

    Raises:
        OmnirtError: `invalid_params` for a path that can't be meant, `not_found`, `audio_invalid` when there
            is no audio, `storage_failed`, `timed_out`.
    """
    target = _checked(data_dir, params.path, overwrite=bool(params.overwrite))
    with reading(data_dir, patience) as connection:
        if params.item_id is not None:
            parts = _parts(data_dir, connection, params, params.item_id, None)
            tracks = [[Clip(path) for path in parts]]
        else:
            tracks = _conversation(data_dir, connection, params)
    with told(data_dir, patience):
        sound = _Sound(tracks)
        with _draft(target, overwrite=bool(params.overwrite)) as file:
            file.write(sound.header())
            written = 0
            for block in sound.blocks():
                patience.check()
                file.write(block)
                written += len(block)
                progress(written, sound.size)
    return AudioExportResult(path=str(target), duration_ms=sound.duration_ms, channels=len(tracks))


def _parts(
    data_dir: Path,
    connection: sqlite3.Connection | None,
    of: AudioReadParams | AudioExportParams,
    item_id: str,
    index: int | None,
) -> list[Path]:
    find_session(connection, of.session_id)
    assert connection is not None, "there is a session"
    rows = connection.execute(_PARTS, (of.session_id, item_id, index, of.run_id)).fetchall()
    if not rows:
        raise OmnirtError("not_found", f"No audio of the item {item_id[:128]!r} is stored in this session.")
    return [recording_path(data_dir, path) for (path,) in rows]


def _conversation(
    data_dir: Path, connection: sqlite3.Connection | None, of: AudioExportParams
) -> list[list[Clip]]:
    """The host's and the assistant's clips, the runs one after another."""
    find_session(connection, of.session_id)
    assert connection is not None, "there is a session"
    tracks: dict[str, list[Clip]] = {"host": [], "assistant": []}
    runs = connection.execute(_RUNS, (of.session_id, of.run_id)).fetchall()
    if not runs:
        raise OmnirtError("not_found", f"This session has no run {str(of.run_id)[:128]!r}.")
    begin_ms = 0
    for run_id, duration_ms in runs:
        end_ms = begin_ms + duration_ms
        for side, path, at_ms, heard_ms, long_ms in connection.execute(_CLIPS, (run_id,)):
            clip = Clip(recording_path(data_dir, path), begin_ms + at_ms, heard_ms)
            tracks["host" if side == "host" else "assistant"].append(clip)
            end_ms = max(end_ms, clip.at_ms + long_ms)
        begin_ms = end_ms
    return list(tracks.values())


class _Sound:
    """The file to be: a channel for each track, at one rate.

    A clip stands where it began to play. One that begins while another of its side still plays stands
    behind that: a player plays one after the other. Of one that was cut, what was heard is in it.
    """

    def __init__(self, tracks: list[list[Clip]]) -> None:
        measured = [[m for clip in track if (m := _measure(clip))] for track in tracks]
        rates = {rate for track in measured for _, rate, _ in track}
        if not rates:
            raise OmnirtError("audio_invalid", "No audio of this is stored; there is nothing to export.")
        self.rate = max(rates)
        self._tracks = [list(self._place(track)) for track in measured]
        self.channels = len(tracks)
        self.frames = max(track[-1].end for track in self._tracks if track)
        self.size = self.frames * 2 * self.channels
        if self.size > _MAX_DATA:
            raise OmnirtError(
                "audio_invalid", "This is too long for a WAV file; export its items one by one."
            )

    @property
    def duration_ms(self) -> int:
        """How long it is."""
        return self.frames * 1000 // self.rate

    def header(self) -> bytes:
        """A plain WAV header."""
        width = 2 * self.channels
        form = struct.pack("<HHIIHH", 1, self.channels, self.rate, self.rate * width, width, 16)
        chunks = struct.pack("<4sI", b"fmt ", len(form)) + form + struct.pack("<4sI", b"data", self.size)
        return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + self.size, b"WAVE") + chunks

    def blocks(self) -> Iterator[bytes]:
        """The samples, channel beside channel, a block at a time."""
        channels = [_even(_samples(track), _BLOCK) for track in self._tracks]
        for pieces in itertools.zip_longest(*channels, fillvalue=b""):
            length = max(map(len, pieces))
            if self.channels == 1:
                yield pieces[0]
                continue
            frames = array("h", bytes(length * self.channels))
            for place, piece in enumerate(pieces):
                frames[place :: self.channels] = array("h", piece.ljust(length, b"\0"))
            yield frames.tobytes()

    def _place(self, track: Iterable[tuple[Clip, int, int]]) -> Iterator[Placed]:
        end = 0
        for clip, rate, frames in track:
            begin = max(end, clip.at_ms * self.rate // 1000)
            placed = Placed(clip.path, begin, frames, frames * self.rate // rate, self.rate)
            end = placed.end
            yield placed


def _samples(track: Iterable[Placed]) -> Iterator[bytes]:
    at = 0
    for clip in track:
        for gap in range(at * 2, clip.begin * 2, _BLOCK):
            yield bytes(min(_BLOCK, clip.begin * 2 - gap))
        with Recording(clip.path) as recording:
            left = clip.length * 2
            for piece in recording.pcm16(clip.frames, clip.rate):
                yield piece[:left]
                left -= len(piece[:left])
            yield bytes(left)
        at = clip.end


def _measure(clip: Clip) -> tuple[Clip, int, int] | None:
    """With its rate, and how many samples of it count; None when its file is lost."""
    try:
        with Recording(clip.path) as recording:
            size = recording.size if clip.heard_ms is None else recording.bytes_of(clip.heard_ms)
            return clip, recording.rate, size // recording.sample_bytes
    except OmnirtError:
        return None


def _even(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size`, the last one shorter."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def _checked(data_dir: Path, text: str, *, overwrite: bool) -> Path:
    def wrong(what: str) -> OmnirtError:
        return OmnirtError("invalid_params", f"{what} (at $.path).", path="$.path")

    target = Path(text)
    if "\0" in text or not target.is_absolute() or not target.name:
        raise wrong("The path of an export is the absolute path of a file")
    try:
        if _is_ours(data_dir.resolve(), target.parent.resolve() / target.name):
            raise wrong("An export does not go to where omnirt keeps its own files")
        if target.is_dir():
            raise wrong("There is a folder of this name")
        if os.path.lexists(target) and not overwrite:
            raise wrong("There is a file of this name; choose another one, or say `overwrite: true`")
    except (OSError, RuntimeError) as error:  # a name too long; links in a circle
        raise _unwritable(target, error) from None
    return target


def _is_ours(data_dir: Path, target: Path) -> bool:
    """Whether a path is, or could become, a file of ours."""
    if not target.is_relative_to(data_dir):
        return False
    first = target.relative_to(data_dir).parts[0]
    return first in ("audio", "locks", "stray") or first.startswith(database_path(data_dir).name)


def _unwritable(target: Path, error: Exception) -> OmnirtError:
    reason = getattr(error, "strerror", None) or "it can't be reached"
    return OmnirtError("storage_failed", f"The export can't be written to {target}: {reason}.")


@contextlib.contextmanager
def _draft(target: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A file beside the target that takes its place when the block succeeds, and is gone when not."""
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            with os.fdopen(fd, "wb") as file:
                yield file
            if overwrite:
                draft.replace(target)
            else:
                os.link(draft, target)  # fails when somebody made the file meanwhile
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from None
