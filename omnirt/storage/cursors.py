"""Cursors of paged results: the keys behind which a page begins, opaque to hosts.

A key is made of what never changes of a row (when it began, its id), so that what is added or deleted in
between neither hides a row nor shows one twice.
"""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

from omnirt.errors import OmnirtError

K = TypeVar("K", bound=msgspec.Struct)


def cursor_of(key: msgspec.Struct) -> str:
    """The cursor of a key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def key_of(cursor: str | None, shape: type[K]) -> K | None:
    """The key of a cursor that we made; None without one.

    Raises:
        OmnirtError: `invalid_params`.
    """
    if cursor is None:
        return None
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(data, type=shape)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        message = "This is no `nextCursor` of this method; begin without one (at $.cursor)."
        raise OmnirtError("invalid_params", message, path="$.cursor") from None
