"""Output guardrails of whole sessions, over the simulator: what is heard, stored and said instead."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from omnirt.protocol import events as ev
from omnirt.protocol.methods import SessionWaitResult
from omnirt.protocol.types import Event
from omnirt.sessions import RealtimeSession
from tests.support.talks import AGENT, WAIT_S, heard_all, omnirt_talk, simulated

NO_SHIPS = [{"name": "no_ships", "deny": ["ships"]}]
STORY_THEN_OK = {
    "rules": [
        {"on": "start", "do": [{"say": "of_course"}]},
        {"on": "user", "match": "weather", "do": [{"say": "weather"}]},
        {"on": "user", "do": [{"say": "story"}]},
    ]
}


async def waited(session: RealtimeSession) -> SessionWaitResult:
    reply = session.put_wait(WAIT_S)
    assert isinstance(reply, asyncio.Future)
    result = await reply
    assert isinstance(result, SessionWaitResult)
    return result


def talked(
    folder: Path, script: dict[str, Any], *texts: str, output: str = "audio", **members: Any
) -> tuple[list[Event], list[SessionWaitResult]]:
    """The events of a session in which these texts were sent one by one, and what each wait gave."""

    async def main() -> tuple[list[Event], list[SessionWaitResult]]:
        agent = {**AGENT, "output_guardrails": NO_SHIPS, **members}
        waits = []
        async with omnirt_talk(
            folder, agent=agent, settings=simulated(script), realtime={"modalities": [output]}
        ) as session:
            for text in texts:
                await session.send_text(text)
                waits.append(await waited(session))
            await session.stop()
            return await heard_all(session), waits

    return asyncio.run(main())


def only(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("mode", ["interrupt", "holdback"])
def test_an_answer_that_trips_is_cut_and_another_takes_its_place(tmp_path: Path, mode: str) -> None:
    events, [wait] = talked(tmp_path, STORY_THEN_OK, "Tell me a story", guardrail=mode)
    [tripped] = only(events, ev.RealtimeGuardrailTripped)
    assert tripped.guardrails == ["no_ships"]
    first, second = only(events, ev.RealtimeResponseEnd)
    assert (first.status, first.reason) == ("cancelled", "guardrail")
    assert (second.status, second.reason or "") == ("completed", "")
    assert [answer.text for answer in wait.responses][1] == "Of course."
    audio = [event for event in events if isinstance(event, ev.RealtimeAudio)]
    at = events.index(tripped)
    assert not any(a.response_id == first.response_id for a in audio if events.index(a) > at)
    notes = [e.item for e in only(events, ev.RealtimeItemAdded) if e.item.role == "system"]
    assert len(notes) == 1
    if mode == "holdback":
        assert "ships" not in str([e for e in events if not isinstance(e, ev.RealtimeAudio)]).replace(
            "no_ships", ""
        )


@pytest.mark.parametrize("mode", ["interrupt", "holdback"])
def test_an_answer_that_keeps_to_them_is_heard_whole(tmp_path: Path, mode: str) -> None:
    with_, _ = talked(tmp_path / "with", STORY_THEN_OK, "The weather?", guardrail=mode)
    without, _ = talked(tmp_path / "without", STORY_THEN_OK, "The weather?", output_guardrails=[])

    def told(events: list[Event]) -> list[Any]:
        return [(event.offset_ms, event.audio) for event in events if isinstance(event, ev.RealtimeAudio)] + [
            event.text for event in events if isinstance(event, ev.RealtimeTranscriptDone)
        ]

    assert told(with_) == told(without)
    assert only(with_, ev.RealtimeGuardrailTripped) == []


def test_written_answers_are_checked_too(tmp_path: Path) -> None:
    events, [wait] = talked(tmp_path, STORY_THEN_OK, "A story", output="text", guardrail="holdback")
    assert len(only(events, ev.RealtimeGuardrailTripped)) == 1
    assert "ships" not in "".join(event.delta for event in only(events, ev.RealtimeTextDelta))
    assert wait.responses[-1].text == "Of course."


def test_an_agent_that_cannot_but_break_them_is_told_and_the_talk_goes_on(tmp_path: Path) -> None:
    script = {
        "rules": [
            {"on": "user", "match": "weather", "do": [{"say": "weather"}]},
            {"on": "any", "do": [{"say": "story"}]},
        ]
    }
    events, [_, second] = talked(tmp_path, script, "A story", "The weather?")
    assert len(only(events, ev.RealtimeGuardrailTripped)) == 3
    assert any("no other answer is asked for" in error.message for error in only(events, ev.RealtimeError))
    assert [answer.status for answer in second.responses] == ["completed"]


def test_python_guardrails_run_beside_patterns_and_one_that_breaks_is_told(tmp_path: Path) -> None:
    rules = [*NO_SHIPS, "python:tests.support.guards:broken", "python:tests.support.guards:of_sdk"]
    events, _ = talked(tmp_path, STORY_THEN_OK, "Tell me a story", "The weather?", output_guardrails=rules)
    assert [event.guardrails for event in only(events, ev.RealtimeGuardrailTripped)] == [["no_ships"]]
    [error] = only(events, ev.RealtimeError)
    assert (error.kind, error.fatal) == ("agent_invalid", False)
    assert "`broken` failed" in error.message


def test_what_was_held_is_not_stored(tmp_path: Path) -> None:
    events, _ = talked(tmp_path, STORY_THEN_OK, "Tell me a story", guardrail="holdback")
    first = only(events, ev.RealtimeResponseStart)[0].response_id
    items = {
        event.item_id
        for event in events
        if isinstance(event, ev.RealtimeAudio) and event.response_id == first
    }
    told_ms = {
        item: sum(e.delta_ms for e in only(events, ev.RealtimeAudio) if e.item_id == item) for item in items
    }
    ended = {
        event.item_id: event.total_ms for event in only(events, ev.RealtimeAudioEnd) if event.item_id in items
    }
    assert ended == told_ms, "the recording ends with what was told"


def test_a_hanging_guardrail_does_not_hold_up_the_end_of_the_session(tmp_path: Path) -> None:
    async def main() -> None:
        agent = {**AGENT, "output_guardrails": ["python:tests.support.guards:hangs"]}
        async with omnirt_talk(tmp_path, agent=agent, settings=simulated(STORY_THEN_OK)) as session:
            from tests.support import guards

            guards.release.clear()
            guards.entered.clear()
            await session.send_text("The weather?")
            async with asyncio.timeout(WAIT_S):
                await asyncio.to_thread(guards.entered.wait, WAIT_S)
                await session.stop()
            guards.release.set()

    asyncio.run(main())
