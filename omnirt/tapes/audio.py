"""Audio on a tape: in the message itself, or by reference to a file beside the tape.

A reference is `<audio:NAME#OFFSET+LENGTH>` (bytes of a file), `<audio:NAME.wav@MS>` (the first ms of a
recording, all of it without `@`), or `<audio:LENGTH>` for audio of which only the length was kept.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Literal

AudioMode = Literal["files", "inline", "none"]
Keep = Callable[[bytes], str | None]
"""Puts audio away and gives its reference; None leaves it in the message."""

_PIECE = re.compile(r"(?P<name>.+)#(?P<offset>[0-9]+)\+(?P<length>[0-9]+)")
_MAX_SILENCE = 64 * 1024 * 1024


def audio_text(name: str, folder: Path, *, silence: bool) -> str:
    """Base64 of the audio that a reference names; `<base64>` for what was not kept, or silence.

    Raises:
        OSError: The file can't be read.
        ValueError: It is shorter than the tape says, or is none that a tape may name: tapes come from others,
            and what they name goes to the host.
    """
    if name.isdigit():
        return base64.b64encode(bytes(min(int(name), _MAX_SILENCE))).decode() if silence else "<base64>"
    if piece := _PIECE.fullmatch(name):
        if Path(piece["name"]).name != piece["name"]:
            raise ValueError("pieces of audio are in a file beside the tape")
        with (folder / piece["name"]).open("rb") as file:
            file.seek(int(piece["offset"]))
            data = file.read(int(piece["length"]))
        if len(data) != int(piece["length"]):
            raise ValueError(f"{piece['name']} ends before the audio of this line")
        return base64.b64encode(data).decode()
    path, _, first_ms = name.partition("@")
    with wave.open(str(folder / path), "rb") as wav:
        frames = wav.getnframes() if not first_ms else int(first_ms) * wav.getframerate() // 1000
        return base64.b64encode(wav.readframes(frames)).decode()


def decoded(text: str) -> bytes:
    """The bytes of base64 that encoding them would give back; nothing when it is something else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if base64.b64encode(data).decode() == text else b""


class Shelf:
    """Where a recording puts its audio: one file beside the tape, made when there is some.

    Args:
        tape: The path of the tape.
        mode: `files`: a file of that name and `.audio`; `inline`: in the messages; `none`: its length alone.
    """

    def __init__(self, tape: Path, mode: AudioMode) -> None:
        self._path = tape.with_name(f"{tape.name}.audio")
        self._mode = mode
        self._fd = -1
        self._size = 0
        self._waiting: list[bytes] = []

    def keep(self, data: bytes) -> str | None:
        """Takes audio; the reference holds once `flush` has returned."""
        match self._mode:
            case "inline":
                return None
            case "none":
                return f"<audio:{len(data)}>"
            case "files":
                self._waiting.append(data)
                self._size += len(data)
                return f"<audio:{self._path.name}#{self._size - len(data)}+{len(data)}>"

    def clear(self) -> None:
        """Removes the audio of an earlier tape.

        Raises:
            OSError: It can't be removed.
        """
        self._path.unlink(missing_ok=True)

    def flush(self) -> None:
        """Writes what was taken.

        Raises:
            OSError: The disk does not take it.
        """
        if not self._waiting:
            return
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
        write_all(self._fd, b"".join(self._waiting))
        self._waiting.clear()

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_all(fd: int, data: bytes) -> None:
    """Writes all of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
