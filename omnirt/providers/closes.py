"""What a provider means by closing a connection: all there is, is a code and a few words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from omnirt.errors import OmnirtError

Refused = Literal["content", "quota", "key"]
"""What was refused for good: another connection would not help."""

USUAL_NAMES: Final[Mapping[Refused, str]] = {
    "content": "content_policy_violation",
    "quota": "insufficient_quota",
    "key": "invalid_api_key",
}
"""The `code` of an error that says so."""
REFUSING_CODES: Final = frozenset({1008, 3000, 3003, 4001, 4401, 4403})
"""Close codes of a policy, of an unauthorized or forbidden client, and what servers use instead of those."""
PASSING_CODES: Final = frozenset({1012, 1013})
"""A restart, and a load that is too high: what is said with those is about now."""

_BY_NAME: Final[Mapping[Refused, re.Pattern[str]]] = {
    "content": re.compile(r"(?i)\b(content_policy_violation|content_filter|moderation_blocked)\b"),
    "quota": re.compile(r"(?i)\b(insufficient_quota|billing_hard_limit_reached|billing_not_active)\b"),
    "key": re.compile(
        r"(?i)\b(invalid_api_key|incorrect_api_key|invalid_authentication|authentication_error"
        r"|account_deactivated)\b"
    ),
}
"""Names that programs look for; no sentence has them by chance."""
_BY_PHRASE: Final[Mapping[Refused, re.Pattern[str]]] = {
    "quota": re.compile(r"(?i)\bquota exceeded|exceeded your (current )?quota"),
    "key": re.compile(r"(?i)\binvalid subscription key"),
}
"""Phrases that can't mean anything else, even with the code of an ordinary end."""
_BY_WORD: Final[Mapping[Refused, re.Pattern[str]]] = {
    "content": re.compile(r"(?i)content.?(policy|filter)|moderation|safety"),
    "quota": re.compile(r"(?i)quota|billing"),
    "key": re.compile(r"(?i)(api|subscription).?key|auth|credential|forbidden|access denied"),
}
"""Words that tell it where it is known that something was refused."""


def of_error(type_: object, code: object) -> Refused | None:
    """What is refused by an error with this type and code, behind which the connection was closed."""
    return _found(_BY_WORD, f"{type_ or ''} {code or ''}")


def of_close(code: int | None, text: str) -> Refused | None:
    """What is refused by a close with this code and these words; None for one of any other kind."""
    if (named := _found(_BY_NAME, text)) is not None or code in PASSING_CODES:
        return named
    return _found(_BY_WORD if code in REFUSING_CODES else _BY_PHRASE, text)


def for_good(problem: OmnirtError) -> Refused | None:
    """What is refused for good by a connection that could not be made; None where another may be."""
    if problem.kind == "auth_failed":
        return "key"
    upstream = problem.facts.get("upstream")
    return _found(_BY_NAME, " ".join(map(str, upstream.values()))) if isinstance(upstream, dict) else None


def _found(table: Mapping[Refused, re.Pattern[str]], words: str) -> Refused | None:
    return next((refused for refused, pattern in table.items() if pattern.search(words)), None)
