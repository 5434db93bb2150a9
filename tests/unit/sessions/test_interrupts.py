"""Interrupts and barge-in: what is unheard is cut, told first, and told to the provider as it was heard."""

from __future__ import annotations

from omnirt.protocol import events as ev
from tests.support import provider_events as pe
from tests.unit.sessions.helpers import Talk, audio_done, spoken


def speaking(ms: int = 2000) -> Talk:
    """A talk in the midst of a response with so much audio."""
    talk = Talk()
    talk.feed(pe.item_added(pe.message("item_a", "assistant")), pe.created("resp_1"))
    talk.feed(pe.audio("resp_1", "item_a", ms))
    return talk


def test_an_interrupt_cancels_cuts_and_truncates_where_the_clock_says() -> None:
    talk = speaking()
    talk.now += 0.7
    done, cut = talk.interrupt()
    assert done
    assert cut
    assert (cut.part.item_id, cut.heard_ms) == ("item_a", 700)
    [interrupted], [end] = talk.of(ev.RealtimeAudioInterrupted), talk.of(ev.RealtimeAudioEnd)
    assert (interrupted.item_id, interrupted.content_index) == ("item_a", 0)
    assert (interrupted.was_playing, interrupted.heard_ms, interrupted.generated_ms) == (True, 700, 2000)
    assert end.total_ms == 2000
    assert talk.dropped == [frozenset({"item_a"})]
    assert talk.sent_types() == ["response.cancel", "conversation.item.truncate"]
    assert talk.sent[1]["audio_end_ms"] == 700
    item = talk.of(ev.RealtimeItemUpdated)[-1].item
    assert (item.heard_ms, item.interrupted) == (700, True)


def test_no_audio_of_what_was_interrupted_follows() -> None:
    talk = speaking()
    talk.interrupt()
    talk.feed(
        pe.audio("resp_1", "item_a", 100), pe.audio("resp_1", "item_b", 100), audio_done("resp_1", "item_a")
    )
    assert len(talk.of(ev.RealtimeAudio)) == 1
    assert len(talk.of(ev.RealtimeAudioEnd)) == 1


def test_the_hosts_position_beats_the_clock() -> None:
    talk = speaking()
    talk.core.playback.report("item_a", 0, 300, talk.now)
    talk.now += 1.5
    done, cut = talk.interrupt()
    assert done
    assert cut
    assert cut.heard_ms == 300


def test_a_position_with_the_interrupt_beats_both() -> None:
    talk = speaking()
    talk.core.playback.report("item_a", 0, 300, talk.now)
    _, cut = talk.interrupt("item_a", 0, 450)
    assert cut
    assert cut.heard_ms == 450


def test_what_has_not_left_the_daemon_was_not_heard() -> None:
    talk = speaking()
    talk.unsent["item_a"] = 1500
    talk.now += 1.0
    _, cut = talk.interrupt()
    assert cut
    assert cut.heard_ms == 500


def test_what_nobody_heard_is_cut_without_a_truncation() -> None:
    talk = speaking()
    talk.interrupt()
    assert talk.sent_types() == ["response.cancel"]
    assert talk.of(ev.RealtimeAudioInterrupted)[0].heard_ms == 0


def test_before_any_audio_a_response_is_only_cancelled() -> None:
    talk = Talk()
    talk.feed(pe.created("resp_1"))
    assert talk.interrupt() == (True, None)
    assert talk.sent_types() == ["response.cancel"]
    assert talk.of(ev.RealtimeAudioInterrupted) == []


def test_after_its_end_a_response_that_plays_is_only_cut() -> None:
    talk = Talk()
    talk.feed(*spoken("resp_1", "item_a", 1000))
    talk.now += 0.4
    done, cut = talk.interrupt()
    assert done
    assert cut
    assert talk.sent_types() == ["conversation.item.truncate"]
    assert len(talk.of(ev.RealtimeAudioEnd)) == 1


def test_a_second_interrupt_does_nothing() -> None:
    talk = speaking()
    talk.now += 0.1
    talk.interrupt()
    sent, told = list(talk.sent), list(talk.told)
    assert talk.interrupt() == (False, None)
    assert talk.interrupt("item_a") == (False, None)
    assert (talk.sent, talk.told) == (sent, told)


def test_what_was_wholly_heard_is_not_interrupted() -> None:
    talk = Talk()
    talk.feed(*spoken("resp_1", "item_a", 1000))
    talk.now += 1.1
    assert talk.interrupt() == (False, None)
    assert talk.interrupt("item_a") == (False, None)
    assert talk.interrupt("item_unknown") == (False, None)


def test_every_item_with_unheard_audio_is_cut_the_playing_one_first() -> None:
    talk = speaking(1000)
    talk.feed(pe.audio("resp_1", "item_b", 500))
    talk.now += 0.9
    talk.interrupt()
    cuts = talk.of(ev.RealtimeAudioInterrupted)
    assert [(cut.item_id, cut.was_playing, cut.heard_ms) for cut in cuts] == [
        ("item_a", True, 900),
        ("item_b", False, 0),
    ]


def test_an_item_is_found_by_its_id_whichever_part_has_the_audio() -> None:
    talk = Talk()
    talk.feed(pe.created("resp_1"), {**pe.audio("resp_1", "item_a", 1000), "content_index": 1})
    talk.now += 0.5
    done, cut = talk.interrupt("item_a")
    assert done
    assert cut
    assert cut.part.content_index == 1


def test_an_item_without_audio_yet_is_cancelled_by_its_id() -> None:
    talk = Talk()
    talk.feed(pe.created("resp_1"), pe.words("resp_1", "item_a", "Well"))
    assert talk.interrupt("item_a") == (True, None)
    assert talk.sent_types() == ["response.cancel"]


def test_barge_in_cuts_and_leaves_the_cancel_to_the_provider() -> None:
    talk = speaking()
    talk.now += 0.5
    talk.feed(
        pe.speech_started("item_u"), pe.audio("resp_1", "item_a", 100), pe.audio("resp_1", "item_b", 100)
    )
    assert talk.sent_types() == ["conversation.item.truncate"]
    assert [cut.heard_ms for cut in talk.of(ev.RealtimeAudioInterrupted)] == [500]
    assert len(talk.of(ev.RealtimeAudio)) == 1
    assert talk.core.state == "userSpeaking"


def test_no_barge_in_where_the_settings_say_so() -> None:
    talk = Talk()
    detection = {"type": "server_vad", "interrupt_response": False}
    talk.feed(pe.event("session.updated", session={"audio": {"input": {"turn_detection": detection}}}))
    talk.feed(pe.created("resp_1"), pe.audio("resp_1", "item_a", 100), pe.speech_started("item_u"))
    talk.feed(pe.audio("resp_1", "item_a", 100))
    assert talk.of(ev.RealtimeAudioInterrupted) == []
    assert len(talk.of(ev.RealtimeAudio)) == 2


def test_tools_go_on_through_an_interrupt() -> None:
    talk = Talk()
    talk.feed(pe.created("resp_1"), pe.function_call("resp_1", "call_1", "weather"))
    talk.interrupt()
    talk.feed(pe.done("resp_1", "cancelled"))
    talk.core.turns.tool_answered("call_1", talk.now, respond=True)
    assert talk.core.turns.next_create(talk.now)
