"""Matches messages against patterns with wildcards, see tests/transcripts/README.md."""

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

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

ROOT = Path(__file__).parents[2]
WILDCARD = re.compile(r"<(?P<kind>[a-z0-9]+)(?::(?P<name>[^>]+))?>")
REST = "<rest>"


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

Names = dict[str, Json]
"""What named wildcards stood for so far."""


def mismatch(pattern: Json, value: Json, names: Names, at: str = "$") -> str | None:
    """Where and how `value` differs from `pattern`, or None when it fits; named wildcards go into `names`."""
    if isinstance(pattern, str) and (found := WILDCARD.fullmatch(pattern)):
        return _wildcard(found["kind"], found["name"], value, names, at)
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


def fill(value: Json, names: Names) -> Json:
    """A host's message with its wildcards replaced: by what they stood for, or by recorded audio."""
    if isinstance(value, str) and (found := WILDCARD.fullmatch(value)):
        if found["kind"] == "audio":
            return recorded_audio(found["name"])
        if found["kind"] == "file":
            return str(ROOT / found["name"])
        if found["kind"] == "python":
            return sys.executable
        return names[found["name"]] if found["name"] else value
    if isinstance(value, list):
        return [fill(element, names) for element in value]
    if isinstance(value, dict):
        return {name: fill(member, names) for name, member in value.items()}
    return value


def refers_back(value: Json) -> bool:
    """Whether a host's message needs something that the daemon said before."""
    if isinstance(value, str):
        found = WILDCARD.fullmatch(value)
        return found is not None and found["kind"] not in ("audio", "file") and found["name"] is not None
    if isinstance(value, list):
        return any(map(refers_back, value))
    return isinstance(value, dict) and any(map(refers_back, value.values()))


def recorded_audio(name: str) -> str:
    """Base64 of a WAV file's samples: `examples/audio/weather.wav`, or the first ms of it: `…wav@400`."""
    path, _, first_ms = name.partition("@")
    with wave.open(str(ROOT / path), "rb") as wav:
        frames = wav.getnframes() if not first_ms else int(first_ms) * wav.getframerate() // 1000
        return base64.b64encode(wav.readframes(frames)).decode()


def short(value: Json) -> str:
    """A value for a failure message."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _wildcard(kind: str, name: str | None, value: Json, names: Names, at: str) -> str | None:
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
    for name, member in pattern.items():
        if name == REST:
            continue
        if name not in value:
            return f"{at}.{name}: missing in {short(value)}"
        problem = mismatch(member, value[name], names, f"{at}.{name}")
        if problem:
            return problem
    more = [name for name in value if name not in pattern]
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
