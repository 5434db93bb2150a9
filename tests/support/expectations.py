"""What a transcript expects of the daemon: single lines, and the order that the protocol promises."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from omnirt.tapes.patterns import WILDCARD, Json, Names, fits, mismatch


class Mismatch(AssertionError):
    """The daemon did not do what the transcript says."""


def stream_of(message: Json, names: Names) -> str | None:
    """The stream whose order counts for this message or pattern; None when it is not known yet."""
    if isinstance(message, list):
        return "batches"
    assert isinstance(message, dict), f"no message: {message!r}"
    if "method" not in message:
        return f"reply {json.dumps(message.get('id'))}"
    if "id" in message:
        return "calls"
    params = message.get("params")
    session = params.get("sessionId") if isinstance(params, dict) else None
    if isinstance(session, str) and (found := WILDCARD.fullmatch(session)):
        session = names.get(found["name"])
        return f"session {session}" if session else None
    return f"session {session}" if session else f"other {message['method']}"


@dataclass
class Part:
    """One pattern of a line: once, one or more times, or any number of times."""

    pattern: Json
    least: int = 1
    most: int | None = 1
    count: int = 0


def _part(pattern: Json) -> Part:
    match pattern:
        case {"<some>": inner}:
            return Part(inner, 1, None)
        case {"<maybe>": inner}:
            return Part(inner, 0, None)
        case _:
            return Part(pattern)


@dataclass
class Expected:
    """A daemon line of a transcript."""

    number: int
    patterns: list[Json]
    done: bool = False
    parts: list[Part] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = [_part(pattern) for pattern in self.patterns]

    @property
    def satisfied(self) -> bool:
        """Whether nothing more has to come for this line (though more may)."""
        return all(part.count >= part.least for part in self.parts)

    def concerns(self, message: Json, names: Names) -> bool:
        """Whether this line is about the message's stream."""
        return stream_of(self.parts[0].pattern, names) == stream_of(message, names)

    def wants(self, message: Json, names: Names) -> bool:
        """Whether it would take the message."""
        open_parts = (part for part in self.parts if part.most is None or part.count < part.most)
        return any(fits(part.pattern, message, dict(names)) for part in open_parts)

    def take(self, message: Json, names: Names) -> bool:
        """Takes the message, or gives way to the next line of its stream.

        Raises:
            Mismatch: It neither fits nor may come now.
        """
        for part in self.parts:
            if (part.most is None or part.count < part.most) and fits(part.pattern, message, names):
                part.count += 1
                self.done = all(p.count == p.most for p in self.parts)
                return True
        if not self.satisfied:
            raise Mismatch(f"{self.describe()}\ngot {json.dumps(message)[:600]}\n{self._why(message, names)}")
        self.done = True
        return False

    def describe(self) -> str:
        """The line for a failure message: what is still missing of it."""
        missing = [part.pattern for part in self.parts if part.count < part.least]
        return f"line {self.number}: {' or '.join(json.dumps(p)[:600] for p in missing)}"

    def _why(self, message: Json, names: Names) -> str:
        problems = (mismatch(p.pattern, message, dict(names)) for p in self.parts if p.count < p.least)
        return "; ".join(problem or "" for problem in problems)


class Order:
    """What the protocol promises of every exchange, whatever it is about.

    Args:
        ignore: Names of notifications that are checked here and matched nowhere.
    """

    def __init__(self, ignore: Iterable[str] = ()) -> None:
        self._ignore = frozenset(ignore)
        self._asked: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._starts: dict[str, str] = {}
        self._stops: dict[str, str] = {}
        self._started: set[str] = set()
        self._seq: dict[str, int] = {}
        self._live: dict[str, str] = {}

    def sent(self, message: Json) -> None:
        """The host sends this message."""
        for request in message if isinstance(message, list) else [message]:
            if not isinstance(request, dict) or "result" in request or "error" in request:
                continue
            asked = request.get("id")
            if isinstance(asked, bool) or not isinstance(asked, str | int):
                continue  # no request, or one that is answered with the id null
            key = json.dumps(asked)
            self._asked[key] += 1
            params = request.get("params")
            session = params.get("sessionId") if isinstance(params, dict) else None
            if isinstance(session, str):
                if request.get("method") == "session.start":
                    self._starts[key] = session
                elif request.get("method") == "session.stop":
                    self._stops[key] = session

    def received(self, message: Json) -> bool:
        """The daemon sent this message; True when the transcript ignores it."""
        for one in message if isinstance(message, list) else [message]:
            if not isinstance(one, dict) or one.get("jsonrpc") != "2.0":
                raise Mismatch(f"no JSON-RPC 2.0: {json.dumps(one)[:200]}")
            if "method" not in one:
                self._reply(one)
            elif "id" not in one:
                self._notification(one)
        return isinstance(message, dict) and "id" not in message and message["method"] in self._ignore

    def check_end(self) -> None:
        """The exchange is over: every request was answered, every session closed."""
        open_requests = self._asked - self._answered
        if open_requests:
            raise Mismatch(f"never answered: {', '.join(open_requests)}")
        if self._live:
            raise Mismatch(f"never closed: {', '.join(self._live)}")

    def _reply(self, reply: dict[str, Json]) -> None:
        key = json.dumps(reply.get("id"))
        self._answered[key] += 1
        if reply.get("id") is not None and self._answered[key] > self._asked[key]:
            raise Mismatch(f"answered more often than asked: {key}")
        if "result" not in reply:
            return
        if not isinstance(reply["result"], dict):
            raise Mismatch(f"the result of {key} is no object")
        if key in self._starts:
            self._started.add(self._starts[key])
        if self._stops.get(key) in self._live:
            raise Mismatch(f"the reply to session.stop of {self._stops[key]} came before realtime.closed")

    def _notification(self, message: dict[str, Json]) -> None:
        params = message.get("params")
        assert isinstance(params, dict), "notifications have params"
        session, run, seq = params.get("sessionId"), params.get("runId"), params.get("seq")
        if not isinstance(session, str):
            return
        if self._starts and session in self._starts.values() and session not in self._started:
            raise Mismatch(f"{message['method']} came before the reply to session.start of {session}")
        assert isinstance(run, str), "session notifications have a runId"
        assert isinstance(seq, int), "session notifications have a seq"
        if run in self._seq and session not in self._live:
            raise Mismatch(f"{message['method']} came after realtime.closed of {session}")
        if seq != self._seq.get(run, 0) + 1:
            raise Mismatch(f"{message['method']} has seq {seq} after {self._seq.get(run, 0)}")
        self._seq[run] = seq
        self._live[session] = run
        if message["method"] == "realtime.closed":
            del self._live[session]
