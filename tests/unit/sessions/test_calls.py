"""Calls of tools by a model that does as it likes: too early, too large, and without an end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions.items import MAX_ARGUMENTS_CHARS, SHOWN_CHARS
from omnirt.sessions.tool_turns import MAX_FAILED_TURNS, MAX_TOOL_TURNS
from tests.support.daemon import driven
from tests.support.hosts import answering
from tests.support.provider import Provider
from tests.support.provider_events import created, done, event, function_call, item_added, speech_started
from tests.support.talks import WAIT_S, Heard, of, omnirt_talk
from tests.unit.sessions.helpers import Talk


@pytest.mark.parametrize("told", [0, 1], ids=["first of all", "before the settings are answered"])
def test_a_call_before_the_session_holds_nothing_up_and_is_answered_then(tmp_path: Path, told: int) -> None:
    @driven
    async def talk() -> None:
        async with Provider.open(answers=False) as provider:
            answers = [event("session.created", session={}), event("session.updated", session={})]
            answers.insert(told, function_call("r0", "call_0", "nope"))
            saying = asyncio.create_task(provider.send(*answers))
            async with omnirt_talk(tmp_path, provider.url) as session:
                events: Heard[Event] = Heard(session.stream_events())
                output = await provider.expect("conversation.item.create")
                assert output["item"]["call_id"] == "call_0"
                assert [e for e in events.events if isinstance(e, ev.RealtimeError)] == []
                await events.stop()
            await saying

    talk()


@driven
async def test_a_model_that_only_calls_what_is_not_there_is_not_asked_for_ever(tmp_path: Path) -> None:
    async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
        events: Heard[Event] = Heard(session.stream_events())
        await session.send_text("Go.")
        for turn in range(MAX_FAILED_TURNS + 1):
            await provider.expect("response.create")
            await provider.send(created(f"r{turn}"), function_call(f"r{turn}", f"call_{turn}", "nope"))
            await provider.send(done(f"r{turn}"))
            await provider.expect("conversation.item.create")
        told = await events.first(of(ev.RealtimeError))
        assert isinstance(told, ev.RealtimeError)
        assert (told.kind, told.fatal, told.retryable) == ("provider_error", False, False)
        assert "session.respond" in told.message
        idle = session.put_wait(WAIT_S)
        assert isinstance(idle, asyncio.Future)
        await idle
        assert provider.types().count("response.create") == MAX_FAILED_TURNS + 1
        await session.send_text("Go on.")
        await provider.expect("response.create")
        await provider.send(created("again"), function_call("again", "again", "nope"), done("again"))
        await provider.expect("response.create")  # an input begins a new count
        await events.stop()


def call(talk: Talk, number: int) -> bool:
    """The model calls a tool, which answers; whether it was asked for more."""
    name = str(number)
    talk.feed(created(name), function_call(name, name, "look"), done(name))
    talk.core.tool_turns.output_sent(talk.core, name, talk.now, respond=True)
    talk.core.pump(talk.now)
    sent = len(talk.sent)
    talk.collect()
    return len(talk.sent) > sent


def test_tools_that_work_are_used_longer_but_not_for_ever_and_speech_begins_a_new_count() -> None:
    talk = Talk()
    talk.ask()
    asked = [call(talk, number) for number in range(MAX_TOOL_TURNS + 2)]
    assert asked == [True] * MAX_TOOL_TURNS + [False, False]
    assert len(talk.of(ev.RealtimeError)) == 1
    talk.feed(speech_started("i1"))
    assert call(talk, 1000)


def test_one_call_that_works_is_enough_for_the_longer_count() -> None:
    talk = Talk()
    talk.ask()
    for number in range(MAX_FAILED_TURNS * 2):
        if number != MAX_FAILED_TURNS - 1:
            talk.core.tool_turns.failed()
        assert call(talk, number)


@driven
async def test_arguments_beyond_the_bound_fail_the_call_and_are_told_in_part(tmp_path: Path) -> None:
    agent = {"name": "a", "tools": [{"name": "look", "parameters": {"type": "object"}, "run": "host"}]}
    huge = '{"x": "%s"}' % ("y" * MAX_ARGUMENTS_CHARS)
    async with (
        Provider.open() as provider,
        omnirt_talk(tmp_path, provider.url, agent=agent, call_host=answering("seen")) as session,
    ):
        events: Heard[Event] = Heard(session.stream_events())
        told = function_call("r1", "call_1", "look", huge)
        await provider.send(created("r1"), item_added(told["item"]), told, done("r1"))
        output = (await provider.expect("conversation.item.create"))["item"]["output"]
        assert "longer than 1 MiB" in output
        await provider.expect("response.create")
        end = await events.first(of(ev.RealtimeToolEnd))
        assert isinstance(end, ev.RealtimeToolEnd)
        assert (end.status, end.output) == ("failed", output)
        assert end.error
        assert end.error.kind == "invalid_params"
        [item] = [e.item for e in events.events if isinstance(e, ev.RealtimeItemAdded)]
        for arguments in (end.arguments, item.arguments):
            assert arguments.startswith(huge[:SHOWN_CHARS] + " … (cut")
            assert len(arguments) < SHOWN_CHARS + 100
        await events.stop()
