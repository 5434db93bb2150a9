"""What a provider says is wrong, as the host is told: bounded, and without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from omnirt.protocol.types import ErrorInfo
from omnirt.providers.connect_errors import passes
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.reading import upstream_of

MAX_WORDS = 2000
"""Characters of an error's message that are passed on."""


def words(talk: Conversation, text: object) -> str:
    """A message, bounded and masked."""
    # Cut first, with room for a secret that stands across the end: what a provider says has no bound.
    return talk.mask(str(text)[: 2 * MAX_WORDS])[:MAX_WORDS]


def failure(talk: Conversation, error: Mapping[str, Any]) -> ErrorInfo:
    """Why a response failed."""
    code = error.get("code") or error.get("type")
    message = error.get("message") or f"The provider ended the response with {code or 'an error'}."
    return ErrorInfo(
        kind="provider_error",
        message=words(talk, message),
        code=code if isinstance(code, str) else UNSET,
    )


def error_event(talk: Conversation, raw: Mapping[str, Any], now: float) -> None:
    """An `error` event: told, unless it is about an event of ours and harmless."""
    error = raw.get("error")
    error = error if isinstance(error, dict) else {}
    code = str(error.get("code") or "")
    harmless = talk.turns.refused(str(error.get("event_id") or ""), code, now)
    if not harmless:
        message = words(talk, error.get("message") or "The provider reported an error without words.")
        retryable = passes(error.get("type"), code)
        talk.error(now, "provider_error", message, retryable=retryable, upstream=upstream_of(error))
    talk.pump(now)
