"""The clock of a simulated answer: what is sent when, on a clock that the tests move."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.loopback.helpers import Talk, audio, of, said, types


def test_audio_runs_at_most_a_second_and_a_half_ahead_of_its_playback() -> None:
    talk = Talk()
    began = talk.now
    sent_ms = len(audio(talk.say("Tell me a story"))) / 48
    assert sent_ms == 1500
    while talk.core.wake_at is not None:
        wake = talk.core.wake_at
        sent_ms += len(audio(talk.advance(wake - talk.now))) / 48
        assert sent_ms <= (talk.now - began) * 1000 + 1500.001
    assert sent_ms == 9527
    assert 7.9 <= talk.now - began <= 8.1


def test_deltas_are_a_tenth_of_a_second_long() -> None:
    talk = Talk()
    events = [*talk.say("Hello"), *talk.finish()]
    sizes = [len(audio([event])) for event in of(events, "response.output_audio.delta")]
    assert set(sizes[:-1]) == {4800}
    assert 0 < sizes[-1] <= 4800


def test_words_come_with_the_audio_in_which_they_begin() -> None:
    talk = Talk()
    events = [*talk.say("Tell me a story"), *talk.finish()]
    story = talk.voice.book.read("story")
    sent_ms, word = 0, 0
    starts = [0, *story.ends_ms]
    for event in events:
        if event["type"] == "response.output_audio_transcript.delta":
            assert sent_ms - 100 <= starts[word] <= sent_ms + 100
            word += 1
        sent_ms += len(audio([event])) // 48
    assert word == len(story.words)


def test_a_pause_holds_back_what_follows() -> None:
    talk = Talk({"rules": [{"do": [{"say": "done"}, {"wait_ms": 2500}, {"say": "of_course"}]}]})
    assert said(talk.say("go")) == "That is done."
    assert not talk.advance(2.4)
    assert said(talk.advance(0.2)).strip() == "Of course."


def test_a_pause_comes_before_anything_is_said() -> None:
    talk = Talk({"rules": [{"do": [{"wait_ms": 1000}, {"say": "done"}]}]})
    assert types(talk.say("go"))[-1] == "rate_limits.updated"
    assert not talk.advance(0.9)
    assert said(talk.advance(0.2)) == "That is done."


@pytest.mark.parametrize("latency_ms", [0, 700])
def test_the_latency_is_that_of_the_script(latency_ms: int) -> None:
    talk = Talk({"latency_ms": latency_ms})
    fresh = talk.say("Hello") + talk.advance(latency_ms / 1000)
    assert of(fresh, "response.output_item.added")
    waited = Talk({"latency_ms": latency_ms})
    if latency_ms:
        assert not of([*waited.say("Hello"), *waited.advance(0.69)], "response.output_item.added")


def test_answers_differ_from_turn_to_turn_and_come_round_again() -> None:
    talk = Talk()
    answers = [talk.answer("Well") for _ in range(5)]
    assert len(set(answers)) == 4
    assert answers[4] == answers[0]
    assert all(a != b for a, b in itertools.pairwise(answers))
