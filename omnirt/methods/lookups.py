"""Finds agents by name in threads, as that reads files and imports code; meanwhile inputs wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from omnirt.errors import OmnirtError
from omnirt.protocol.types import Result
from omnirt.sessions.inbox import MAX_ENTRIES, MAX_TEXT_BYTES
from omnirt.specs.threads import BusyError, in_thread

T = TypeVar("T")
Answer: TypeAlias = Result | asyncio.Future[Any]

MAX_BYTES: Final = MAX_TEXT_BYTES
"""Of audio, text and images that wait for one lookup; as many as a session's own queue takes."""


@dataclass
class _Line:
    """What waits for one session, in order.

    Attributes:
        starting: Whether the session itself waits, and not only an update of it.
        looking: Whether a lookup is under way.
    """

    starting: bool = False
    looking: bool = False
    calls: deque[tuple[Callable[[], Answer], asyncio.Future[Any]]] = field(default_factory=deque)
    size: int = 0


class Lookups:
    """The lookups of one daemon."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._running: set[asyncio.Future[Any]] = set()

    @property
    def under_way(self) -> bool:
        """Whether anything may have to wait."""
        return bool(self._lines)

    def run(
        self,
        session_id: str | None,
        find: Callable[[], T],
        then: Callable[[T], Answer],
        failed: Callable[[OmnirtError], None] = lambda _: None,
        *,
        starting: bool = False,
    ) -> asyncio.Future[Any]:
        """Calls `find` in a thread, then `then` here, whose answer the future has.

        Args:
            session_id: The session to which what follows may be sent; None when nobody knows its id yet.
            find: May block.
            then: Gets what was found.
            failed: Told why nothing was found, before what waits is carried out.
            starting: Whether there is no session before `then` was called.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            finding = asyncio.wrap_future(in_thread(find))
        except BusyError as error:
            raise OmnirtError("overloaded", f"{error}; restart the daemon.") from None
        line = self._lines.setdefault(session_id, _Line()) if session_id is not None else _Line()
        line.looking, line.starting = True, starting
        self._running.add(finding)

        def found(finding: asyncio.Future[T]) -> None:
            self._running.discard(finding)
            try:
                if answer.cancelled() or finding.cancelled():
                    raise OmnirtError("cancelled", "The agent was not waited for.")
                _pass_on(partial(then, finding.result()), answer)
            except Exception as error:  # noqa: BLE001 - it goes to whoever asked
                failed(
                    error if isinstance(error, OmnirtError) else OmnirtError("internal", "Nothing was found.")
                )
                if not answer.done():
                    answer.set_exception(error)
            line.looking = line.starting = False
            self._advance(session_id, line)

        finding.add_done_callback(found)
        return answer

    def behind(self, session_id: str, call: Callable[[], Answer], *, ordered: bool, size: int = 0) -> Answer:
        """What `call()` answers: now, or when the lookup that it must wait for is done.

        Args:
            session_id: The session that it is about.
            call: Carries it out.
            ordered: Whether it is an input, which waits for updates before it too.
            size: In bytes.

        Raises:
            OmnirtError: `overloaded` when too much waits.
        """
        line = self._lines.get(session_id)
        if line is None or not (ordered or line.starting):
            return call()
        if len(line.calls) >= MAX_ENTRIES or (line.size and size and line.size + size > MAX_BYTES):
            raise OmnirtError(
                "overloaded", "Too much waits for the agent to be found; send this again later."
            )
        line.size += size
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        line.calls.append((call, answer))
        return answer

    def after_starts(self, call: Callable[[], Answer]) -> Answer:
        """What `call()` answers once every session that is being started now is there, or is not."""
        starting = [session_id for session_id, line in self._lines.items() if line.starting]
        for session_id in starting:
            call = partial(self.behind, session_id, call, ordered=False)
        return call()

    def close(self) -> None:
        """Waits for no thread any more."""
        for finding in list(self._running):
            finding.cancel()

    def _advance(self, session_id: str | None, line: _Line) -> None:
        while line.calls and not line.looking:
            call, answer = line.calls.popleft()
            if not answer.cancelled():
                _pass_on(call, answer)
        if session_id is not None and not line.looking:
            self._lines.pop(session_id, None)


def _pass_on(call: Callable[[], Answer], answer: asyncio.Future[Any]) -> None:
    """Gives what `call` answers, now or later, to the future; a cancel goes the other way."""
    try:
        given = call()
    except Exception as error:  # noqa: BLE001 - it goes to whoever asked
        answer.set_exception(error)
        return
    if not isinstance(given, asyncio.Future):
        answer.set_result(given)
        return

    def done(given: asyncio.Future[Any]) -> None:
        if answer.done():
            return
        if given.cancelled():
            answer.cancel()
        elif (error := given.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(given.result())

    given.add_done_callback(done)
    answer.add_done_callback(lambda answer: given.cancel() if answer.cancelled() else None)
