"""Heard truth: what of the agent's words was heard, as far as it is known, and in whose words."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from omnirt.protocol import events as ev
from omnirt.protocol.types import Item
from omnirt.sessions import heard
from omnirt.sessions.heard import Spoken, cut_words
from omnirt.sessions.outputs import PartHeard
from omnirt.sessions.playback import Part
from tests.support import provider_events as pe
from tests.unit.sessions.helpers import Talk, audio_done, spoken, words_done

AUDIO_PART = {"type": "output_audio", "transcript": ""}


def item_of(talk: Talk, item_id: str = "item_a") -> Item:
    """The item as the host was told last."""
    told = [
        event.item for event in talk.told if isinstance(event, ev.RealtimeItemAdded | ev.RealtimeItemUpdated)
    ]
    return [item for item in told if item.item_id == item_id][-1]


def report(talk: Talk, item_id: str, played_ms: int) -> None:
    heard.reported(talk.core, item_id, 0, played_ms, talk.now)
    talk.collect()


def pass_time(talk: Talk, seconds: float) -> None:
    """As the session's watch does at the deadline."""
    talk.now += seconds
    heard.settle_played(talk.core, talk.now)
    talk.collect()


def told(text: str, ms: int = 2000) -> Talk:
    """A talk in which so much was said and all of it is there."""
    talk = Talk()
    talk.feed(pe.item_added(pe.message("item_a", "assistant", AUDIO_PART)))
    talk.feed(*spoken("resp_1", "item_a", ms, text))
    return talk


def word_by_word(talk: Talk, *words: str, ms: int = 500) -> None:
    """Each word just before its audio."""
    talk.feed(pe.item_added(pe.message("item_a", "assistant", AUDIO_PART)), pe.created("resp_1"))
    for number, word in enumerate(words):
        talk.feed(pe.words("resp_1", "item_a", word if number == 0 else f" {word}"))
        talk.feed(pe.audio("resp_1", "item_a", ms))


def test_what_played_to_its_end_by_the_clock_was_heard_whole() -> None:
    talk = told("Hello there, friend.")
    pass_time(talk, 1.9)
    assert item_of(talk).heard_text is UNSET
    pass_time(talk, 0.2)
    item = item_of(talk)
    assert (item.heard_ms, item.heard_text, item.interrupted) == (2000, "Hello there, friend.", UNSET)
    assert item.heard_text == item.generated_text
    assert talk.heard == [PartHeard("item_a", 0, 2000, played_at_ms=0, interrupted=False)]


def test_by_reports_it_is_heard_whole_when_the_host_says_so_and_not_before() -> None:
    talk = told("Hello there, friend.")
    talk.now += 1.0
    report(talk, "item_a", 400)
    pass_time(talk, 60.0)
    assert talk.heard == []
    report(talk, "item_a", 2000)
    assert (item_of(talk).heard_ms, item_of(talk).heard_text) == (2000, "Hello there, friend.")
    # It began when the first report says that it did.
    assert [part.played_at_ms for part in talk.heard] == [600]


def test_a_host_that_begins_to_report_late_is_believed_and_not_the_clock() -> None:
    talk = told("First of all, friends.")
    talk.feed(pe.item_added(pe.message("item_b", "assistant", AUDIO_PART)))
    talk.feed(*spoken("resp_2", "item_b", 1000, "And then."))
    pass_time(talk, 10.0)
    assert item_of(talk, "item_b").heard_ms == 1000
    report(talk, "item_a", 1100)
    talk.close()
    assert (item_of(talk).heard_ms, item_of(talk).heard_text) == (1100, "First of")
    assert (item_of(talk, "item_b").heard_ms, item_of(talk, "item_b").heard_text) == (0, "")


def test_what_is_played_after_it_says_that_a_part_was_heard() -> None:
    talk = told("First of all.")
    talk.feed(pe.item_added(pe.message("item_b", "assistant", AUDIO_PART)))
    talk.feed(*spoken("resp_2", "item_b", 1000, "And then."))
    report(talk, "item_a", 100)
    report(talk, "item_b", 50)
    assert (item_of(talk).heard_ms, item_of(talk).heard_text) == (2000, "First of all.")
    assert item_of(talk, "item_b").heard_ms is UNSET


def test_an_interrupt_cuts_the_words_where_it_cuts_the_audio() -> None:
    talk = Talk()
    word_by_word(talk, "One", "two", "three", "four")
    talk.interrupt("item_a", 0, 1200)
    item = item_of(talk)
    assert (item.heard_ms, item.heard_text, item.interrupted) == (1200, "One two", True)
    assert talk.heard == [PartHeard("item_a", 0, 1200, 0, interrupted=True)]


def test_the_final_transcript_comes_with_what_was_heard_when_that_is_known() -> None:
    talk = Talk()
    word_by_word(talk, "One", "two", "three", "four")
    talk.interrupt("item_a", 0, 1200)
    talk.feed(words_done("resp_1", "item_a", "One two three four"), pe.done("resp_1", "cancelled"))
    [done] = talk.of(ev.RealtimeTranscriptDone)
    assert (done.text, done.heard_text) == ("One two three four", "One two")
    item = item_of(talk)
    assert (item.generated_text, item.heard_text) == ("One two three four", "One two")


def test_while_it_still_plays_nobody_knows() -> None:
    talk = told("Hello there, friend.")
    assert talk.of(ev.RealtimeTranscriptDone)[0].heard_text is UNSET


def test_what_nobody_heard_has_no_words_and_leaves_the_models_context_but_not_the_history() -> None:
    talk = Talk()
    word_by_word(talk, "One", "two")
    talk.interrupt("item_a", 0, 0)
    item = item_of(talk)
    assert (item.heard_ms, item.heard_text, item.interrupted) == (0, "", True)
    assert "conversation.item.delete" not in talk.sent_types()  # it is still being generated
    talk.feed(pe.done("resp_1", "cancelled"))
    assert talk.sent[-1]["type"] == "conversation.item.delete"
    assert talk.sent[-1]["item_id"] == "item_a"
    talk.feed(pe.event("conversation.item.deleted", item_id="item_a"))
    assert talk.of(ev.RealtimeItemRemoved) == []
    assert talk.core.items.get("item_a")
    assert [part.played_at_ms for part in talk.heard] == [None]


def test_an_item_that_waited_behind_the_one_that_was_cut_is_taken_out_at_once_when_it_is_over() -> None:
    talk = told("First of all.")
    talk.feed(pe.item_added(pe.message("item_b", "assistant", AUDIO_PART)))
    talk.feed(*spoken("resp_2", "item_b", 1000, "And then."))
    talk.now += 0.5
    talk.interrupt()
    assert talk.sent_types() == ["conversation.item.truncate", "conversation.item.delete"]
    assert talk.sent[1]["item_id"] == "item_b"


def test_a_refusal_to_take_an_item_out_is_nobodys_concern() -> None:
    talk = told("First of all.")
    talk.interrupt("item_a", 0, 0)
    talk.feed(pe.error("No such item", event_id=talk.sent[-1]["event_id"], code="item_not_found"))
    assert talk.of(ev.RealtimeError) == []


def test_late_reports_of_what_was_interrupted_change_nothing() -> None:
    talk = told("Hello there, friend.")
    talk.interrupt("item_a", 0, 500)
    before = list(talk.told)
    report(talk, "item_a", 1900)
    pass_time(talk, 10.0)
    assert talk.told == before


def test_the_providers_own_count_of_a_truncation_does_not_replace_ours() -> None:
    talk = told("Hello there, friend.")
    talk.interrupt("item_a", 0, 500)
    talk.feed(pe.event("conversation.item.truncated", item_id="item_a", content_index=0, audio_end_ms=499))
    assert item_of(talk).heard_ms == 500


def test_the_end_of_the_session_settles_what_still_plays() -> None:
    talk = told("Hello there, my dear friend.")
    talk.now += 1.0
    talk.close()
    item = item_of(talk)
    assert (item.heard_ms, item.interrupted) == (1000, UNSET)
    assert item.heard_text == "Hello there,"
    assert talk.kinds()[-1] == "closed"
    assert talk.heard == [PartHeard("item_a", 0, 1000, 0, interrupted=False)]


def test_what_did_not_leave_the_daemon_was_not_heard_though_the_time_is_over() -> None:
    talk = told("Hello there, friend.")
    talk.unsent["item_a"] = 1500
    pass_time(talk, 10.0)
    assert talk.heard == []
    assert talk.core.playback.deadline(talk.now) == pytest.approx(talk.now + 0.05)
    talk.unsent["item_a"] = 0
    pass_time(talk, 0.1)
    assert item_of(talk).heard_ms == 2000
    assert talk.core.playback.deadline(talk.now) is None


def test_written_words_count_as_read() -> None:
    talk = Talk()
    talk.feed(pe.created("resp_1"), pe.item_added(pe.message("item_a", "assistant", {"type": "output_text"})))
    talk.feed(
        pe.event(
            "response.output_text.done", response_id="resp_1", item_id="item_a", content_index=0, text="Hi!"
        )
    )
    item = talk.core.items.get("item_a")
    assert item
    assert (item.generated_text, item.heard_text, item.heard_ms) == ("Hi!", "Hi!", UNSET)


def test_reports_are_clamped_to_what_was_received() -> None:
    talk = Talk()
    word_by_word(talk, "One", "two")
    report(talk, "item_a", 99_999)
    _, cut = talk.interrupt("item_a", 0, 99_999)
    assert cut is not None
    assert cut.heard_ms == 1000
    talk.feed(pe.audio("resp_1", "item_a", 500))
    talk.close()
    assert [part.heard_ms for part in talk.heard] == [1000]


def test_words_whose_audio_never_came_were_not_heard_though_all_that_came_was() -> None:
    talk = Talk()
    word_by_word(talk, "One", "two")
    talk.feed(pe.words("resp_1", "item_a", " three four"))
    talk.now += 5.0
    done, _ = talk.interrupt()
    assert done
    [cut] = talk.of(ev.RealtimeAudioInterrupted)
    assert (cut.heard_ms, cut.generated_ms, cut.was_playing) == (1000, 1000, True)
    talk.feed(audio_done("resp_1", "item_a"), words_done("resp_1", "item_a", "One two three four"))
    talk.feed(pe.done("resp_1", "cancelled"))
    item = item_of(talk)
    assert (item.heard_ms, item.heard_text, item.interrupted) == (1000, "One two", True)
    assert item.generated_text == "One two three four"


def test_a_barge_in_between_two_chunks_cuts_what_is_still_being_said() -> None:
    talk = Talk()
    word_by_word(talk, "One", "two")
    talk.feed(pe.words("resp_1", "item_a", " three"))
    talk.now += 5.0
    talk.feed(pe.speech_started("item_u"))
    assert len(talk.of(ev.RealtimeAudioInterrupted)) == 1
    talk.feed(words_done("resp_1", "item_a", "One two three"), pe.done("resp_1", "cancelled"))
    assert item_of(talk).heard_text == "One two"


def test_what_was_heard_stays_a_beginning_of_what_was_generated_whatever_the_provider_says_late() -> None:
    talk = Talk()
    word_by_word(talk, "One", "two", "three", "four")
    talk.interrupt("item_a", 0, 1200)
    talk.feed(words_done("resp_1", "item_a", "Two"))
    part = {"type": "output_audio", "transcript": "Two"}
    late = pe.message("item_a", "assistant", part)
    talk.feed(pe.event("conversation.item.done", item=late), pe.done("resp_1", "cancelled"))
    item = item_of(talk)
    assert (item.generated_text, item.heard_text) == ("One two three four", "One two")
    assert [done.text for done in talk.of(ev.RealtimeTranscriptDone)] == ["One two three four"]


# -- where words are cut


def part(heard_ms: int, generated_ms: int = 4000, *, complete: bool = True) -> Part:
    return Part("i", 0, "r", generated_ms=generated_ms, heard_ms=heard_ms, complete=complete)


def deltas(*said: tuple[int, str]) -> Spoken:
    spoken = Spoken()
    for audio_ms, delta in said:
        spoken.said(delta, audio_ms)
    return spoken


TEXT = "One two three four."


@pytest.mark.parametrize("heard_ms", range(0, 4001, 100))
def test_words_are_a_beginning_of_what_was_said_and_grow_with_the_time(heard_ms: int) -> None:
    for said in (
        deltas((0, "One"), (1000, " two"), (2000, " three"), (3000, " four.")),
        deltas((0, TEXT)),
        deltas((4000, TEXT)),
        deltas((1000, "One"), (2000, " two"), (3000, " three"), (4000, " four.")),
        deltas(),
    ):
        words = cut_words(TEXT, said, part(heard_ms))
        more = cut_words(TEXT, said, part(min(4000, heard_ms + 100)))
        assert TEXT.startswith(words)
        assert more.startswith(words)
        assert not words or TEXT[len(words) :][:1] in ("", " ")
        assert len(words) <= len(TEXT) * heard_ms / 4000


def test_a_pause_before_the_last_word_keeps_it_unheard() -> None:
    said = deltas((0, "One two three"), (3900, " four."))
    assert cut_words(TEXT, said, part(3800)) == "One two"
    assert cut_words(TEXT, said, part(4000)) == TEXT


def test_text_that_ran_ahead_of_audio_that_never_came_is_not_heard() -> None:
    text = "word " * 100
    assert len(cut_words(text, deltas((0, text)), part(1000, 1000, complete=False))) <= 25


def test_a_script_without_spaces_is_cut_between_its_signs() -> None:
    text = "今日はとても良い天気です"
    assert cut_words(text, deltas((0, text)), part(2000)) == text[:6]


def test_a_final_transcript_that_differs_from_its_deltas_is_cut_in_proportion() -> None:
    said = deltas((0, "one"), (1000, " two"), (2000, " three"), (3000, " four"))
    assert cut_words("One, two; three: four!", said, part(2100)) == "One, two;"
