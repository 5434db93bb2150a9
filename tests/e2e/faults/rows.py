"""What a row of the fault matrix is, and how one is played against a daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.support.daemon import Message
from tests.support.host import Host, Talk, error_of

Act = Callable[[Host, Talk], Awaitable[None]]

RULES: list[Message] = [
    {"on": "tool_output", "do": [{"text": "Told: {tool_output}"}]},
    {"match": "tool", "do": [{"call": {"tool": "look_up", "arguments": {}}}]},
    {"match": "story", "do": [{"say": "story"}]},
    {"match": "quota", "do": [{"fail": "quota"}]},
    {"match": "filter", "do": [{"say": "heard"}, {"fail": "content_filter"}]},
    {"on": "user", "do": [{"say": "heard"}]},
]
"""What the model of every row answers."""
TOOL: Message = {"name": "look_up", "run": "host", "timeout_s": 20}
AGENT: Message = {"name": "desk", "tools": [TOOL]}
FIRST_TEXT: Message = {"type": "conversation.item.create"}


@dataclass(frozen=True)
class Seen:
    """What a host sees of a fault.

    Attributes:
        start: The kind of the error that answers `session.start`; `, retryable` if it says so.
        responses: The statuses of all responses, in order.
        errors: The kinds of all `realtime.error`; an exclamation mark for one that is fatal.
        causes: Why the session connected again, each reason once.
        tools: The statuses of all tools.
        closed: The reason of `realtime.closed` and the kind of its error, before anyone stops the session.
    """

    start: str = ""
    responses: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    closed: str = ""


def saying(*texts: str) -> Act:
    """The host writes these texts, and waits for the answer to each."""

    async def act(host: Host, talk: Talk) -> None:
        for text in texts:
            await talk.ask("sendText", text=text)
            await talk.ask("wait")

    return act


@dataclass(frozen=True)
class Row:
    """One fault of the provider's, on a simulator.

    Attributes:
        name: By which it is known in the page and in the name of its test.
        fault: What goes wrong.
        expect: What the host sees, in a sentence.
        seen: The same, to be compared.
        faults: Of the first connection; the next ones are well.
        act: What the host does meanwhile.
        script, start: Members of the script and of `session.start` besides.
    """

    name: str
    fault: str
    expect: str
    seen: Seen
    faults: tuple[Message, ...] = ()
    act: Act = field(default_factory=lambda: saying("Hello"))
    script: Message = field(default_factory=dict)
    start: Message = field(default_factory=dict)


@dataclass(frozen=True)
class Elsewhere:
    """A fault that has a test of its own."""

    name: str
    fault: str
    expect: str
    test: str


async def play(host: Host, row: Row) -> Seen:
    """Start a session with the fault, act, and tell what was seen."""
    script = {"rules": RULES, "connections": [{"faults": list(row.faults)}, {"faults": []}], **row.script}
    talk, start = host.begin(row.name, **{"agent": AGENT, "script": script, **row.start})
    reply = await host.reply(start)
    if "error" in reply:
        error = error_of(reply)
        assert talk.events == [], "a failed start tells nothing else"
        return Seen(start=error["kind"] + (", retryable" if error["retryable"] else ""))
    await row.act(host, talk)
    if row.seen.closed:
        await talk.event("closed")
    else:
        info = await talk.ask("get")
        assert info["state"] == "listening", "it goes on"
    return seen(talk)


def seen(talk: Talk) -> Seen:
    """All that a session told so far, in short."""
    closed = "".join(event["reason"] + kind_of(event) for event in talk.of("closed"))
    return Seen(
        responses=tuple(event["status"] for event in talk.of("responseEnd")),
        errors=tuple(event["kind"] + "!" * event["fatal"] for event in talk.of("error")),
        causes=tuple({event["cause"]: None for event in talk.of("state", state="reconnecting")}),
        tools=tuple(event["status"] for event in talk.of("toolEnd")),
        closed=closed,
    )


def kind_of(event: Message) -> str:
    """The kind of an event's error, behind a slash; nothing without one."""
    return f"/{event['error']['kind']}" if "error" in event else ""
