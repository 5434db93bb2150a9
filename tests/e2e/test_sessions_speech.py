"""Speech into a session: turns by the provider and by hand, transcripts, states (PROTOCOL section 3)."""

from __future__ import annotations

import pytest

from tests.support.host import SPEED, Host, Talk, says
from tests.support.speech import b64, silence, utterance

pytestmark = pytest.mark.anyio

WEATHER = "What is the weather like in Lisbon today?"
DETECTIONS = {
    "semantic_vad": {"type": "semantic_vad", "eagerness": "high"},
    "server_vad": {"type": "server_vad", "silence_duration_ms": 300},
}


def user_text(talk: Talk) -> list[str]:
    return [done["text"] for done in talk.of("transcriptDone", role="user")]


@pytest.mark.parametrize("detection", DETECTIONS)
async def test_an_utterance_is_heard_transcribed_and_answered(host: Host, detection: str) -> None:
    talk = await host.start(realtime={"turn_detection": DETECTIONS[detection]}, script=says("heard"))
    await talk.say(utterance("weather") + silence(500), 20)
    responses = (await talk.ask("wait"))["responses"]
    assert [(r["status"], r["text"]) for r in responses] == [("completed", "I heard you.")]
    assert user_text(talk) == [WEATHER]
    names = talk.names()
    order = ["inputSpeechStart", "inputSpeechEnd", "responseStart", "audio", "responseEnd"]
    assert sorted(order, key=names.index) == order
    start, end = talk.of("inputSpeechStart")[0], talk.of("inputSpeechEnd")[0]
    assert start["itemId"] == end["itemId"] == talk.of("transcriptDone", role="user")[0]["itemId"]
    assert 0 <= start["audioMs"] < end["audioMs"] <= 4060


async def test_states_follow_the_talk(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.say(utterance("weather") + silence(500))
    await talk.ask("wait")
    await talk.ask("stop")
    states = talk.states()
    assert states[:3] == ["connected", "listening", "userSpeaking"]
    assert states[-3:] == ["speaking", "listening", "closing"]
    assert set(states[3:-3]) <= {"listening", "thinking"}


async def test_the_transcript_of_the_user_is_in_the_item_too(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.say(utterance("story") + silence(500))
    await talk.ask("wait")
    (added,) = [e["item"] for e in talk.of("itemAdded") if e["item"]["role"] == "user"]
    updated = [e["item"] for e in talk.of("itemUpdated") if e["item"]["itemId"] == added["itemId"]]
    assert updated[-1]["content"] == [{"type": "audio", "transcript": "Could you tell me a story, please?"}]
    deltas = [d["delta"] for d in talk.of("transcriptDelta", role="user")]
    assert "".join(deltas) == "Could you tell me a story, please?"


async def test_a_transcription_that_fails_is_told_with_its_error(host: Host) -> None:
    talk = await host.start(script={**says("heard"), "hears": [{"fail": "Too noisy."}]})
    await talk.say(utterance("weather") + silence(500))
    await talk.ask("wait")
    (done,) = talk.of("transcriptDone", role="user")
    assert done["text"] == ""
    assert (done["error"]["message"], done["error"]["code"]) == ("Too noisy.", "audio_unintelligible")


async def test_without_transcription_there_is_none(host: Host) -> None:
    talk = await host.start(realtime={"input_audio_transcription": None}, script=says("heard"))
    await talk.say(utterance("weather") + silence(500))
    assert len((await talk.ask("wait"))["responses"]) == 1
    assert talk.of("transcriptDone", role="user") == []


async def test_latency_counts_from_the_end_of_speech(host: Host) -> None:
    talk = await host.start(script={**says("heard"), "latency_ms": 400}, speed=2)
    await talk.say(utterance("weather") + silence(800))
    await talk.ask("wait")
    assert talk.of("responseEnd")[0]["latency"]["speechEndToFirstAudioMs"] >= 100
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    latency = talk.of("responseEnd")[1]["latency"]
    assert latency["requestToFirstAudioMs"] >= 100
    assert "speechEndToFirstAudioMs" not in latency


@pytest.mark.parametrize("detection", ["semantic_vad", "server_vad", "none"])
async def test_commit_ends_the_turn_and_asks_for_one_response(host: Host, detection: str) -> None:
    """In the midst of speech, which the provider's own detection would not end."""
    turns = DETECTIONS.get(detection)
    talk = await host.start(realtime={"turn_detection": turns}, script=says("heard"))
    await talk.say(utterance("weather")[: 1500 * 48], commit=True)
    responses = (await talk.ask("wait"))["responses"]
    assert [(r["status"], r["text"]) for r in responses] == [("completed", "I heard you.")]
    users = [e for e in talk.of("itemAdded") if e["item"]["role"] == "user"]
    assert len(users) == 1
    assert talk.of("error") == []
    assert len(talk.of("inputSpeechStart")) == len(talk.of("inputSpeechEnd")) == (detection != "none")


@pytest.mark.parametrize("detection", DETECTIONS)
async def test_commit_behind_a_turn_that_was_detected_adds_no_second_response(
    host: Host, detection: str
) -> None:
    talk = await host.start(realtime={"turn_detection": DETECTIONS[detection]}, script=says("heard"))
    await talk.say(utterance("weather") + silence(500), commit=True)
    responses = (await talk.ask("wait"))["responses"]
    assert [(r["status"], r["text"]) for r in responses] == [("completed", "I heard you.")]
    assert talk.of("error") == []


async def test_commit_in_the_same_request_as_its_audio(host: Host) -> None:
    talk = await host.start(realtime={"turn_detection": None}, script=says("heard"))
    result = await talk.ask("sendAudio", audio=b64(utterance("weather")), commit=True)
    assert result["acceptedMs"] == 3560
    assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == ["completed"]
    assert user_text(talk) == [WEATHER]


@pytest.mark.parametrize("detection", ["semantic_vad", "none"])
async def test_commit_of_nothing_asks_for_a_response(host: Host, detection: str) -> None:
    talk = await host.start(realtime={"turn_detection": DETECTIONS.get(detection)}, script=says("heard"))
    await talk.ask("sendAudio", audio="", commit=True)
    assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == ["completed"]
    assert talk.of("error") == []


async def test_turn_detection_turned_off_in_the_midst_of_speech_ends_it(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.say(utterance("weather")[: 1500 * 48])
    await talk.event("inputSpeechStart")
    await talk.ask("update", realtime={"turn_detection": None})
    assert await talk.ask("wait") == {"state": "idle", "responses": []}
    assert len(talk.of("inputSpeechEnd")) == 1


async def test_without_turn_detection_nothing_is_answered_before_the_commit(host: Host) -> None:
    talk = await host.start(realtime={"turn_detection": None}, script=says("heard"))
    await talk.say(utterance("weather") + silence(1000))
    assert await talk.ask("wait") == {"state": "idle", "responses": []}
    assert talk.of("inputSpeechStart") == []
    await talk.ask("sendAudio", audio="", commit=True)
    assert len((await talk.ask("wait"))["responses"]) == 1


async def test_create_response_false_leaves_the_asking_to_the_host(host: Host) -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 300, "create_response": False}
    talk = await host.start(realtime={"turn_detection": detection}, script=says("heard"))
    await talk.say(utterance("weather") + silence(500))
    await talk.event("inputSpeechEnd")
    assert await talk.ask("wait") == {"state": "idle", "responses": []}
    await talk.ask("respond")
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["I heard you."]


async def test_clear_drops_what_was_not_committed(host: Host) -> None:
    talk = await host.start(realtime={"turn_detection": None}, script=says("heard"))
    await talk.say(utterance("stop"))
    await talk.ask("clearAudio")
    await talk.say(utterance("weather"), commit=True)
    await talk.ask("wait")
    assert user_text(talk) == [WEATHER]


async def test_clear_in_the_midst_of_speech_ends_the_speech(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.say(utterance("weather")[: 1500 * 48])
    await talk.event("inputSpeechStart")
    await talk.ask("clearAudio")
    await talk.event("inputSpeechEnd")
    assert await talk.ask("wait") == {"state": "idle", "responses": []}
    assert (await talk.ask("get"))["state"] == "listening"


async def test_wait_after_speech_covers_the_response_the_provider_owes(host: Host) -> None:
    """It is asked for by nobody; the wait is sent before the speech is even upstream."""
    talk = await host.start(script={**says("heard"), "latency_ms": 2000})
    talk.tell("sendAudio", audio=b64(utterance("weather") + silence(500)))
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["I heard you."]


async def test_wait_gives_the_provider_time_to_report_speech(host: Host) -> None:
    """A second, of the two that it has."""
    late = {"faults": [{"at": {"client_event": 2}, "slow_ms": 1000 * SPEED}]}
    talk = await host.start(script={**says("heard"), **late})
    talk.tell("sendAudio", audio=b64(utterance("weather") + silence(500)))
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["I heard you."]


async def test_speech_that_goes_on_ends_with_its_session(host: Host) -> None:
    talk = await host.start()
    await talk.say(utterance("weather")[: 1500 * 48])
    await talk.event("inputSpeechStart")
    await talk.ask("stop")
    names = talk.names()
    assert names.index("inputSpeechEnd") < names.index("closed")


async def test_silence_is_no_turn(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.say(silence(2000))
    assert await talk.ask("wait") == {"state": "idle", "responses": []}
    assert talk.of("inputSpeechStart") == []


async def test_an_idle_user_is_told_and_asked(host: Host) -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 6000}
    talk = await host.start(realtime={"turn_detection": detection}, script=says("heard"))
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    await talk.event("inputTimeout")
    await talk.event("responseEnd", 2)


async def test_two_utterances_are_two_turns(host: Host) -> None:
    talk = await host.start(script=says("heard", "more"))
    for name in ("weather", "story"):
        await talk.say(utterance(name) + silence(800))
        await talk.ask("wait")
    assert user_text(talk) == [WEATHER, "Could you tell me a story, please?"]
    answers = [done["text"] for done in talk.of("transcriptDone", role="assistant")]
    assert answers == ["I heard you.", "That sounds interesting. Tell me more."]


async def test_g711_speech_is_heard(host: Host) -> None:
    import audioop

    narrow, _ = audioop.ratecv(utterance("weather") + silence(500), 2, 1, 24000, 8000, None)
    talk = await host.start(realtime={"input_audio_format": "g711_ulaw"}, script=says("heard"))
    result = await talk.ask("sendAudio", audio=b64(audioop.lin2ulaw(narrow, 2)))
    assert abs(result["acceptedMs"] - 4060) <= 1
    await talk.event("inputSpeechEnd")
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["I heard you."]


async def test_commit_asks_where_the_provider_detects_turns_but_answers_none(host: Host) -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 300, "create_response": False}
    talk = await host.start(realtime={"turn_detection": detection}, script=says("heard"))
    await talk.say(utterance("weather") + silence(500), commit=True)
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["I heard you."]
