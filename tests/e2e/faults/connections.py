"""Connections that are lost, or about to expire, whatever is going on."""

from __future__ import annotations

from tests.e2e.faults.rows import AGENT, FIRST_TEXT, TOOL, Row, Seen, saying
from tests.support.daemon import Message
from tests.support.host import Host, Talk
from tests.support.speech import utterance

LOST = ("connectionLost",)
ASKS_FIRST: Message = {**AGENT, "tools": [{**TOOL, "needs_approval": True}]}


def drop(**at: object) -> tuple[Message, ...]:
    return ({"at": at, "drop": 1006},)


async def connected_again(talk: Talk) -> None:
    """Wait until the second connection is there, and knows all of the talk."""
    assert (await talk.event("state", 2, state="connected"))["restored"] is True


async def is_idle(host: Host, talk: Talk) -> None:
    """Nothing happens, until the connection is another; then all is as before."""
    await connected_again(talk)
    await saying("Hello")(host, talk)


async def interrupts(host: Host, talk: Talk) -> None:
    """The host interrupts a story, at which the connection goes away."""
    await talk.ask("sendText", text="A story")
    await talk.event("audio", 3)
    assert (await talk.ask("interrupt"))["interrupted"] is True
    await connected_again(talk)
    await talk.ask("wait")


async def its_call(host: Host, talk: Talk, method: str) -> Message:
    """The call of this session."""

    def find() -> Message | None:
        calls = (call for call in host.calls if call["method"] == method)
        return next((call for call in calls if call["params"]["sessionId"] == talk.id), None)

    return await host.until(find, method)


async def answers_late(host: Host, talk: Talk) -> None:
    """The host answers a tool when there is another connection."""
    await talk.ask("sendText", text="Use the slow tool")
    call = await its_call(host, talk, "tool.call")
    await connected_again(talk)
    host.respond(call, result={"output": "late"})
    await talk.ask("wait")


async def approves_late(host: Host, talk: Talk) -> None:
    """The host approves a tool when there is another connection."""
    await talk.ask("sendText", text="Use the slow tool")
    approval = await its_call(host, talk, "tool.approve")
    await connected_again(talk)
    host.respond(approval, result={"decision": "approve"})
    call = await its_call(host, talk, "tool.call")
    host.respond(call, result={"output": "late"})
    await talk.ask("wait")


async def speaks(host: Host, talk: Talk) -> None:
    """The user speaks on while there is another connection, and ends the turn then."""
    await talk.say(utterance("weather"))
    await talk.event("state", 2, state="connected")
    await talk.say(b"", commit=True)
    await talk.ask("wait")


BY_HAND: Message = {"realtime": {"turn_detection": None, "input_audio_transcription": {"model": "whisper-1"}}}

ROWS = [
    Row(
        "lost-idle",
        "The connection is reset while nothing goes on",
        "`reconnecting`, then `connected` with `restored`.",
        Seen(causes=LOST, responses=("completed",)),
        drop(after_ms=20_000),
        is_idle,
    ),
    Row(
        "lost-answer",
        "… in mid-answer",
        "The response ends as `failed`, and is asked for again.",
        Seen(causes=LOST, responses=("failed", "completed")),
        drop(audio_delta=4),
        saying("A story"),
    ),
    Row(
        "lost-interrupt",
        "… at an interrupt",
        "The response has ended, and is not asked for again.",
        Seen(causes=LOST, responses=("cancelled",)),
        drop(type="response.cancel"),
        interrupts,
    ),
    Row(
        "lost-tool",
        "… while a tool runs",
        "It runs on; its output goes to the next connection.",
        Seen(causes=LOST, responses=("completed", "completed"), tools=("completed",)),
        drop(after_ms=30_000),
        answers_late,
    ),
    Row(
        "lost-approval",
        "… while the host is asked whether a tool may run",
        "The question stays open; the tool runs once it is answered.",
        Seen(causes=LOST, responses=("completed", "completed"), tools=("completed",)),
        drop(after_ms=30_000),
        approves_late,
        start={"agent": ASKS_FIRST},
    ),
    Row(
        "lost-speech",
        "… while the user speaks",
        "What was said is sent again; the turn is heard whole and answered once.",
        Seen(causes=LOST, responses=("completed",)),
        drop(type="input_audio_buffer.append", client_event=10),
        speaks,
        start=BY_HAND,
    ),
    Row(
        "half-open",
        "The peer neither reads nor writes any more, and the connection stays",
        "Noticed within 10 s, then as above.",
        Seen(causes=LOST, responses=("completed",)),
        ({"at": FIRST_TEXT, "half_open": True},),
    ),
    Row(
        "expiring-idle",
        "The provider's limit on a session comes near",
        "The first pause is used: `reconnecting` with `expiring`.",
        Seen(causes=("expiring",), responses=("completed",)),
        act=is_idle,
        script={"session_ms": 80_000},
    ),
    Row(
        "expiring-tool",
        "… while a tool runs",
        "The tool is waited for until the last moment, and runs on after it.",
        Seen(causes=("expiring",), responses=("completed", "completed"), tools=("completed",)),
        act=answers_late,
        script={"session_ms": 80_000},
    ),
    Row(
        "expiring-approval",
        "… while the host is asked whether a tool may run",
        "The same.",
        Seen(causes=("expiring",), responses=("completed", "completed"), tools=("completed",)),
        act=approves_late,
        script={"session_ms": 80_000},
        start={"agent": ASKS_FIRST},
    ),
    Row(
        "expiring-speech",
        "… while the user speaks",
        "At the last moment; what was said is sent again, and the turn is heard whole.",
        Seen(causes=("expiring",), responses=("completed",)),
        act=speaks,
        script={"session_ms": 80_000},
        start=BY_HAND,
    ),
]
