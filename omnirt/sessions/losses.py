"""Why a connection went away: whether the talk can go on over another one, or how it ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from omnirt.errors import OmnirtError
from omnirt.protocol.types import CloseReason, ErrorInfo
from omnirt.providers.closes import USUAL_NAMES, of_close, of_error
from omnirt.providers.connect_errors import for_good

_EXPIRED = re.compile(r"(?i)expired|maximum duration")

EXPLAINS_S = 10.0
"""An error of the provider's is why it closed so soon after it; what comes later has other reasons."""

Refusal = Callable[[Mapping[str, Any]], OmnirtError]


class Loss(NamedTuple):
    """A lost connection: how the session ends if it ends of it, and whether another connection may help."""

    reason: CloseReason
    error: ErrorInfo
    recoverable: bool
    code: int | None = None
    """Of the close frame; None when there was none."""


def unusable(error: Mapping[str, Any], refusal: Refusal) -> ErrorInfo | None:
    """The end that an `error` event is although the connection stays; None where the talk goes on.

    The key was refused, or the account has nothing left: whatever is asked for next is refused as well. An
    error about one event of ours is only about that, unless the key is what it names.
    """
    if not for_good(error.get("type"), error.get("code")):
        return None
    problem = refusal(error)
    if problem.kind != "auth_failed" and error.get("event_id"):
        return None
    code = str(error.get("code") or error.get("type"))
    return ErrorInfo(kind=problem.kind, message=problem.message, code=code)


def loss(code: int | None, text: str, last_error: Mapping[str, Any], refusal: Refusal) -> Loss:
    """What a close means.

    Args:
        code: Of the close frame; None when there was none.
        text: Its reason, masked.
        last_error: What the provider said was wrong, shortly before; empty without it.
        refusal: Makes of a provider's error the one that a host gets.
    """
    words = f"code {code}" if code is not None else "no close frame"
    message = f"The provider closed the connection ({words}{': ' + text if text else ''})."
    told = last_error.get("type"), last_error.get("code")
    by_error = of_error(*told)
    refused = by_error or of_close(code, text)
    if refused == "content":
        return Loss("content", ErrorInfo(kind="provider_error", message=message), recoverable=False)
    if refused is not None:
        known = last_error if by_error else {"code": USUAL_NAMES[refused]}
        problem = refusal({"message": text, **known})
        return Loss("error", ErrorInfo(kind=problem.kind, message=problem.message), recoverable=False)
    # The code is that of any clean close; only the words tell.
    expired = "session_expired" in told or _EXPIRED.search(text) is not None
    error = ErrorInfo(kind="provider_unreachable", message=message)
    return Loss("expired" if expired else "connectionLost", error, recoverable=True, code=code)
