"""Writes tapes: messages as lines, with their audio put away."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from omnirt import __version__
from omnirt.protocol.framing import Framing
from omnirt.protocol.types import PROTOCOL_VERSION
from omnirt.tapes.audio import AudioMode, Keep, Shelf, decoded, write_all
from omnirt.tapes.lines import VERSION
from omnirt.tapes.patterns import Json, literal

Direction = Literal["host", "daemon"]
_log = logging.getLogger(__name__)


def header_line(framing: Framing | None, started_at: str) -> bytes:
    """The first line."""
    versions: dict[str, Json] = {"tape": VERSION, "omnirt": __version__, "protocol": PROTOCOL_VERSION}
    return line_of({**versions, "framing": framing or "lines", "startedAt": started_at})


def message_line(direction: Direction, at_ms: int, message: Json, keep: Keep) -> bytes:
    """The line of a message.

    Raises:
        UnicodeEncodeError: It has half a character, which no text on a tape can hold.
    """
    return line_of({"dir": direction, "atMs": at_ms, "msg": recorded(message, keep)})


def broken_line(at_ms: int, kind: str, size: int | None = None) -> bytes:
    """The line of something that the host sent and that is no message: nothing of it but its length, for
    there is no telling where in it a secret begins."""
    line: dict[str, Json] = {"dir": "host", "atMs": at_ms, "broken": kind}
    return line_of(line if size is None else {**line, "bytes": size})


def line_of(line: dict[str, Json]) -> bytes:
    """A line as bytes."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def recorded(value: Json, keep: Keep, *, is_audio: bool = False) -> Json:
    """A message as a tape has it: audio by reference, and nothing that looks like a pattern.

    Args:
        value: The message.
        keep: Takes audio.
        is_audio: Whether a text is base64 of audio, by the name of its member.
    """
    if isinstance(value, str):
        data = decoded(value) if is_audio else b""
        return (keep(data) if data else None) or literal(value)
    if isinstance(value, list):
        return [recorded(element, keep) for element in value]
    if isinstance(value, dict):
        # The provider's own events are on the wire too, in `realtime.raw`.
        raw_audio = str(value.get("type", "")).endswith("audio.delta")
        return {
            literal(name): recorded(member, keep, is_audio=name == "audio" or (name == "delta" and raw_audio))
            for name, member in value.items()
        }
    return value


def now() -> str:
    """The time of day, RFC 3339."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TapeFile:
    """A tape that is being written. Audio is on disk before the line that tells of it.

    Args:
        path: An earlier tape there is written over. What is no file (a pipe, `/dev/null`) has no file of
            audio beside it.
        audio: Where audio goes.

    Raises:
        OSError: The file can't be opened, or another process is writing a tape there.
    """

    def __init__(self, path: Path, audio: AudioMode) -> None:
        # Without waiting for a reader, if it is a pipe; and nothing is lost before the lock is held.
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise OSError(error.errno, "nobody reads this pipe") from None
            raise
        try:
            os.set_blocking(self._fd, True)
            is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
            if is_file:
                _own(self._fd)
            self.shelf = Shelf(path, audio if is_file or audio != "files" else "inline")
            if is_file:
                self.shelf.clear()
        except BaseException:
            os.close(self._fd)
            raise

    def write(self, lines: bytes) -> None:
        """Writes whole lines, after the audio that they name.

        Raises:
            OSError: The disk does not take it.
        """
        self.shelf.flush()
        write_all(self._fd, lines)

    def close(self) -> None:
        """Closes its files."""
        self.shelf.close()
        os.close(self._fd)


def _own(fd: int) -> None:
    """Makes a file ours: nobody else writes it, and, as a conversation, it is for its owner's eyes."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(errno.EAGAIN, "another daemon writes it") from None
    except OSError:
        _log.debug("the tape's file system has no locks")
    os.fchmod(fd, 0o600)
    os.ftruncate(fd, 0)
