"""Messages of the daemon as the client reads them, and params as it writes them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from omnirt.errors import KINDS, OmnirtError


class ErrorBody(Struct):
    """The `error` member of a reply."""

    code: int
    message: str
    data: dict[str, Any] | None = None


class Message(Struct):
    """Any message of the daemon; what is absent is UNSET."""

    id: int | str | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: Raw = Raw(b"{}")
    result: Raw = Raw(b"{}")
    error: ErrorBody | UnsetType = UNSET


def members(params: Struct) -> dict[str, object]:
    """The params without the members nobody set; None *inside* `settings` and the like speaks and stays."""
    values = ((f.encode_name, getattr(params, f.name)) for f in msgspec.structs.fields(params))
    return {name: value for name, value in values if value is not None and value is not UNSET}


def as_error(body: ErrorBody) -> OmnirtError:
    """The daemon's error, also when its kind is newer than this client."""
    facts = dict(body.data or {})
    kind = str(facts.pop("kind", "internal"))
    retryable = bool(facts.pop("retryable", False))
    known = kind if kind in KINDS else "internal"
    error = OmnirtError(known, body.message, retryable=retryable)
    error.kind, error.code, error.facts = kind, body.code, facts
    return error
