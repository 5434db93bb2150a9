"""The script of a simulated conversation as structs (docs/SIMULATOR.md describes every member)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from omnirt.protocol.readiness import ready

Ms = Annotated[int, msgspec.Meta(ge=0, le=24 * 3_600_000)]
Nth = Annotated[int, msgspec.Meta(ge=1)]
CloseCode = Annotated[int, msgspec.Meta(ge=1000, le=4999)]

_NOT_SENT = (1004, 1005, 1015)  # close codes that stand for something, and are never on the wire
_PLACEHOLDER = re.compile(r"\{(tool_output(?:\.\w+)*|text|tool|conversation)\}")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a script: a misspelled member is an error, not a silence."""


class Call(_Strict, frozen=True):
    """One function call: an `arguments` string is sent as it stands, so that it may be broken JSON."""

    tool: str
    arguments: dict[str, object] | str = {}


class Failure(_Strict, frozen=True):
    """How a response ends when it does not complete."""

    status: Literal["failed", "incomplete"] = "failed"
    type: str = "server_error"
    code: str | None = None
    message: str = "The server had an error while processing your request."
    reason: Literal["max_output_tokens", "content_filter"] | None = None


FAILURES: Mapping[str, Failure] = {
    "quota": Failure(
        type="insufficient_quota",
        code="insufficient_quota",
        message="You exceeded your current quota, please check your plan and billing details.",
    ),
    "rate_limit": Failure(
        type="rate_limit_exceeded", code="rate_limit_exceeded", message="Rate limit reached for requests."
    ),
    "content_filter": Failure(status="incomplete", reason="content_filter"),
    "max_output_tokens": Failure(status="incomplete", reason="max_output_tokens"),
}


class ErrorEvent(_Strict, frozen=True):
    """An `error` event in the middle of a response, which goes on after it."""

    message: str
    type: str = "server_error"
    code: str | None = None
    param: str | None = None


class Action(_Strict, frozen=True):
    """One thing to do in a response; exactly one member is given."""

    say: str | None = None
    text: str | None = None
    call: Call | list[Call] | None = None
    hand_off: str | None = None
    fail: Literal["quota", "rate_limit", "content_filter", "max_output_tokens"] | Failure | None = None
    wait_ms: Ms | None = None
    error: ErrorEvent | None = None
    forget: Literal[True] | None = None

    def __post_init__(self) -> None:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"an action has exactly one of {', '.join(self.__struct_fields__)}")

    @property
    def calls(self) -> list[Call]:
        """The function calls this action stands for."""
        if self.hand_off is not None:
            # the name that the voice SDK gives to a handoff by default
            return [Call(re.sub(r"[^a-zA-Z0-9_]", "_", f"transfer_to_{self.hand_off}").lower())]
        if isinstance(self.call, Call):
            return [self.call]
        return self.call or []

    @property
    def failure(self) -> Failure | None:
        """The failure this action stands for."""
        return FAILURES[self.fail] if isinstance(self.fail, str) else self.fail


class Rule(_Strict, frozen=True):
    """When a response answers such a turn, it does this: all of `do`, or the next of `cycle`.

    `user` is text or audio; `any` is every turn, a tool's output too.
    """

    on: Literal["user", "text", "audio", "start", "tool_output", "idle", "any"] = "user"
    match: str | None = None
    turn: Nth | None = None
    tool: str | None = None
    do: list[Action] = []
    cycle: list[list[Action]] = []

    def __post_init__(self) -> None:
        if bool(self.do) == bool(self.cycle):
            raise ValueError("a rule has exactly one of do, cycle")
        if self.match and self.match.startswith("/"):
            try:
                re.compile(self.match.strip("/"))
            except re.error as error:
                raise ValueError(f"match is no regular expression: {error}") from None

    def fits(self, text: str) -> bool:
        """Whether the text is what `match` asks for: `/a regular expression/`, or a part of the text."""
        if self.match is None:
            return True
        if self.match.startswith("/"):
            return re.search(self.match.strip("/"), text, re.IGNORECASE) is not None
        return self.match.casefold() in text.casefold()


class Unheard(_Strict, frozen=True):
    """A user turn whose transcription fails."""

    fail: str


class Moment(_Strict, frozen=True):
    """When a fault begins: at the connection, unless one of these is given.

    `type` alone is its first client event of that type, with `client_event` the nth.
    """

    after_ms: Ms | None = None
    audio_delta: Nth | None = None
    client_event: Nth | None = None
    type: str | None = None

    @property
    def nth_event(self) -> int | None:
        """Which client event, of `type` if that is given."""
        return 1 if self.client_event is None and self.type is not None else self.client_event


class Drop(_Strict, frozen=True):
    """The end of a connection: a close frame, or for 1006 a reset of the TCP connection without one."""

    code: CloseCode = 1006
    reason: Annotated[str, msgspec.Meta(max_length=120)] = ""

    def __post_init__(self) -> None:
        if self.code in _NOT_SENT or 1016 <= self.code < 3000:
            raise ValueError(f"{self.code} is no code of a close frame")


class Fault(_Strict, frozen=True):
    """One thing that goes wrong; exactly one member besides `at` is given."""

    at: Moment = Moment()
    refuse: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    hang: bool | None = None
    drop: CloseCode | Drop | None = None
    silent: bool | None = None
    half_open: bool | None = None
    slow_ms: Ms | None = None
    malformed: bool | None = None
    unknown_event: bool | None = None
    bad_audio: bool | None = None
    no_session_updated: bool | None = None
    ignore_cancel: bool | None = None
    ignore: str | None = None
    event: dict[str, Any] | None = None
    twice: bool | None = None

    _handshake: ClassVar[tuple[str, ...]] = ("refuse", "hang")

    @property
    def kind(self) -> str:
        """Which fault it is."""
        return self._given[0]

    @property
    def _given(self) -> list[str]:
        return [n for n in self.__struct_fields__ if n != "at" and getattr(self, n) is not None]

    def __post_init__(self) -> None:
        given = self._given
        if len(given) != 1:
            raise ValueError("a fault has exactly one kind")
        if given[0] in self._handshake and self.at != Moment():
            raise ValueError(f"{given[0]} happens at the handshake and takes no at")
        if self.drop is not None:
            self.ending  # noqa: B018 - an int is checked as the struct is

    @property
    def ending(self) -> Drop:
        """How the connection is dropped."""
        return self.drop if isinstance(self.drop, Drop) else Drop(self.drop or 1006)


class Connection(_Strict, frozen=True):
    """What the nth connection does besides `Script.faults`."""

    faults: list[Fault] = []


class Script(_Strict, frozen=True):
    """A whole script. Turns that no rule fits are answered by the small talk.

    `answers` says what a response answers when several turns wait: all of them as one turn, as a model does,
    or the earliest of them, so that as many responses as turns give the answers in order. `session_ms` says
    how long a connection lasts, as with a provider that ends sessions after an hour.
    """

    name: str = ""
    latency_ms: Ms = 0
    session_ms: Annotated[int, msgspec.Meta(ge=1000)] | None = None
    answers: Literal["each", "all"] = "all"
    hears: list[str | Unheard] = []
    rules: list[Rule] = []
    faults: list[Fault] = []
    connections: list[Connection] = []

    def faults_of(self, connection: int) -> list[Fault]:
        """The faults of the nth connection, counted from 0."""
        own = self.connections[connection].faults if connection < len(self.connections) else []
        return [*self.faults, *own, *self._expiry()]

    def _expiry(self) -> list[Fault]:
        if self.session_ms is None:
            return []
        reason = "Your session hit the maximum duration of its script (session_expired)."
        return [Fault(at=Moment(after_ms=self.session_ms), drop=Drop(1001, reason))]

    def sayings(self) -> Iterator[tuple[str, str]]:
        """Every `say` with its path."""
        for i, rule in enumerate(self.rules):
            lists = {f"do[{j}]": a for j, a in enumerate(rule.do)}
            lists |= {f"cycle[{j}][{k}]": a for j, c in enumerate(rule.cycle) for k, a in enumerate(c)}
            yield from ((f"$.rules[{i}].{at}.say", a.say) for at, a in lists.items() if a.say is not None)


ready(Script)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put `{text}`, `{tool}`, `{tool_output}`, `{tool_output.member}`, `{conversation}` into a text."""

    def value(found: re.Match[str]) -> str:
        name, *members = found[1].split(".")
        text = values.get(name, "")
        for member in members:
            try:
                inner = msgspec.json.decode(text)
            except msgspec.DecodeError:
                return ""
            part = inner.get(member, "") if isinstance(inner, dict) else ""
            text = part if isinstance(part, str) else msgspec.json.encode(part).decode()
        return text

    return _PLACEHOLDER.sub(value, template)


def is_template(text: str) -> bool:
    """Whether what is said is known only when it is said."""
    return _PLACEHOLDER.search(text) is not None
