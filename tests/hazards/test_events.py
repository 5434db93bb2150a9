"""Hazards of the voice SDK's events: what they leave out, and what they repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agents.realtime import RealtimeAgent

from omnirt.protocol import events as ev
from omnirt.protocol.types import ErrorInfo, Event
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.provider_events import (
    audio,
    created,
    done,
    event,
    function_call,
    item_added,
    message,
    speech_started,
    words,
)
from tests.support.talks import Heard, bare_talk, of, of_type, omnirt_talk

QUOTA = {
    "type": "failed",
    "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "No quota is left."},
}


class TestAFailedResponse:
    """A response that failed ends like one that completed; its status is only in the provider's own event."""

    @driven
    async def test_bare_the_end_has_no_status(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.send(created("r1"), done("r1", "failed", QUOTA))
            end: Any = await events.first(of_type("agent_end"))
            assert {name for name in vars(end) if not name.startswith("_")} == {"agent", "info", "type"}
            assert not [e for e in events.events if e.type == "error"]
            await events.stop()

    @driven
    async def test_omnirt_tells_status_and_error(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(created("r1"), done("r1", "failed", QUOTA))
            end = await events.first(of(ev.RealtimeResponseEnd))
            assert isinstance(end, ev.RealtimeResponseEnd)
            assert end.status == "failed"
            assert isinstance(end.error, ErrorInfo)
            assert end.error.code == "insufficient_quota"
            await events.stop()


class TestWhatComesOnlyRaw:
    """Speech, words as they come and failed transcriptions have no event of the SDK's session."""

    EVENTS = (
        speech_started("u1"),
        event("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=500),
        event(
            "conversation.item.input_audio_transcription.delta", item_id="u1", content_index=0, delta="Hel"
        ),
        event(
            "conversation.item.input_audio_transcription.failed",
            item_id="u1",
            content_index=0,
            error={"type": "server_error", "code": "inaudible", "message": "It is inaudible."},
        ),
        created("r1"),
        words("r1", "i1", "Hello"),
        done("r1"),
    )

    @driven
    async def test_bare_only_the_turn_is_told(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.send(*self.EVENTS)
            await events.first(of_type("agent_end"))
            kinds = [e.type for e in events.events if e.type != "raw_model_event"]
            assert kinds == ["history_updated", "agent_start", "agent_end"]
            await events.stop()

    @driven
    async def test_omnirt_tells_each(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(*self.EVENTS)
            await events.first(of(ev.RealtimeUsage))
            told = [type(e) for e in events.events if not isinstance(e, ev.RealtimeState)]
            assert told == [
                ev.RealtimeInputSpeechStart,
                ev.RealtimeInputSpeechEnd,
                ev.RealtimeTranscriptDelta,
                ev.RealtimeTranscriptDone,
                ev.RealtimeResponseStart,
                ev.RealtimeAgentStart,
                ev.RealtimeTranscriptDelta,
                ev.RealtimeTranscriptDone,
                ev.RealtimeAgentEnd,
                ev.RealtimeResponseEnd,
                ev.RealtimeUsage,
            ]
            unheard = await events.first(of(ev.RealtimeTranscriptDone))
            assert isinstance(unheard, ev.RealtimeTranscriptDone)
            assert isinstance(unheard.error, ErrorInfo)
            assert unheard.error.code == "inaudible"
            await events.stop()


class TestTwice:
    """Everything comes twice or more: the provider's event, the model's, the session's."""

    @driven
    async def test_bare_a_chunk_of_audio_is_three_events(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.send(created("r1"), audio("r1", "i1", 20), done("r1"))
            await events.first(of_type("agent_end"))
            kinds = [
                e.data.type if e.type == "raw_model_event" else f"session {e.type}" for e in events.events
            ]
            found = kinds.index("audio")
            assert kinds[found - 1 : found + 2] == ["raw_server_event", "audio", "session audio"]
            await events.stop()

    @driven
    async def test_omnirt_tells_it_once(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(created("r1"), audio("r1", "i1", 20), done("r1"))
            await events.first(of(ev.RealtimeResponseEnd))
            assert len([e for e in events.events if isinstance(e, ev.RealtimeAudio)]) == 1
            await events.stop()


class TestToolCallIds:
    """The start and the end of a tool do not say which call they are of."""

    AGENT = {  # noqa: RUF012 - a constant
        "name": "greeter",
        "instructions": "Be brief.",
        "tools": [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}, "run": "host"}],
    }

    @driven
    async def test_bare_there_is_no_id(self) -> None:
        from agents import function_tool

        @function_tool
        def look() -> str:
            return "seen"

        agent = RealtimeAgent(name="greeter", instructions="Be brief.", tools=[look])
        async with Provider.open() as provider, bare_talk(provider.url, agent=agent) as session:
            events = Heard(session.__aiter__())
            await provider.send(created("r1"), function_call("r1", "call_1", "look"), done("r1"))
            for kind in ("tool_start", "tool_end"):
                told: Any = await events.first(of_type(kind))
                assert not hasattr(told, "call_id")
                assert "call_1" not in repr({**vars(told), "info": None})
            await events.stop()

    @driven
    async def test_omnirt_tells_it(self, tmp_path: Path) -> None:
        from tests.support.hosts import answering

        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=self.AGENT, call_host=answering("seen")) as session,
        ):
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(created("r1"), function_call("r1", "call_1", "look"), done("r1"))
            start = await events.first(of(ev.RealtimeToolStart))
            end = await events.first(of(ev.RealtimeToolEnd))
            assert isinstance(start, ev.RealtimeToolStart)
            assert isinstance(end, ev.RealtimeToolEnd)
            assert start.tool_call_id == end.tool_call_id == "call_1"
            await events.stop()


TURNS = 40


def turn(number: int) -> list[dict[str, Any]]:
    """One user message and its answer."""
    user, answer, response = f"u{number}", f"a{number}", f"r{number}"
    return [
        item_added(message(user, "user", {"type": "input_text", "text": f"Question {number}"})),
        created(response),
        item_added(message(answer, "assistant")),
        words(response, answer, f"Answer {number}"),
        event(
            "response.output_item.done",
            response_id=response,
            output_index=0,
            item=message(answer, "assistant", {"type": "output_audio", "transcript": f"Answer {number}"}),
        ),
        done(response),
    ]


class TestTheWholeHistory:
    """Each change of an item repeats the whole history: a talk of n turns costs n² items."""

    @driven
    async def test_bare_it_grows_with_the_square(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.send(*[e for number in range(TURNS) for e in turn(number)])
            await events.count(of_type("agent_end"), TURNS)
            items = sum(len(e.history) for e in events.events if e.type == "history_updated")
            assert items > TURNS**2 / 2
            await events.stop()

    @driven
    async def test_omnirt_tells_only_what_changed(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(*[e for number in range(TURNS) for e in turn(number)])
            await events.count(of(ev.RealtimeResponseEnd), TURNS)
            told = [e for e in events.events if isinstance(e, ev.RealtimeItemAdded | ev.RealtimeItemUpdated)]
            assert 2 * TURNS <= len(told) <= 4 * TURNS
            await events.stop()


class TestAudioInTheHistory:
    """An item that comes with its audio keeps it in the history, which is told again and again."""

    ITEM = item_added(
        message("u1", "user", {"type": "input_audio", "audio": "QUJD" * 100, "transcript": "Hello"})
    )

    @driven
    async def test_bare_the_history_has_it(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.send(self.ITEM)
            added: Any = await events.first(of_type("history_added"))
            assert "QUJDQUJD" in json.dumps(added.item.model_dump())
            await events.stop()

    @driven
    async def test_omnirt_leaves_it_out(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(self.ITEM)
            added = await events.first(of(ev.RealtimeItemAdded))
            assert "QUJDQUJD" not in repr(added)
            assert "Hello" in repr(added)
            await events.stop()
