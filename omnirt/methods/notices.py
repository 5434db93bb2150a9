"""What becomes of notifications that fail: an event of their session, or one message to the user."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from omnirt.errors import OmnirtError
from omnirt.methods.app import Host
from omnirt.protocol.validation import shortened
from omnirt.sessions.registry import Registry

if TYPE_CHECKING:
    from omnirt.sessions.run import Run

QUIET_S = 1.0
"""Equal errors of one session are told at most this often (PROTOCOL section 3)."""
MAX_REMEMBERED = 4096
"""Ids and errors remembered; beyond it the oldest may be told again."""


class _Named(msgspec.Struct, rename="camel"):
    session_id: str | None = None


@dataclass
class _Repeat:
    """Equal errors within the quiet time: how many came since the last was told."""

    count: int
    timer: asyncio.TimerHandle


class Notices:
    """Tells the failures of notifications, without flooding the host."""

    def __init__(self, host: Host, registry: Registry) -> None:
        self._host = host
        self._registry = registry
        self._unknown: OrderedDict[str, None] = OrderedDict()
        self._repeats: OrderedDict[tuple[str, str, str, str], _Repeat] = OrderedDict()

    def failed(self, method: str, params: bytes | None, error: OmnirtError) -> None:
        """A notification could not be served."""
        method = shortened(method)
        session_id = _session_id(params)
        run = self._run(session_id)
        if run is None:
            self._tell_user(session_id, method, error)
            return
        key = (run.talk.run.run_id, method, error.kind, error.message)
        repeat = self._repeats.get(key)
        if repeat is not None:
            repeat.count += 1
            return
        self._tell_session(run, method, error, 1)
        self._quiet(key, run, method, error)

    def _run(self, session_id: str | None) -> Run | None:
        try:
            session = self._registry.get(session_id or "")
        except OmnirtError:
            return None
        return None if session.life.ending else session.life.run

    def _tell_user(self, session_id: str | None, method: str, error: OmnirtError) -> None:
        key = shortened(session_id or f"{method} {error.kind}", 200)
        if key in self._unknown:
            return
        self._unknown[key] = None
        if len(self._unknown) > MAX_REMEMBERED:
            self._unknown.popitem(last=False)
        self._host.log_message("warning", f"{method}: {error.message}")

    @staticmethod
    def _tell_session(run: Run, method: str, error: OmnirtError, count: int) -> None:
        run.tell_error(error, method=method, count=count)

    def _quiet(self, key: tuple[str, str, str, str], run: Run, method: str, error: OmnirtError) -> None:
        def over() -> None:
            repeat = self._repeats.pop(key, None)
            if repeat is not None and repeat.count:
                self._tell_session(run, method, error, repeat.count)
                self._quiet(key, run, method, error)

        timer = asyncio.get_running_loop().call_later(QUIET_S, over)
        self._repeats[key] = _Repeat(0, timer)
        if len(self._repeats) > MAX_REMEMBERED:
            self._repeats.popitem(last=False)[1].timer.cancel()


def _session_id(params: bytes | None) -> str | None:
    try:
        return None if params is None else msgspec.json.decode(params, type=_Named).session_id
    except (msgspec.MsgspecError, RecursionError):
        return None
