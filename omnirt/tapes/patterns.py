"""Patterns: JSON in which some values are left open by wildcards such as `<int>`."""

from __future__ import annotations

import base64
import binascii
import re
import sys
import uuid
import wave
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from omnirt.tapes.audio import audio_text

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

REST = "<rest>"
MASK = "***"
"""Stands in the place of a secret on a tape, and for any text."""


class TapeError(ValueError):
    """A tape that can't be used; the message says where and why."""


def _is_uuid(value: Json) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _is_base64(value: Json) -> bool:
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except binascii.Error:
        return False


def _is_time(value: Json) -> bool:
    try:
        return isinstance(value, str) and value.endswith("Z") and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_wav(value: Json) -> bool:
    try:
        with wave.open(str(value), "rb") as wav:
            return Path(str(value)).is_absolute() and wav.getnframes() > 0
    except (OSError, EOFError, wave.Error):
        return False


KINDS: dict[str, Callable[[Json], bool]] = {
    "any": lambda value: True,
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str) and value != "",
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "uuid": _is_uuid,
    "base64": _is_base64,
    "time": _is_time,
    "path": lambda value: isinstance(value, str) and Path(value).is_absolute(),
    "wav": _is_wav,
}
_WORDS = "|".join([*KINDS, "audio", "file", "python"])
WILDCARD = re.compile(rf"<(?P<kind>{_WORDS})(?::(?P<name>[^>]+))?>")
_TAKEN = re.compile(rf"<+(?:{_WORDS}|rest|some|maybe)(?::[^>]+)?>")
"""What means something in a pattern, or would with fewer `<`."""

Names = dict[str, Json]
"""What named wildcards stood for so far."""


def literal(text: str) -> str:
    """A text that is meant as it stands: one that looks like a wildcard gets one more `<`."""
    return f"<{text}" if text.startswith("<") and _TAKEN.fullmatch(text) else text


def _meant(text: str) -> str:
    """The opposite of `literal`."""
    return text[1:] if text.startswith("<<") and _TAKEN.fullmatch(text) else text


def mismatch(pattern: Json, value: Json, names: Names, at: str = "$") -> str | None:
    """Why `value` does not fit, with the place, or None when it does. Binds names on the way."""
    if isinstance(pattern, str):
        found = WILDCARD.fullmatch(pattern)
        return _wildcard(found, value, names, at) if found else _text(_meant(pattern), value, at)
    if isinstance(pattern, dict):
        return _object(pattern, value, names, at)
    if isinstance(pattern, list):
        return _array(pattern, value, names, at)
    same = type(pattern) is type(value) and pattern == value
    return None if same else f"{at}: expected {short(pattern)}, got {short(value)}"


def fits(pattern: Json, value: Json, names: Names) -> bool:
    """Whether `value` fits; `names` is changed only when it does."""
    tried = dict(names)
    if mismatch(pattern, value, tried) is not None:
        return False
    names.update(tried)
    return True


def resolve(value: Json, folder: Path, *, silence: bool = False) -> Json:
    """A pattern with recorded audio, paths and `<python>` in place of what names them.

    Args:
        value: The pattern.
        folder: Where the tape lies: paths in it are relative to that.
        silence: Whether audio that was not kept becomes silence of its length, else it fits any audio.
    """
    if isinstance(value, str) and (found := WILDCARD.fullmatch(value)):
        if found["kind"] == "audio" and found["name"]:
            return audio_text(found["name"], folder, silence=silence)
        if found["kind"] == "file" and found["name"]:
            return str((folder / found["name"]).resolve())
        return sys.executable if found["kind"] == "python" else value
    if isinstance(value, list):
        return [resolve(element, folder, silence=silence) for element in value]
    if isinstance(value, dict):
        return {name: resolve(member, folder, silence=silence) for name, member in value.items()}
    return value


def fill(value: Json, names: Names, folder: Path) -> Json:
    """A message to be sent: a pattern with all that it leaves open filled in.

    Raises:
        TapeError: It has a wildcard of which nothing is known.
    """
    return _filled(resolve(value, folder, silence=True), names)


def _filled(value: Json, names: Names) -> Json:
    if isinstance(value, str):
        if (found := WILDCARD.fullmatch(value)) is None:
            return _meant(value)
        if found["name"] not in names:
            raise TapeError(f"nothing says what {value} stands for")
        return names[found["name"]]
    if isinstance(value, list):
        return [_filled(element, names) for element in value]
    if isinstance(value, dict):
        if REST in value:
            raise TapeError(f"nothing says what {REST} stands for")
        return {_meant(name): _filled(member, names) for name, member in value.items()}
    return value


def refers_back(value: Json) -> bool:
    """Whether a host's message needs something that the daemon said before."""
    if isinstance(value, str):
        found = WILDCARD.fullmatch(value)
        return found is not None and found["kind"] not in ("audio", "file") and found["name"] is not None
    if isinstance(value, list):
        return any(map(refers_back, value))
    return isinstance(value, dict) and any(map(refers_back, value.values()))


def short(value: Json) -> str:
    """A value for a failure message."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _text(wanted: str, value: Json, at: str) -> str | None:
    if wanted == value:
        return None
    if wanted == MASK and isinstance(value, int | float) and not isinstance(value, bool):
        return None  # a secret may be a number
    if MASK in wanted and isinstance(value, str):
        pieces = ".*".join(re.escape(piece) for piece in wanted.split(MASK))
        if re.fullmatch(pieces, value, re.DOTALL):
            return None
    return f"{at}: expected {short(wanted)}, got {short(value)}"


def _wildcard(found: re.Match[str], value: Json, names: Names, at: str) -> str | None:
    kind, name = found["kind"], found["name"]
    if kind not in KINDS:
        raise TapeError(f"{at}: {found[0]} is not resolved")
    if not KINDS[kind](value):
        return f"{at}: expected <{kind}>, got {short(value)}"
    if name is None:
        return None
    if names.setdefault(name, value) != value:
        return f"{at}: <{name}> was {short(names[name])} and is {short(value)} now"
    return None


def _object(pattern: dict[str, Json], value: Json, names: Names, at: str) -> str | None:
    if not isinstance(value, dict):
        return f"{at}: expected an object, got {short(value)}"
    wanted = {_meant(name): member for name, member in pattern.items() if name != REST}
    for name, member in wanted.items():
        if name not in value:
            return f"{at}.{name}: missing in {short(value)}"
        problem = mismatch(member, value[name], names, f"{at}.{name}")
        if problem:
            return problem
    more = [name for name in value if name not in wanted]
    return f"{at}.{more[0]}: not expected" if more and REST not in pattern else None


def _array(pattern: list[Json], value: Json, names: Names, at: str) -> str | None:
    if not isinstance(value, list):
        return f"{at}: expected an array, got {short(value)}"
    open_end = bool(pattern) and pattern[-1] == REST
    wanted = pattern[:-1] if open_end else pattern
    if len(value) < len(wanted) or (len(value) > len(wanted) and not open_end):
        return f"{at}: expected {len(wanted)} elements, got {len(value)}"
    pairs = enumerate(zip(wanted, value, strict=False))
    return next((p for i, (w, v) in pairs if (p := mismatch(w, v, names, f"{at}[{i}]"))), None)
