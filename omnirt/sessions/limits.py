"""Limits of a session that the host set: warned of ahead of time, then kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from msgspec import UNSET

from omnirt.protocol.methods import SessionLimits
from omnirt.protocol.types import CloseReason, ErrorInfo
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.signal import Signal

Ended = Callable[[CloseReason, ErrorInfo | None], None]

WARN_S = 60.0
"""So long ahead a limit in time is warned of; of one below two minutes, at half its time."""
WARN_TOKENS = 0.9
"""At this share of the tokens."""


class LimitWatch:
    """Watches the limits of one session. Sans-IO but for `work`, which is its clock.

    Args:
        limits: What the host set.
        talk: The session's conversation: its state, and its usage.
    """

    def __init__(self, limits: SessionLimits, talk: Conversation) -> None:
        self._talk = talk
        self._max_s = _seconds(limits.max_minutes)
        self._idle_s = _seconds(limits.idle_minutes)
        self._max_tokens = limits.max_total_tokens or math.inf
        self._began = self._active = talk.started_s
        self._engaged = False
        """Whether what goes on was begun by the user or the host, and not by the provider's own prompting."""
        self._inputs = 0
        self._warned: set[str] = set()

    async def work(self, changed: Signal, told: Callable[[], None], ended: Ended) -> None:
        """Keep the limits until cancelled, or until one is reached."""
        while (reached := self.look(time.monotonic())) is None:
            told()
            await changed.wait(self.due())
        ended("limit", ErrorInfo(kind="session_limit", message=reached))

    def look(self, now: float) -> str | None:
        """Warn of what is near; returns which limit is reached, in words."""
        self._note_activity(now)
        spent = now - self._began
        if spent >= self._max_s:
            return f"The session reached its limit of {self._max_s / 60:g} minutes (limits.maxMinutes)."
        idle = now - self._active
        if idle >= self._idle_s:
            return f"Nothing was said for {self._idle_s / 60:g} minutes (limits.idleMinutes)."
        total = self._talk.usage.total_tokens
        tokens = 0 if total is UNSET else total
        if tokens >= self._max_tokens:
            return (
                f"The session used {tokens} tokens, its limit is {self._max_tokens} (limits.maxTotalTokens)."
            )
        if spent >= self._max_s - _lead(self._max_s):
            self._warn("maxMinutes", f"The session ends in {self._max_s - spent:.0f} s.", now)
        if idle >= self._idle_s - _lead(self._idle_s):
            self._warn("idleMinutes", f"The session ends in {self._idle_s - idle:.0f} s of silence.", now)
        else:
            self._warned.discard("idleMinutes")
        if tokens >= self._max_tokens * WARN_TOKENS:
            left = f"{tokens} of {self._max_tokens} tokens are used; the session ends when all are."
            self._warn("maxTotalTokens", left, now)
        return None

    def due(self) -> float | None:
        """When time alone brings the next warning or the end."""
        times = [self._began + self._max_s, self._active + self._idle_s]
        if "maxMinutes" not in self._warned:
            times.append(self._began + self._max_s - _lead(self._max_s))
        if "idleMinutes" not in self._warned:
            times.append(self._active + self._idle_s - _lead(self._idle_s))
        soonest = min(times)
        return None if math.isinf(soonest) else soonest

    def _note_activity(self, now: float) -> None:
        turns = self._talk.turns
        if turns.user_speaking or turns.inputs != self._inputs:
            self._inputs = turns.inputs
            self._engaged = True
            self._active = now
        elif self._engaged:
            self._active = now
            self._engaged = self._talk.state in ("thinking", "speaking")

    def _warn(self, limit: str, message: str, now: float) -> None:
        if limit not in self._warned:
            self._warned.add(limit)
            self._talk.error(now, "session_limit", f"{message} (limits.{limit})")


def _seconds(minutes: float | None) -> float:
    return math.inf if minutes is None else minutes * 60


def _lead(limit_s: float) -> float:
    return 0.0 if math.isinf(limit_s) else min(WARN_S, limit_s / 2)
