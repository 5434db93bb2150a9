"""What never comes: ended after a while, so that nothing waits for ever."""

from __future__ import annotations

import asyncio
import time

from omnirt.sessions.engine import Engine
from omnirt.sessions.heard import settle_played

SILENCE_S = 60.0
"""A running response is cancelled when the provider says nothing at all for so long."""
WATCH_S = 0.25
"""How late at most it is noticed that something never came."""


async def watch(engine: Engine) -> None:
    """End what the provider left unanswered for too long; note what has played to its end."""
    talk = engine.talk
    while True:
        # Looked at now and then: to be woken by each event would cost more than all else here.
        now = time.monotonic()
        times = talk.turns.deadline(), talk.playback.deadline(now)
        due = min((due for due in times if due is not None), default=now + WATCH_S)
        await asyncio.sleep(max(0.01, min(due - now, WATCH_S)))
        now = time.monotonic()
        settle_played(talk, now)
        _cancel_silent(engine, now)
        engine.save_words()
        ask, cancelled = talk.turns.overdue(now)
        if ask is not None:
            talk.error(now, "provider_error", "The provider did not answer a request for a response.")
            talk.pump(now)
        for response_id in cancelled:
            talk.turns.done(response_id)
            talk.give_up(response_id, now, "cancelled", reason="client_cancelled")
        engine.carry_out()
        if ask is not None or cancelled:
            engine.changed.notify()


def _cancel_silent(engine: Engine, now: float) -> None:
    """A response of which nothing comes any more would run for ever."""
    if now - engine.heard_at < SILENCE_S:
        return
    for response_id in list(engine.talk.responses.running):
        if engine.talk.cancel_response(now, response_id):
            message = f"The provider sent nothing for {SILENCE_S:g} s in the midst of a response."
            engine.talk.error(now, "provider_error", message)
