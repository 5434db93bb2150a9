"""Members of a provider's event, read whatever they are: what does not fit is as good as absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from omnirt.protocol.types import Upstream

MAX_CONTENT_INDEX = 255
"""No provider makes an item of more parts; a larger index would only cost memory."""
MAX_NUMBER = 2**53 - 1
"""What every JSON reader takes exactly."""
MAX_DEPTH = 64
"""Deeper JSON is nobody's meaning, and what still could be read might be too deep to be written."""


def is_shallow(value: object, depth: int = MAX_DEPTH) -> bool:
    """Whether a JSON value is nested no deeper than that."""
    if not isinstance(value, Mapping | list):
        return True
    members = value.values() if isinstance(value, Mapping) else value
    return depth > 0 and all(is_shallow(member, depth - 1) for member in members)


def is_writable_json(text: str) -> bool:
    """Whether JSON text can be read and written again; true for what is no JSON at all.

    Its strings may hold half a character (an escaped lone surrogate), which is no Unicode.
    """
    try:
        text.encode()
        value = json.loads(text)
        if not is_shallow(value):
            return False
        json.dumps(value, ensure_ascii=False).encode()
    except (RecursionError, UnicodeEncodeError):
        return False
    except ValueError:
        pass
    return True


def writable(text: str) -> str:
    """`text` with what is no Unicode replaced."""
    return text.encode(errors="replace").decode()


def dig(raw: Mapping[str, Any], *path: str) -> Any:
    """The member at a path of names, or None."""
    value: Any = raw
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text_id(raw: Mapping[str, Any], name: str) -> str:
    """An id, or the empty string."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def content_index(raw: Mapping[str, Any]) -> int:
    """The content index of an event; 0 for one that is missing or absurd."""
    value = raw.get("content_index")
    return value if is_count(value) and value <= MAX_CONTENT_INDEX else 0


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a number of something: milliseconds, tokens."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


def speech(raw: Mapping[str, Any], position: str) -> dict[str, Any]:
    """The fields of an event on the user's speech: its item, and where in the input audio it is."""
    found: dict[str, Any] = {}
    if isinstance(raw.get("item_id"), str):
        found["item_id"] = raw["item_id"]
    if is_count(raw.get(position)):
        found["audio_ms"] = raw[position]
    return found


def upstream_of(error: Mapping[str, Any]) -> Upstream:
    """What a provider's error says of itself."""
    names = {"type": "type", "code": "code", "event_id": "event_id"}
    found = {ours: error[theirs] for theirs, ours in names.items() if isinstance(error.get(theirs), str)}
    return Upstream(**found)
