"""Goes on after a lost connection: by attempts with growing pauses; ahead of the provider's limit, too."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Protocol

from omnirt.errors import OmnirtError
from omnirt.protocol.types import CloseReason, ErrorInfo
from omnirt.providers.closes import for_good
from omnirt.providers.settings import ReconnectSettings
from omnirt.sessions import away
from omnirt.sessions.engine import Ended, Engine
from omnirt.sessions.faults import of_session
from omnirt.sessions.kept import Kept
from omnirt.sessions.losses import Loss
from omnirt.sessions.signal import Signal
from omnirt.sessions.turns import Ask

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.25
"""The pause before the second attempt; it doubles from there. The first attempt is made at once."""
STABLE_S = 10.0
"""A connection that is lost sooner goes on with the count of attempts."""
MAX_FLAPS = 3
"""So many in a row that are lost so soon are not worth another."""
AHEAD_S = 180.0
"""From so long before the provider's limit on, or in its last quarter, a pause of the talk is used."""
LATEST_S = 15.0
"""And so long before it, or a twentieth, even if there is none."""


class Connection(Protocol):
    """What opens connections: the run."""

    async def reopen(self) -> None:
        """Open another connection and wait until the provider took the settings; raises `OmnirtError`."""

    async def restore(self, unanswered: list[Ask]) -> bool:
        """Tell the model the talk so far; returns whether that is all of it."""


class Reconnector:
    """Keeps one session connected, from when it is made; `work` has to run.

    Args:
        policy: How often, how patiently, how long.
        engine: Of the session.
        connection: Opens connections.
        ended: Called when it is given up.
        chance: Between 0 and 1: the jitter.
    """

    def __init__(
        self,
        policy: ReconnectSettings,
        engine: Engine,
        connection: Connection,
        ended: Ended,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._engine = engine
        self._connection = connection
        self._ended = ended
        self._chance = chance
        self._log = of_session(log, engine.talk.run.session_id)
        self._loss: Loss | None = None
        self._noticed = Signal()
        self._opened = time.monotonic()
        self._attempts = self._flaps = 0
        self._clock_is_wrong = False
        self._began = 0.0
        engine.kept = Kept(lambda: engine.talk.turns.server_vad)
        engine.on_loss = self._lost

    def _lost(self, loss: Loss) -> None:
        if self._loss is None:
            self._loss = loss
            self._engine.link.up.clear()
            self._noticed.notify()
            self._engine.changed.notify()

    async def work(self) -> None:
        """Open what is lost, until cancelled or until it is given up."""
        while True:
            cause = await self._next_loss()
            given_up = await self._go_on(cause)
            if given_up is not None:
                self._ended(*given_up)
                await asyncio.Event().wait()  # the end cancels it

    async def _next_loss(self) -> away.Cause:
        """Wait for a loss, or for a pause of the talk shortly before the provider's limit."""
        while self._loss is None:
            now = time.monotonic()
            pause, latest = expiry_times(
                self._opened, None if self._clock_is_wrong else self._engine.expires_at
            )
            talk = self._engine.talk
            quiet = talk.turns.idle(now) and not talk.playback.unsettled()
            if now >= latest or (now >= pause and quiet):
                # The limit is a time of day. Where ours is wrong, every connection may seem to end soon.
                self._clock_is_wrong = now - self._opened < STABLE_S
                return "expiring"
            if now >= pause:
                await self._engine.changed.wait(latest)
            else:
                await self._noticed.wait(pause)  # not woken by all that is said
        return "expired" if self._loss.reason == "expired" else "connectionLost"

    async def _go_on(self, cause: away.Cause) -> tuple[CloseReason, ErrorInfo] | None:
        """Connect again; returns how the session ends when that failed."""
        engine, talk = self._engine, self._engine.talk
        lost_at = time.monotonic()
        if lost_at - self._opened >= STABLE_S or not self._attempts:
            self._attempts, self._flaps, self._began = 0, 0, lost_at
        else:
            self._flaps += 1
        engine.link.up.clear()
        unanswered = away.leave(talk, lost_at)
        engine.gate.lost()
        code = self._loss.code if self._loss else None
        self._log.info("lost its connection: %s%s", cause, "" if code is None else f", close code {code}")
        error = self._loss.error if self._loss else None
        reason = self._loss.reason if self._loss else "expired"
        deadline = self._began + self._policy.deadline_ms / 1000
        while True:
            delay_s = self._delay_s()
            late = time.monotonic() + delay_s > deadline
            if late or self._attempts >= self._policy.attempts or self._flaps >= MAX_FLAPS:
                return reason, _given_up(self._attempts, self._flaps, error)
            self._attempts += 1
            away.tell_attempt(talk, time.monotonic(), self._attempts, delay_s, cause)
            engine.carry_out()
            try:
                async with asyncio.timeout_at(deadline):
                    await asyncio.sleep(delay_s)
                    self._loss = None
                    await self._connection.reopen()
                    restored = await self._connection.restore(unanswered)
            except TimeoutError:
                return reason, _given_up(self._attempts, self._flaps, error)
            except OmnirtError as problem:
                self._log.info("attempt %d to connect again failed: %s", self._attempts, problem.kind)
                error = ErrorInfo(kind=problem.kind, message=problem.message)
                if (refused := for_good(problem)) is not None:
                    return "content" if refused == "content" else "error", error
                continue  # even where it looks like a mistake: it worked before, so that it may pass
            if self._loss is None:
                break
        self._opened = time.monotonic()
        gap_s = self._opened - lost_at
        self._log.info("is connected again: attempt %d, %d ms", self._attempts, round(gap_s * 1000))
        away.come_back(talk, self._opened, self._attempts, gap_s, restored=restored)
        engine.carry_out()
        engine.link.up.set()
        engine.changed.notify()
        return None

    def _delay_s(self) -> float:
        if not self._attempts:
            return 0.0
        longest = min(FIRST_DELAY_S * 2.0 ** min(self._attempts - 1, 30), self._policy.max_delay_ms / 1000)
        return longest * (0.5 + self._chance() / 2)


def expiry_times(opened: float, expires_at: float | None) -> tuple[float, float]:
    """From when on a pause is used to connect anew, and when at the latest; infinity without a limit."""
    if expires_at is None or expires_at <= opened:
        return float("inf"), float("inf")
    lifetime = expires_at - opened
    return expires_at - min(AHEAD_S, lifetime / 4), expires_at - min(LATEST_S, lifetime / 20)


def _given_up(attempts: int, flaps: int, error: ErrorInfo | None) -> ErrorInfo:
    """How it ends; `flaps` of the attempts brought a connection that was soon lost again."""
    said = [error.message if error is not None else "The provider's limit on a session was reached."]
    if failed := attempts - flaps:
        said.append(f"{'One attempt' if failed == 1 else f'{failed} attempts'} to connect again failed.")
    if flaps:
        made = "One connection was" if flaps == 1 else f"{flaps} connections were"
        said.append(f"{made} made again, and lost within {STABLE_S:g} s.")
    return ErrorInfo(kind="provider_unreachable", message=" ".join(said))
