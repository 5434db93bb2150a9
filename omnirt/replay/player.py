"""The daemon of a tape: what it says next, and what it waits for. Sans-IO: time is an argument."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass

from omnirt.replay.answers import own_answer
from omnirt.replay.matching import (
    FREE,
    Matcher,
    Translation,
    is_chunk,
    is_sound,
    method_of,
    params_of,
    refusal,
    sample_bytes,
    stream_of,
)
from omnirt.tapes.lines import DaemonLine, HostLine, Stall, Tape
from omnirt.tapes.patterns import Json, TapeError, fill, literal, mismatch, resolve


class Divergence(Exception):
    """The host did something else than on the tape.

    Attributes:
        line: The line that it should have been, if any.
        got: What it sent, if anything.
    """

    def __init__(self, message: str, line: HostLine | None = None, got: Json = None) -> None:
        super().__init__(message)
        self.line = line
        self.got = got


@dataclass(frozen=True)
class Later:
    """Nothing to do before: the time of the next message, or None when it is the host's turn."""

    at: float | None


class Player:
    """Plays one tape once.

    Args:
        tape: Is not changed.
        speed: By how much its pauses are shorter; 0 for none at all.
        ignore_audio: Whether audio of the host may be any, in as many pieces as it likes.

    Raises:
        TapeError: A line of the daemon's leaves something open.
    """

    def __init__(self, tape: Tape, *, speed: float = 1.0, ignore_audio: bool = False) -> None:
        self._tape = tape
        self._speed = speed
        self._ignore_audio = ignore_audio
        self._translation = Translation()
        self._sample_bytes = sample_bytes(tape)
        self._matcher = Matcher(
            tape.folder, self._translation, ignore_audio=ignore_audio, sample_bytes=self._sample_bytes
        )
        self._lines = self._played(tape)
        self._check_audio()
        self._place = 0
        host = [line for line in self._lines if isinstance(line, HostLine)]
        self._open: dict[str, deque[HostLine]] = {}
        for line in host:
            self._open.setdefault(stream_of(line), deque()).append(line)
        self._streams = frozenset(self._open)
        self._came: dict[int, float] = {}
        self._dropped: Counter[str] = Counter()
        self._out: list[Json] = []
        self._answers: list[Json] = []
        self._starting: set[str] = set()
        self._done_at = 0.0
        self._last_ms = 0
        self.over = False
        """Whether the host is gone, or said that it goes."""
        self._greeted = any(method_of(line.message) == "initialize" for line in host)

    @property
    def finished(self) -> bool:
        """Whether everything was said, by both."""
        return self._place == len(self._lines) and not self._out and not self._answers and self.over

    @property
    def awaited(self) -> HostLine | None:
        """What the host has to say before the tape goes on; None when it is the daemon's turn, or the end."""
        line = self._lines[self._place] if self._place < len(self._lines) else None
        return line if isinstance(line, HostLine) and line.number not in self._came else None

    def start(self, now: float) -> None:
        """The clock begins here."""
        self._done_at = now

    def received(self, message: Json, now: float) -> None:
        """A message of the host's.

        Raises:
            Divergence: It is not the one that was to come.
        """
        free = method_of(message) in FREE or (not self._greeted and method_of(message) == "initialize")
        if free and not refusal(message):
            self._answer(message)
            return
        problems: list[tuple[HostLine, str]] = []
        for line in self._candidates():
            if line.raw is not None or line.broken or line.ends:
                continue
            problem = self._matcher.take(line, message)
            if problem is None:
                self._matched(line, message, now)
                return
            problems.append((line, problem))
        if not self._let_pass(message):
            self._diverge(message, problems)

    def unreadable(self, data: bytes, kind: str, now: float) -> None:
        """Something that is no message: its bytes, or the kind of error that its framing is.

        Raises:
            Divergence: There was none on the tape.
        """
        for line in self._candidates():
            if line.broken == kind or (line.raw is not None and _alike(line.raw, data)):
                self._close(line, now)
                return
        raise Divergence(
            "the host sent something that is no message",
            self._next_open(),
            f"{len(data)} bytes that are no JSON" if data else kind,  # which may have secrets in them
        )

    def ended(self, now: float) -> None:
        """The host will send nothing more.

        Raises:
            Divergence: It had more to say.
        """
        for line in self._candidates():
            if not line.ends:
                raise Divergence("the host ended without sending this", line)
            self._close(line, now)
        self.over = True

    def due(self, now: float) -> Json | Later:
        """The next message of the daemon's, or how long to wait for it."""
        if self._answers and not self._starting:  # nothing is answered before the start of its session
            return self._answers.pop(0)
        while not self._out and self._place < len(self._lines):
            line = self._lines[self._place]
            pause = max(0, line.at_ms - self._last_ms) / 1000 / self._speed if self._speed else 0.0
            if isinstance(line, HostLine):
                if line.number not in self._came:
                    return Later(None)
                self._done_at = max(self._done_at, self._came[line.number])
            else:
                if now < self._done_at + pause:
                    return Later(self._done_at + pause)
                self._done_at += pause
                self._out += self._said(line)
            self._last_ms = line.at_ms
            self._place += 1
        if not self._out:
            return self._answers.pop(0) if self._answers and not self._starting else Later(None)
        message = self._out.pop(0)
        if isinstance(message, dict) and "method" not in message:
            self._starting.discard(json.dumps(message.get("id")))
        return message

    def _played(self, tape: Tape) -> list[HostLine | DaemonLine]:
        """The lines without what is not played: stalls, and what the host may send at any time."""
        played: list[HostLine | DaemonLine] = []
        free: Counter[str] = Counter()
        for line in tape.lines:
            if isinstance(line, Stall):
                raise TapeError(f"line {line.number}: a stall is for playing the host, not the daemon")
            message = line.message if isinstance(line, HostLine) else line.patterns[0]
            if isinstance(line, HostLine) and method_of(message) in FREE and not refusal(message):
                if isinstance(message, dict) and "id" in message:
                    free[json.dumps(message["id"])] += 1
                continue
            if isinstance(line, DaemonLine) and isinstance(message, dict) and "method" not in message:
                key = json.dumps(message.get("id"))
                if free[key] and message.get("result") == {}:
                    free[key] -= 1
                    continue
            played.append(line)
        return played

    def _check_audio(self) -> None:
        """Nothing is played of a tape whose audio is not there.

        Raises:
            TapeError: It is not.
        """
        for line in self._lines:
            for pattern in [line.message] if isinstance(line, HostLine) else line.patterns:
                try:
                    resolve(pattern, self._tape.folder)
                except (OSError, ValueError, EOFError) as error:
                    raise TapeError(f"line {line.number}: {error}") from None

    def _candidates(self) -> list[HostLine]:
        """The first line of each stream that is still to come."""
        return sorted((lines[0] for lines in self._open.values()), key=lambda line: line.number)

    def _next_open(self) -> HostLine | None:
        return next(iter(self._candidates()), None)

    def _close(self, line: HostLine, now: float) -> None:
        """A line, the first of its stream, came."""
        self._came[line.number] = now
        stream = stream_of(line)
        self._open[stream].popleft()
        if not self._open[stream]:
            del self._open[stream]

    def _matched(self, line: HostLine, message: Json, now: float) -> None:
        self._close(line, now)
        if method_of(message) == "exit":
            self.ended(now)
        if method_of(message) == "session.start" and isinstance(message, dict) and "id" in message:
            self._starting.add(json.dumps(message["id"]))
        if self._ignore_audio and is_chunk(message):
            self._pour(line, now)

    def _pour(self, line: HostLine, now: float) -> None:
        """Audio that may be any came: the pieces that follow on the tape came with it."""
        stream = stream_of(line)
        while stream in self._open and is_chunk((other := self._open[stream][0]).message):
            self._close(other, now)
            if isinstance(other.message, dict) and "id" in other.message:
                self._dropped[json.dumps(other.message["id"])] += 1

    def _let_pass(self, message: Json) -> bool:
        """Takes what is not on the tape and may come all the same."""
        if refusal(message):
            return False
        surplus = self._ignore_audio and is_chunk(message) and self._knows(message)
        surplus = surplus and is_sound(params_of(message).get("audio"), self._sample_bytes)
        at_end = self._open.keys() <= {"end"} and method_of(message) in ("shutdown", "exit")
        allowed = any(self._matcher.fits(pattern, message) for pattern in self._tape.let_pass)
        if surplus or at_end or allowed:
            self.over = self.over or (at_end and method_of(message) == "exit")
            self._answer(message)
            return True
        return False

    def _knows(self, message: Json) -> bool:
        session = params_of(message).get("sessionId")
        return session in self._translation.sessions.values() or f"session {session}" in self._streams

    def _answer(self, message: Json) -> None:
        """Answers what needs no tape."""
        if (answer := own_answer(message)) is not None:
            self._answers.append(answer)

    def _said(self, line: DaemonLine) -> list[Json]:
        said: list[Json] = []
        for pattern in line.patterns:
            try:
                message = fill(pattern, self._translation.names, self._tape.folder)
            except (OSError, ValueError) as error:
                raise TapeError(f"line {line.number}: {error}") from None
            key = (
                json.dumps(message.get("id")) if isinstance(message, dict) and "method" not in message else ""
            )
            if key and not self._translation.requests.get(key) and self._dropped[key]:
                self._dropped[key] -= 1
                continue
            said.append(self._translation.answered(self._translation.to_host(message)))
        return said

    def _diverge(self, message: Json, problems: list[tuple[HostLine, str]]) -> None:
        """Blames the line that is the most like the message."""
        method = method_of(message)
        alike = [found for found in problems if method_of(found[0].message) == method]
        if not method:  # an answer: to that call, if it was one of the tape's
            own = message.get("id") if isinstance(message, dict) else None
            alike = [(line, p) for line, p in problems if stream_of(line) == f"answer {json.dumps(own)}"]
        if alike:
            raise Divergence(f"the host sent this differently: {alike[0][1]}", alike[0][0], message)
        raise Divergence("the host sent something that is not on the tape here", self._next_open(), message)


def _alike(on_tape: bytes, data: bytes) -> bool:
    """Whether two broken messages are the same, but for a secret that the tape does not have."""
    wanted, got = (text.decode("utf-8", "backslashreplace") for text in (on_tape, data))
    return mismatch(literal(wanted), got, {}) is None
