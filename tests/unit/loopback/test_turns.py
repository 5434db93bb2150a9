"""The user's turns: detection, commits, transcription, interruption and silence, in the simulator's core."""

from __future__ import annotations

import audioop

import pytest

from tests.unit.loopback.helpers import (
    Talk,
    audio,
    error,
    of,
    only,
    recording,
    said,
    silence,
    types,
)

STOP, WEATHER = "Stop, that is enough, thank you.", "What is the weather like in Lisbon today?"
SERVER = {"type": "server_vad"}
KIND = "conversation.item.input_audio_transcription"


def test_a_spoken_turn_is_detected_committed_transcribed_and_answered() -> None:
    talk = Talk()
    talk.detect(SERVER, transcription={"model": "whisper-1"})
    events = [*talk.speak(recording("weather")), *talk.finish()]
    order = types(events)[: types(events).index("response.created")]
    assert [t for t in order if not t.endswith(".delta")] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{KIND}.completed",
    ]
    started, stopped = only(events, order[0]), only(events, "input_audio_buffer.speech_stopped")
    item_id = only(events, "input_audio_buffer.committed")["item_id"]
    assert {started["item_id"], stopped["item_id"]} == {item_id}
    assert 50 <= started["audio_start_ms"] <= 300, "the speech begins at 480 ms, less the padding of 300"
    assert 2900 <= stopped["audio_end_ms"] <= 3300, "the speech ends at about 2650 ms, then 500 of silence"
    assert only(events, f"{KIND}.completed")["transcript"] == WEATHER
    assert "".join(event["delta"] for event in of(events, f"{KIND}.delta")) == WEATHER
    assert said(events) != ""


@pytest.mark.parametrize("chunk", [1, 333, 960, 4800, 10**6])
def test_the_size_of_the_pieces_does_not_matter(chunk: int) -> None:
    data = recording("stop")[: 48 * 900] if chunk == 1 else recording("stop")
    talk = Talk()
    talk.detect(SERVER)
    expected = Talk()
    expected.detect(SERVER)
    assert [(e["type"], e.get("audio_start_ms")) for e in of(talk.speak(data, chunk), STARTED)] == [
        (e["type"], e.get("audio_start_ms")) for e in of(expected.speak(data), STARTED)
    ]


STARTED = "input_audio_buffer.speech_started"


def test_without_transcription_nothing_is_transcribed() -> None:
    talk = Talk()
    talk.detect(SERVER)
    assert not [t for t in types([*talk.speak(recording("stop")), *talk.finish()]) if t.startswith(KIND)]


def test_a_script_says_what_is_heard_and_what_fails_to_be() -> None:
    talk = Talk({"hears": ["Hello dear", {"fail": "Too much noise."}]})
    talk.detect(SERVER, transcription={"model": "whisper-1"})
    first = [*talk.speak(recording("weather")), *talk.finish()]
    assert only(first, f"{KIND}.completed")["transcript"] == "Hello dear"
    assert said(first).startswith("Hello there")
    second = [*talk.speak(recording("weather")), *talk.finish()]
    assert only(second, f"{KIND}.failed")["error"]["message"] == "Too much noise."
    third = [*talk.speak(recording("weather")), *talk.finish()]
    assert only(third, f"{KIND}.completed")["transcript"] == WEATHER


def test_speech_that_is_not_known_is_described() -> None:
    talk = Talk()
    talk.detect(SERVER, transcription={"model": "whisper-1"})
    unknown = talk.voice.book.read("colleague").pcm[: 48 * 1400]
    events = talk.speak(silence(300) + unknown + silence(800))
    assert only(events, f"{KIND}.completed")["transcript"].startswith("(speech, ")


@pytest.mark.parametrize(("eagerness", "silence_ms"), [("high", 360), ("auto", 700), ("low", 1200)])
def test_semantic_detection_waits_by_its_eagerness(eagerness: str, silence_ms: int) -> None:
    ends = []
    for detection in (
        {"type": "semantic_vad", "eagerness": eagerness},
        SERVER | {"silence_duration_ms": 500},
    ):
        talk = Talk()
        talk.detect(detection)
        events = talk.speak(recording("story") + silence(800))
        ends.append(of(events, "input_audio_buffer.speech_stopped")[-1]["audio_end_ms"])
    assert ends[0] - ends[1] == silence_ms - 500


def test_the_padding_before_speech_is_configurable() -> None:
    starts = []
    for padding in (0, 200):
        talk = Talk()
        talk.detect(SERVER | {"prefix_padding_ms": padding})
        starts.append(only(talk.speak(recording("stop")), STARTED)["audio_start_ms"])
    assert starts[0] - starts[1] == 200


def test_create_response_false_leaves_the_asking_to_the_client() -> None:
    talk = Talk()
    talk.detect(SERVER | {"create_response": False})
    events = [*talk.speak(recording("stop")), *talk.finish()]
    assert of(events, "input_audio_buffer.committed")
    assert not of(events, "response.created")
    assert said([*talk.send("response.create"), *talk.finish()]) != ""


def test_speech_interrupts_an_answer() -> None:
    talk = Talk()
    talk.detect(SERVER)
    talk.say("Tell me a story")
    talk.advance(1)
    events = talk.speak(recording("stop")[: 48 * 1200])
    after = types(events)[types(events).index(STARTED) :]
    assert after[-1] == "response.done"
    response = only(events, "response.done")["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert not of(talk.advance(20), "response.output_audio.delta")


def test_interrupt_response_false_lets_it_finish_and_answers_after_it() -> None:
    talk = Talk()
    talk.detect(SERVER | {"interrupt_response": False})
    talk.say("Tell me a story")
    events = talk.speak(recording("stop"))
    assert not of(events, "response.done")
    events = talk.finish()
    assert [e["response"]["status"] for e in of(events, "response.done")] == ["completed", "completed"]


def test_without_turn_detection_the_client_commits() -> None:
    talk = Talk()
    talk.detect(None)
    assert not talk.speak(recording("stop"))
    events = talk.send("input_audio_buffer.commit")
    assert types(events) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    events = talk.send("response.create") + talk.finish()
    assert said(events) == "You are welcome.", "it heard a thank you"


def test_a_commit_by_hand_in_the_middle_of_speech_takes_the_announced_item() -> None:
    talk = Talk()
    talk.detect(SERVER)
    announced = only(talk.speak(recording("weather")[: 48 * 1500]), STARTED)["item_id"]
    committed = only(talk.send("input_audio_buffer.commit"), "input_audio_buffer.committed")
    assert committed["item_id"] == announced


@pytest.mark.parametrize("ms", [0, 80])
def test_a_commit_of_next_to_nothing_is_an_error(ms: int) -> None:
    talk = Talk()
    talk.detect(None)
    talk.speak(silence(ms))
    refused = error(talk.send("input_audio_buffer.commit", event_id="mine"))
    assert (refused["code"], refused["event_id"]) == ("input_audio_buffer_commit_empty", "mine")
    assert f"{ms}.00ms" in refused["message"]


def test_clear_forgets_what_was_said() -> None:
    talk = Talk()
    talk.detect(None)
    talk.speak(recording("stop"))
    assert types(talk.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert error(talk.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_a_turn_has_a_longest_length() -> None:
    talk = Talk()
    talk.detect(None)
    minute = silence(60_000)
    for _ in range(11):
        events = talk.speak(minute, len(minute))
    assert error(events)["code"] == "input_audio_buffer_full"


def test_the_buffer_of_a_long_silence_stays_small() -> None:
    talk = Talk()
    talk.detect(SERVER)
    talk.speak(silence(60_000), 48_000)
    talk.send("input_audio_buffer.commit")
    item_id = talk.events[-1]["item"]["id"]
    item = only(talk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")
    assert len(item["item"]["content"][0]["audio"]) < 48 * 10_100 * 4 / 3


def test_a_long_silence_after_an_answer_is_a_turn_of_its_own() -> None:
    talk = Talk()
    talk.detect(SERVER | {"idle_timeout_ms": 6000})
    talk.say("Hello")
    talk.advance(1.5)
    spoken = len(audio(talk.events)) // 48
    events = talk.advance(30)
    triggered = of(events, "input_audio_buffer.timeout_triggered")[0]
    committed = of(events, "input_audio_buffer.committed")[0]
    assert triggered["item_id"] == committed["item_id"]
    assert said(events).startswith("Are you still there?")
    assert spoken == 1886
    asked = Talk()
    asked.detect(SERVER | {"idle_timeout_ms": 6000})
    asked.say("Hello")
    early = asked.advance((spoken + 6000) / 1000 - 0.1)
    assert not of(early, "input_audio_buffer.timeout_triggered"), "the playback counts"


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_a_telephone_conversation(kind: str) -> None:
    talk = Talk()
    form = {"type": kind}
    talk.update(audio={"output": {"format": form}})
    talk.detect(SERVER, format=form, transcription={"model": "whisper-1"})
    narrow, _ = audioop.ratecv(recording("weather"), 2, 1, 24000, 8000, None)
    coded = audioop.lin2ulaw(narrow, 2) if kind == "audio/pcmu" else audioop.lin2alaw(narrow, 2)
    events = [*talk.speak(coded, 160), *talk.finish()]
    assert only(events, f"{KIND}.completed")["transcript"] == WEATHER
    assert 2900 <= only(events, "input_audio_buffer.speech_stopped")["audio_end_ms"] <= 3300
    answer = audio(events)
    assert len(answer) == 800 * 8, "'I heard you.' is 800 ms"
    linear = audioop.ulaw2lin(answer, 2) if kind == "audio/pcmu" else audioop.alaw2lin(answer, 2)
    assert audioop.rms(linear, 2) > 500


def test_turns_are_counted_for_the_script() -> None:
    rules = [{"turn": n, "do": [{"say": s}]} for n, s in ((1, "done"), (2, "failed"), (3, "go_on"))]
    talk = Talk({"rules": rules})
    answers = [talk.answer("x"), talk.answer("x"), talk.answer("x"), talk.answer("x")]
    assert answers[:3] == ["That is done.", "I am sorry, that did not work.", "I see. Please go on."]
    assert answers[3] == "I heard you."


def test_a_deleted_turn_needs_no_answer() -> None:
    talk = Talk()
    item = only(talk.say("Goodbye", respond=False), "conversation.item.added")["item"]
    talk.send("conversation.item.delete", item_id=item["id"])
    assert talk.answer("Hello").startswith("Hello there")
