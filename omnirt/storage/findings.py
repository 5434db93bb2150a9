"""What `verify` finds in the data directory."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal[
    "database",
    "search",
    "deletion",
    "run",
    "item",
    "missingFile",
    "unfinishedFile",
    "strayFile",
    "brokenFile",
]


class Finding(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Something that does not fit.

    Attributes:
        kind: Which sort of thing.
        message: What is wrong, for people.
        session_id: Of which session, when it is known.
        path: The file.
        repaired: Whether it is in order now.
    """

    kind: Kind
    message: str
    session_id: str | None = None
    path: str | None = None
    repaired: bool = False
