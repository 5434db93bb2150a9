"""All live sessions of a daemon by id, and the outcome of those that ended lately."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from omnirt.errors import OmnirtError
from omnirt.protocol.lifecycle import LiveSession
from omnirt.protocol.methods import SessionStartResult, SessionStopResult
from omnirt.protocol.types import CloseReason, SessionInfo
from omnirt.sessions.services import Services
from omnirt.sessions.session import RealtimeSession, SessionOptions
from omnirt.sessions.sink import EventSink
from omnirt.specs.load import Located

MAX_SESSIONS = 256
"""Live sessions of one daemon (`limits.maxSessions`); each costs a socket and about 1 MB."""
MAX_ENDED = 256
"""Outcomes kept for a stop that comes after the end."""
CLOSE_ALL_S = 4.0
"""A daemon told to go is gone in 5 s."""


class Registry:
    """Starts, finds and ends sessions."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._live: dict[str, RealtimeSession] = {}
        self._ended: OrderedDict[str, SessionStopResult] = OrderedDict()
        self._failed: OrderedDict[str, OmnirtError] = OrderedDict()
        self._closing: CloseReason | None = None
        self._reconnects = 0
        """Of the sessions that ended."""

    def __len__(self) -> int:
        return len(self._live)

    def start(
        self,
        agent: str | Mapping[str, Any] | Located,
        session_id: str | None,
        options: SessionOptions,
        sink: EventSink,
    ) -> tuple[RealtimeSession, asyncio.Future[SessionStartResult]]:
        """Begin a session; its id is taken from now on.

        Raises:
            OmnirtError: `session_exists`, `session_limit`, `shutting_down`, and what
                `RealtimeSession.launch` can tell at once.
        """
        if self._closing is not None:
            raise OmnirtError("shutting_down", "The daemon is ending; it starts no more sessions.")
        if session_id is not None and session_id in self._live:
            raise OmnirtError(
                "session_exists", f"The session {session_id} is live; stop it or choose another id."
            )
        if len(self._live) >= MAX_SESSIONS:
            raise OmnirtError("session_limit", f"{MAX_SESSIONS} sessions are live; stop one first.")
        session = RealtimeSession(
            agent, session_id=session_id, options=options, services=self.services, sink=sink
        )
        self._ended.pop(session.session_id, None)
        self._failed.pop(session.session_id, None)
        try:
            started = session.launch()
        except OmnirtError as error:
            self.refused(session.session_id, error)
            raise
        self._live[session.session_id] = session
        session.life.closed.add_done_callback(lambda closed: self._over(session, closed))
        return session, started

    def refused(self, session_id: str, error: OmnirtError) -> None:
        """Keeps why there is no session of this id, for the inputs that it was sent."""
        if session_id in self._live:
            return
        self._failed[session_id] = error
        while len(self._failed) > MAX_ENDED:
            self._failed.popitem(last=False)

    def get(self, session_id: str) -> RealtimeSession:
        """A live session.

        Raises:
            OmnirtError: `session_not_found`.
        """
        session = self._live.get(session_id)
        if session is None:
            raise OmnirtError("session_not_found", f"No live session has the id {session_id[:128]!r}.")
        return session

    def taking_inputs(self, session_id: str) -> RealtimeSession:
        """A session that may be sent inputs.

        Raises:
            OmnirtError: `session_not_found`, or why its start failed: a host need not wait for the reply to a
                start, and its inputs get the start's error whether they come before or after the failure.
        """
        session = self._live.get(session_id)
        if session is not None:
            return session
        failed = self._failed.get(session_id)
        if failed is None:
            return self.get(session_id)
        raise OmnirtError(failed.kind, failed.message, retryable=failed.retryable, **failed.facts)

    def outcome(self, session_id: str) -> SessionStopResult | None:
        """How a session ended that is no longer live."""
        return None if session_id in self._live else self._ended.get(session_id)

    def list(self) -> list[SessionInfo]:
        """All live sessions, in the order of their start."""
        return [session.info() for session in self._live.values()]

    def live(self) -> list[LiveSession]:  # type: ignore[valid-type] # `list` is a method above
        """How each live session is doing."""
        return [_stats(session) for session in self._live.values()]

    @property
    def reconnects(self) -> int:
        """Of all sessions so far."""
        return self._reconnects + sum(s.life.run.talk.reconnects for s in self._live.values())

    async def close(self, reason: CloseReason) -> None:
        """End every session, within a time limit; no new one is started."""
        self._closing = reason
        ends = []
        for session in list(self._live.values()):
            session.life.end(reason)
            ends.append(session.life.closed)
        if ends:
            await asyncio.wait(ends, timeout=CLOSE_ALL_S)

    def _over(self, session: RealtimeSession, closed: asyncio.Future[SessionStopResult]) -> None:
        self._live.pop(session.session_id, None)
        self._reconnects += session.life.run.talk.reconnects
        if closed.cancelled():
            return
        started, outcome = session.life.started, closed.result()
        if session.life.run.connected or (outcome.reason == "stopped" and not started.cancelled()):
            self._ended[session.session_id] = outcome
            while len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
            return
        error = None if started.cancelled() else started.exception()
        if not isinstance(error, OmnirtError):
            error = OmnirtError("cancelled", "The start of the session was called off.")
        self.refused(session.session_id, error)


def _stats(session: RealtimeSession) -> LiveSession:
    info = session.info()
    return LiveSession(
        session_id=info.session_id,
        run_id=info.run_id,
        state=info.state,
        queues=info.queues,
        dropped_audio_ms=session.sink.dropped_ms,
        reconnects=session.life.run.talk.reconnects,
    )
