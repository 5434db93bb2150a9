"""What never comes: ended after a while, so that nothing waits for ever."""

from __future__ import annotations

import asyncio
import time

from omnirt.providers.endpoint import Endpoint
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.engine import Engine
from omnirt.sessions.heard import settle_played

SILENCE_S = 60.0
"""A running response is cancelled when the provider says nothing at all for so long."""
LOCAL_GRACE_S = 30.0
"""The provider on this machine waits for its services as long as it was told, and tells when they fail."""
WATCH_S = 0.25
"""How late at most it is noticed that something never came."""


def silence_s(endpoint: Endpoint) -> float:
    """How long a provider may say nothing in the midst of a response."""
    if endpoint.provider == "local":
        return max(SILENCE_S, endpoint.local.service_timeout_s + LOCAL_GRACE_S)
    return SILENCE_S


async def watch(engine: Engine, limit_s: float) -> None:
    """End what the provider left unanswered for too long; note what has played to its end.

    Args:
        engine: Of the session.
        limit_s: From `silence_s`.
    """
    talk = engine.talk
    while True:
        # Looked at now and then: to be woken by each event would cost more than all else here.
        now = time.monotonic()
        times = talk.turns.deadline(), talk.playback.deadline(now)
        due = min((due for due in times if due is not None), default=now + WATCH_S)
        await asyncio.sleep(max(0.01, min(due - now, WATCH_S)))
        now = time.monotonic()
        settle_played(talk, now)
        if now - engine.heard_at >= limit_s:
            cancel_silent(talk, now, limit_s)
        engine.save_words()
        ask, cancelled = talk.turns.overdue(now)
        if ask is not None:
            message = "The provider did not answer a request for a response."
            talk.error(now, "provider_error", message, retryable=True)
            talk.pump(now)
        for response_id in cancelled:
            talk.turns.done(response_id)
            talk.give_up(response_id, now, "cancelled", reason="client_cancelled")
        engine.carry_out()
        if ask is not None or cancelled:
            engine.changed.notify()


def cancel_silent(talk: Conversation, now: float, limit_s: float) -> None:
    """Cancel the responses that run: nothing comes of them any more, and they would do so for ever."""
    for response_id in list(talk.responses.running):
        if talk.cancel_response(now, response_id):
            message = f"The provider sent nothing for {limit_s:g} s in the midst of a response."
            talk.error(now, "provider_error", message, retryable=True)
