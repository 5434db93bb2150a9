"""`session.interrupt`, `session.playback` and barge-in as a host hears them (PROTOCOL section 3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.daemon import Message
from tests.support.host import Host, Talk, says
from tests.support.speech import utterance

pytestmark = pytest.mark.anyio

NO_VAD = {"turn_detection": None}


async def speaking(host: Host, chunks: int = 3, **params: Any) -> Talk:
    """A session in the middle of a story, at the speed of life; `chunks` of its audio have come."""
    talk = await host.start(**{"script": says("story", "heard"), "speed": 1, "raw": True, **params})
    await talk.ask("sendText", text="Tell me a story")
    await talk.event("audio", chunks)
    return talk


async def told(host: Host) -> Talk:
    """A session whose story is generated whole while most of it is still to be played."""
    talk = await host.start(script=says("story", "heard"), raw=True)
    await talk.ask("sendText", text="Tell me a story")
    await talk.event("responseEnd")
    return talk


def raws(talk: Talk, kind: str) -> list[Message]:
    return [raw["event"] for raw in talk.of("raw") if raw["event"]["type"] == kind]


def item_of(talk: Talk) -> str:
    return str(talk.of("audio")[0]["itemId"])


async def test_an_interrupt_during_speech_cancels_and_cuts(host: Host) -> None:
    talk = await speaking(host)
    result = await talk.ask("interrupt")
    cut = await talk.event("audioInterrupted")
    assert result == {"interrupted": True, "itemId": item_of(talk), "heardMs": cut["heardMs"]}
    assert cut["wasPlaying"] is True
    assert cut["heardMs"] <= cut["generatedMs"]
    ended = await talk.event("responseEnd")
    assert (ended["status"], ended["reason"]) == ("cancelled", "client_cancelled")
    (done,) = raws(talk, "response.done")
    assert done["response"]["status"] == "cancelled"


async def test_no_audio_of_a_cancelled_response_follows(host: Host) -> None:
    talk = await speaking(host)
    await talk.ask("interrupt")
    await talk.event("responseEnd")
    await talk.ask("sendText", text="Go on")
    await talk.ask("wait")
    names = talk.names()
    cut = names.index("audioInterrupted")
    item_id = talk.of("audioInterrupted")[0]["itemId"]
    late = [e["params"] for e in talk.events[cut:] if e["method"] == "realtime.audio"]
    assert late
    assert item_id not in {audio["itemId"] for audio in late}
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == []


async def test_the_provider_is_told_what_was_heard(host: Host) -> None:
    talk = await speaking(host)
    item_id = item_of(talk)
    await talk.ask("playback", itemId=item_id, contentIndex=0, playedMs=150)
    assert (await talk.ask("interrupt"))["heardMs"] == 150
    await talk.event("responseEnd")
    updated = await talk.host.until(
        lambda: next((e["item"] for e in talk.of("itemUpdated") if e["item"].get("interrupted")), None),
        "the cut item",
    )
    assert (updated["itemId"], updated["heardMs"]) == (item_id, 150)
    await talk.host.until(lambda: raws(talk, "conversation.item.truncated") or None, "truncated")
    assert raws(talk, "conversation.item.truncated")[0]["audio_end_ms"] == 150
    assert raws(talk, "error") == []


async def test_an_interrupt_before_any_audio_only_cancels(host: Host) -> None:
    script = {"rules": [{"do": [{"wait_ms": 3_600_000}, {"say": "story"}]}]}
    talk = await host.start(script=script, speed=1)
    await talk.ask("sendText", text="Hello")
    await talk.event("responseStart")
    assert await talk.ask("interrupt") == {"interrupted": True}
    assert (await talk.event("responseEnd"))["status"] == "cancelled"
    assert talk.of("audioInterrupted") == []


async def test_an_interrupt_of_a_response_that_has_not_begun_cancels_it_too(host: Host) -> None:
    talk = await host.start(script={"faults": [{"slow_ms": 300}], **says("story")}, speed=1)
    await talk.ask("sendText", text="Hello")
    await talk.event("state", state="thinking")
    assert await talk.ask("interrupt") == {"interrupted": True}
    assert [response["status"] for response in (await talk.ask("wait"))["responses"]] == ["cancelled"]
    assert talk.of("audio") == []


async def test_an_interrupt_after_the_end_of_the_response_only_cuts(host: Host) -> None:
    talk = await told(host)
    result = await talk.ask("interrupt")
    assert result["interrupted"] is True
    cut = await talk.event("audioInterrupted")
    assert (cut["itemId"], cut["generatedMs"]) == (item_of(talk), talk.of("audioEnd")[0]["totalMs"])
    assert cut["heardMs"] == result["heardMs"] < cut["generatedMs"]
    assert [e["status"] for e in talk.of("responseEnd")] == ["completed"]
    assert raws(talk, "error") == []


async def test_what_is_cut_already_is_not_interrupted_again(host: Host) -> None:
    talk = await told(host)
    assert (await talk.ask("interrupt"))["interrupted"] is True
    assert await talk.ask("interrupt") == {"interrupted": False}
    assert await talk.ask("interrupt", itemId=item_of(talk)) == {"interrupted": False}
    assert len(talk.of("audioInterrupted")) == 1


async def test_what_was_heard_whole_is_not_interrupted(host: Host) -> None:
    talk = await told(host)
    total_ms = talk.of("audioEnd")[0]["totalMs"]
    await talk.ask("playback", itemId=item_of(talk), contentIndex=0, playedMs=total_ms)
    assert await talk.ask("interrupt") == {"interrupted": False}
    assert await talk.ask("interrupt", itemId=item_of(talk)) == {"interrupted": False}
    assert talk.of("audioInterrupted") == []


async def test_an_idle_session_is_not_interrupted(host: Host) -> None:
    talk = await host.start()
    assert await talk.ask("interrupt") == {"interrupted": False}
    assert await talk.ask("interrupt", itemId="nothing", contentIndex=3, playedMs=10) == {
        "interrupted": False
    }
    assert await talk.ask("wait") == {"state": "idle", "responses": []}


async def test_an_interrupt_takes_the_position_of_the_players(host: Host) -> None:
    talk = await told(host)
    result = await talk.ask("interrupt", itemId=item_of(talk), contentIndex=0, playedMs=320)
    assert result == {"interrupted": True, "itemId": item_of(talk), "heardMs": 320}
    assert (await talk.event("audioInterrupted"))["heardMs"] == 320


async def test_a_position_is_clamped_to_what_was_sent(host: Host) -> None:
    talk = await speaking(host)
    await talk.ask("playback", itemId=item_of(talk), contentIndex=0, playedMs=10**9)
    assert (await talk.ask("interrupt"))["interrupted"] is True
    await talk.event("responseEnd")
    sent = sum(audio["deltaMs"] for audio in talk.of("audio"))
    assert all(cut["heardMs"] <= sent for cut in talk.of("audioInterrupted"))
    assert raws(talk, "error") == []


async def test_positions_are_positions_and_not_increments(host: Host) -> None:
    talk = await told(host)
    for played_ms in (100, 200, 300):
        await talk.ask("playback", itemId=item_of(talk), contentIndex=0, playedMs=played_ms)
    assert (await talk.ask("interrupt"))["heardMs"] == 300


async def test_a_report_for_a_cut_or_unknown_item_changes_nothing(host: Host) -> None:
    talk = await told(host)
    await talk.ask("interrupt", itemId=item_of(talk), playedMs=200)
    await talk.ask("playback", itemId=item_of(talk), contentIndex=0, playedMs=900)
    await talk.ask("playback", itemId="nothing", contentIndex=9, playedMs=900)
    assert await talk.ask("interrupt") == {"interrupted": False}
    assert (await talk.refused("playback", itemId="x", contentIndex=0, playedMs=-1))[
        "kind"
    ] == "invalid_params"


async def test_every_item_with_unheard_audio_is_cut(host: Host) -> None:
    talk = await host.start(script=says("story", "more"), raw=True)
    for text in ("One", "Two"):
        await talk.ask("sendText", text=text)
    await talk.event("responseEnd", 2)
    first, second = (end["itemId"] for end in talk.of("audioEnd"))
    await talk.ask("playback", itemId=first, contentIndex=0, playedMs=500)
    assert await talk.ask("interrupt") == {"interrupted": True, "itemId": first, "heardMs": 500}
    await talk.event("audioInterrupted", 2)
    cuts = [(cut["itemId"], cut["heardMs"], cut["wasPlaying"]) for cut in talk.of("audioInterrupted")]
    assert cuts == [(first, 500, True), (second, 0, False)]
    await talk.ask("sendText", text="Three")
    await talk.ask("wait")
    assert raws(talk, "error") == []


async def test_an_item_before_the_one_that_plays_was_heard(host: Host) -> None:
    talk = await host.start(script=says("heard", "story"))
    for text in ("One", "Two"):
        await talk.ask("sendText", text=text)
    await talk.event("responseEnd", 2)
    _, second = (end["itemId"] for end in talk.of("audioEnd"))
    await talk.ask("playback", itemId=second, contentIndex=0, playedMs=100)
    assert (await talk.ask("interrupt"))["itemId"] == second
    await talk.event("audioInterrupted")
    assert [cut["itemId"] for cut in talk.of("audioInterrupted")] == [second]


async def test_an_interrupt_never_queues_behind_inputs(host: Host) -> None:
    talk = await speaking(host)
    wait = talk.tell("wait")
    held = talk.tell("sendText", text="Two")
    interrupt = talk.tell("interrupt")
    await host.reply(held)
    assert host.order(interrupt, wait, held) == [interrupt, wait, held]


async def test_the_wav_of_a_cut_item_holds_what_was_generated(host: Host) -> None:
    talk = await speaking(host, chunks=5)
    await talk.ask("interrupt")
    await talk.event("responseEnd")
    (file,) = (await talk.ask("stop"))["files"]
    assert file["durationMs"] == talk.of("audioEnd")[0]["totalMs"]


async def test_speech_over_the_agent_interrupts_it(host: Host) -> None:
    talk = await speaking(host, script={**says("story", "stopped"), "hears": ["Stop."]})
    await talk.say(utterance("stop"), 200)
    cut = await talk.event("audioInterrupted")
    ended = await talk.event("responseEnd")
    assert (ended["status"], ended["reason"]) == ("cancelled", "turn_detected")
    assert cut["itemId"] == item_of(talk)
    responses = (await talk.ask("wait"))["responses"]
    assert [(r["status"], r["text"]) for r in responses][1:] == [
        ("completed", "All right, I will stop there.")
    ]


async def test_without_interrupt_response_speech_does_not_interrupt(host: Host) -> None:
    detection = {"type": "server_vad", "interrupt_response": False, "create_response": False}
    talk = await speaking(host, realtime={"turn_detection": detection}, speed=2)
    await talk.say(utterance("stop"), 200)
    await talk.event("inputSpeechEnd")
    assert (await talk.event("responseEnd"))["status"] == "completed"
    assert talk.of("audioInterrupted") == []


async def test_tools_go_on_when_the_agent_is_interrupted(host: Host) -> None:
    script = {
        "rules": [
            {"on": "text", "do": [{"call": {"tool": "look_up"}}]},
            {"on": "tool_output", "do": [{"say": "done"}]},
        ]
    }
    agent = {"name": "greeter", "tools": [{"name": "look_up", "run": "host"}]}
    talk = await host.start(agent=agent, script=script)
    await talk.ask("sendText", text="Look it up")
    call = await host.call("tool.call")
    await talk.event("responseEnd")
    assert await talk.ask("interrupt") == {"interrupted": False}
    host.respond(call, result={"output": "42"})
    responses = (await talk.ask("wait"))["responses"]
    assert [r["text"] for r in responses][-1] == "That is done."
    assert [c["method"] for c in host.calls] == ["tool.call"]
