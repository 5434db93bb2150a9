"""Reads tapes: the one reader for recordings and for transcripts with patterns."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from omnirt.protocol.framing import Framing
from omnirt.tapes.patterns import Json, TapeError

VERSION = 1
"""Of the format: the `tape` member of the first line."""

_MAX_MS = 10**10
"""Four months: longer than any daemon runs."""

Mode = Literal["interactive", "bytes", "whole"]
MODES: tuple[Mode, ...] = ("interactive", "bytes", "whole")
FRAMINGS: tuple[Framing, ...] = ("lines", "headers")


@dataclass(frozen=True)
class HostLine:
    """Something of the host's: a message, bytes that are none (`raw`), what no framing could read
    (`broken`, the kind of error it is answered with), or the end of its output."""

    number: int
    at_ms: int = 0
    message: Json = None
    raw: bytes | None = None
    broken: str | None = None
    ends: bool = False


@dataclass(frozen=True)
class DaemonLine:
    """What the daemon sends: one message for each pattern, in any order if there are several."""

    number: int
    at_ms: int
    patterns: list[Json]


@dataclass(frozen=True)
class Stall:
    """The host stops reading, until the daemon has stored so many bytes of audio."""

    number: int
    stored_bytes: int


@dataclass
class Tape:
    """A tape that was read. What is behind `anywhere` is for those who play its host at a daemon.

    Attributes:
        path: Its file, beside which its audio lies.
        header: The first line.
        lines: What was said, in order.
        let_pass: Patterns of host messages that may come at any time, or not.
        cut: Whether the last line was cut off, by a kill for instance.
    """

    path: Path
    header: dict[str, Json] = field(default_factory=dict)
    lines: list[HostLine | DaemonLine | Stall] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    let_pass: list[Json] = field(default_factory=list)
    cut: bool = False
    anywhere: list[Json] = field(default_factory=list)
    ignore: set[str] = field(default_factory=set)
    play: tuple[Mode, ...] = MODES
    framings: tuple[Framing, ...] = FRAMINGS
    args: list[str] = field(default_factory=list)
    exit_code: int = 0

    @property
    def folder(self) -> Path:
        """What paths on the tape are relative to."""
        return self.path.parent

    @property
    def host_lines(self) -> list[HostLine]:
        """What the host sends."""
        return [line for line in self.lines if isinstance(line, HostLine)]


def read_tape(path: Path) -> Tape:
    """Reads a tape; a last line that was cut off is left out.

    Raises:
        TapeError: It is none, or one of a later version.
        OSError: It can't be read.
    """
    tape = Tape(path)
    rows = path.read_bytes().split(b"\n")
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            line = json.loads(row)
        except ValueError:
            if number < len(rows):
                raise TapeError(f"{path.name}:{number}: this is no JSON") from None
            tape.cut = True
            break
        if not tape.header:
            _take_header(tape, line)
        elif isinstance(line, dict) and not _is_moment(line.get("atMs", 0)):
            raise TapeError(f"{path.name}:{number}: atMs is no number of milliseconds")
        elif not (isinstance(line, dict) and _take(tape, number, line)):
            raise TapeError(f"{path.name}:{number}: no line of a tape: {row[:80].decode(errors='replace')}")
    if not tape.header:
        raise TapeError(f"{path.name} is no tape: it is empty")
    return tape


def message_of(data: bytes) -> Json:
    """A message as a tape can hold it: JSON as the protocol has it, UTF-8 and without NaN.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deeply.
    """
    message: Json = json.loads(data.decode(), parse_constant=_refuse)
    json.dumps(message, ensure_ascii=False).encode()  # no half characters
    return message


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _take_header(tape: Tape, line: Any) -> None:
    version = line.get("tape") if isinstance(line, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise TapeError(f'{tape.path.name} is no tape: its first line has no "tape": {VERSION}')
    if version > VERSION:
        raise TapeError(f"{tape.path.name} is of a later version ({version}): this omnirt reads {VERSION}")
    tape.header = line


def _is_moment(at_ms: Any) -> bool:
    return isinstance(at_ms, int) and not isinstance(at_ms, bool) and 0 <= at_ms <= _MAX_MS


def _take(tape: Tape, number: int, line: dict[str, Any]) -> bool:
    """Takes one line; False when it is none."""
    at_ms = line.get("atMs", 0)
    match line:
        case {"dir": "host", "msg": message}:
            tape.lines.append(HostLine(number, at_ms, message))
        case {"dir": "host", "raw": str(text)}:
            tape.lines.append(HostLine(number, at_ms, raw=text.encode()))
        case {"dir": "host", "raw64": str(text)}:
            tape.lines.append(HostLine(number, at_ms, raw=base64.b64decode(text)))
        case {"dir": "host", "broken": str(kind)}:
            tape.lines.append(HostLine(number, at_ms, broken=kind))
        case {"dir": "host", "end": True}:
            tape.lines.append(HostLine(number, at_ms, ends=True))
        case {"dir": "host", "anywhere": pattern}:
            tape.let_pass.append(pattern)
        case {"dir": "daemon", "msg": pattern}:
            tape.lines.append(DaemonLine(number, at_ms, [pattern]))
        case {"dir": "daemon", "any_order": [*patterns]} if patterns:
            tape.lines.append(DaemonLine(number, at_ms, patterns))
        case {"stall": int(stored_bytes)}:
            tape.lines.append(Stall(number, stored_bytes))
        case _:
            return any(_SETTINGS[name](tape, line[name]) for name in line if name in _SETTINGS)
    return True


def _sets(attribute: str, convert: Callable[[Any], Any]) -> Callable[[Tape, Any], bool]:
    def take(tape: Tape, value: Any) -> bool:
        setattr(tape, attribute, convert(value))
        return True

    return take


def _adds(attribute: str) -> Callable[[Tape, Any], bool]:
    def take(tape: Tape, value: Any) -> bool:
        cast("list[Any]", getattr(tape, attribute)).append(value)
        return True

    return take


_SETTINGS: dict[str, Callable[[Tape, Any], bool]] = {
    "comment": _adds("comments"),
    "anywhere": _adds("anywhere"),
    "ignore": _sets("ignore", set),
    "play": _sets("play", tuple),
    "framings": _sets("framings", tuple),
    "args": _sets("args", list),
    "exit": _sets("exit_code", int),
}
