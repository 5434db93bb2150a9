"""Decodes params into their struct, and turns every misfit into `invalid_params` with a path."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from omnirt.errors import OmnirtError

T = TypeVar("T", bound=msgspec.Struct)

_UNKNOWN = re.compile(r"unknown field `(?P<name>.*?)`", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>.*?)`", re.DOTALL)
_PATTERNS = {
    "sessionId": "A session id is 1 to 128 of A-Z a-z 0-9 . _ -, and neither `.` nor `..`",
    "imageUrl": "An image is an https: or http: URL, or a data:image/ URL",
}
"""What the patterns of members say, for people."""
_AT = re.compile(r" - at `(?P<path>\$.*?)`\Z", re.DOTALL)


def decode_params(params_type: type[T], raw: bytes | msgspec.Raw | None) -> T:
    """The params of a request as `params_type`.

    Args:
        params_type: The struct to fill.
        raw: The JSON of the `params` member; None, `null` and `[]` mean no params.

    Raises:
        OmnirtError: `invalid_params` with `path` (`$.audio`).
    """
    text = b"{}" if raw is None else bytes(raw).strip()
    if text in (b"null", b"") or (text[:1] == b"[" and not text[1:-1].strip()):
        text = b"{}"
    if text[:1] == b"[":
        raise OmnirtError(
            "invalid_params", "Params are given by name: send an object, not an array.", path="$"
        )
    try:
        return msgspec.json.decode(text, type=params_type)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _problem(params_type, str(error)) from None


def shortened(text: str, limit: int = 100) -> str:
    """`text` as an error repeats it: what came may be as long as a message."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def split_path(message: str) -> tuple[str, str]:
    """msgspec's message as (what is wrong, path): `Expected int, got str - at $.x` → that text and `$.x`."""
    at = _AT.search(message)
    path = at["path"] if at else "$"
    what = message[: at.start()] if at else message
    named = _UNKNOWN.search(what) or _MISSING.search(what)
    return what, f"{path}.{shortened(named['name'])}" if named else path


def _problem(params_type: type[msgspec.Struct], message: str) -> OmnirtError:
    what, path = split_path(message)
    member = path.removeprefix("$.")
    if _UNKNOWN.search(what):
        known = ", ".join(
            f.encode_name for f in msgspec.structs.fields(params_type) if f.encode_name != "_meta"
        )
        what = f"Unknown member `{member}`; known here: {known or 'none'}"
    if "matching regex" in what:
        what = _PATTERNS.get(path.rpartition(".")[2], "This text has not the form it needs")
    return OmnirtError("invalid_params", f"{shortened(what, 1000)} (at {path}).", path=path)
