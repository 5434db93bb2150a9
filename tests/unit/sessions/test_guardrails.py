"""Output guardrails between provider and conversation: when they run, what they stop, what they hold."""

from __future__ import annotations

from typing import Any

import pytest

from omnirt.protocol import events as ev
from omnirt.sessions.answers import MAX_HELD_BYTES, MAX_TEXT
from omnirt.sessions.guardrails import MAX_AGAIN
from tests.support import provider_events as pe
from tests.unit.sessions.guarded import PRICES, GuardedTalk
from tests.unit.sessions.helpers import audio_done, spoken, words_done


def text_delta(response_id: str, item_id: str, delta: str) -> dict[str, Any]:
    where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    return pe.event("response.output_text.delta", delta=delta, **where)


def text_done(response_id: str, item_id: str, text: str) -> dict[str, Any]:
    where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    return pe.event("response.output_text.done", text=text, **where)


def begun(talk: GuardedTalk, response_id: str = "r1", item_id: str = "i1") -> None:
    """The daemon asks for a response, and it begins with a message."""
    talk.ask()
    message = pe.message(item_id, "assistant") | {"status": "in_progress"}
    talk.feed(
        pe.created(response_id),
        pe.event("response.output_item.added", response_id=response_id, output_index=0, item=message),
        pe.item_added(message),
    )


def ends(talk: GuardedTalk) -> list[tuple[str, str, str]]:
    """How each response ended."""
    return [
        (e.response_id, e.status, e.reason or "") for e in talk.of(ev.RealtimeResponseEnd)
    ]  # UNSET is false


class TestWithoutHolding:
    def test_an_answer_that_keeps_to_them_passes_unchanged(self) -> None:
        talk = GuardedTalk()
        begun(talk)
        talk.feed(*spoken("r1", "i1", 300, "It is free.")[1:])
        assert (talk.heard_ms(), talk.shown()) == (300, "It is free.")
        assert ends(talk) == [("r1", "completed", "")]
        assert talk.of(ev.RealtimeGuardrailTripped) == []

    def test_a_short_answer_is_checked_when_it_is_complete(self) -> None:
        talk = GuardedTalk()
        begun(talk)
        talk.feed(pe.words("r1", "i1", "It costs $5."), pe.audio("r1", "i1", 500))
        assert talk.of(ev.RealtimeGuardrailTripped) == []
        talk.feed(words_done("r1", "i1", "It costs $5."))
        [tripped] = talk.of(ev.RealtimeGuardrailTripped)
        assert tripped.guardrails == ["no_prices"]
        assert tripped.message == "The answer broke `no_prices`."

    def test_they_run_when_so_much_text_is_new(self) -> None:
        talk = GuardedTalk(guardrail_debounce_chars=10)
        begun(talk)
        talk.feed(pe.words("r1", "i1", "Only $5"))
        assert talk.of(ev.RealtimeGuardrailTripped) == []
        talk.feed(pe.words("r1", "i1", " a piece"))
        assert len(talk.of(ev.RealtimeGuardrailTripped)) == 1

    def test_what_trips_is_cancelled_cut_and_asked_for_again(self) -> None:
        talk = GuardedTalk(guardrail_debounce_chars=5)
        begun(talk)
        talk.feed(pe.words("r1", "i1", "Well"), pe.audio("r1", "i1", 1000))
        talk.now += 0.4
        talk.feed(pe.words("r1", "i1", ", that is $5"), pe.audio("r1", "i1", 1000))
        assert talk.sent_types()[1:] == [
            "response.cancel",
            "conversation.item.truncate",
            "conversation.item.create",
        ]
        assert talk.sent[1]["response_id"] == "r1"
        assert talk.sent[2]["audio_end_ms"] == 400
        note = talk.sent[3]["item"]
        assert note["role"] == "system"
        assert "The answer broke `no_prices`." in note["content"][0]["text"]
        [cut] = talk.of(ev.RealtimeAudioInterrupted)
        assert (cut.heard_ms, cut.generated_ms) == (400, 1000)
        at = talk.kinds().index("guardrailTripped")
        assert talk.kinds()[at + 1] == "audioInterrupted", "the host is told why, then to empty its player"
        talk.feed(
            pe.audio("r1", "i1", 500), pe.words("r1", "i1", " and more"), words_done("r1", "i1", "All of it")
        )
        assert talk.heard_ms() == 1000, "no audio of it follows"
        assert talk.shown() == "Well, that is $5"
        talk.feed(pe.done("r1", "cancelled", {"type": "cancelled", "reason": "client_cancelled"}))
        assert ends(talk) == [("r1", "cancelled", "guardrail")]
        [done] = talk.of(ev.RealtimeTranscriptDone)
        assert done.text == "Well, that is $5", "what was told is what was told"
        assert talk.sent_types()[-1] == "response.create", "another answer is asked for"
        item = [e.item for e in talk.of(ev.RealtimeItemUpdated) if e.item.item_id == "i1"][-1]
        assert (item.status, item.interrupted) == ("incomplete", True)

    def test_the_end_of_a_response_waits_for_its_last_check(self) -> None:
        talk = GuardedTalk(slow=True)
        begun(talk)
        talk.feed(*spoken("r1", "i1", 2000, "It costs $5.")[1:])
        assert ends(talk) == []
        assert not talk.core.turns.idle(talk.now + 100)
        talk.now += 0.5
        talk.judge()
        assert ends(talk) == [("r1", "cancelled", "guardrail")]
        assert "response.cancel" not in talk.sent_types(), "the provider is through with it"
        assert talk.sent_types()[-1] == "response.create"
        assert talk.of(ev.RealtimeAudioInterrupted)[0].heard_ms == 500

    def test_several_that_trip_together_are_told_together(self) -> None:
        rules = [
            *PRICES,
            {"name": "no_cost", "deny": ["cheap", "costs"]},
            {"name": "no_cats", "deny": ["cat"]},
        ]
        talk = GuardedTalk(output_guardrails=rules)
        begun(talk)
        talk.feed(*spoken("r1", "i1", 100, "It costs $5.")[1:])
        [tripped] = talk.of(ev.RealtimeGuardrailTripped)
        assert tripped.guardrails == ["no_prices", "no_cost"]
        assert tripped.message == "The answer broke `no_prices`, `no_cost`."

    def test_text_is_checked_as_speech_is(self) -> None:
        talk = GuardedTalk()
        begun(talk)
        talk.feed(text_delta("r1", "i1", "It costs $5."), text_done("r1", "i1", "It costs $5."))
        assert len(talk.of(ev.RealtimeGuardrailTripped)) == 1
        talk.feed(pe.done("r1", "cancelled"))
        assert [e.text for e in talk.of(ev.RealtimeTextDone)] == ["It costs $5."]

    def test_words_that_only_the_final_text_has_are_checked(self) -> None:
        talk = GuardedTalk()
        begun(talk)
        talk.feed(pe.words("r1", "i1", "It costs"), words_done("r1", "i1", "It costs $5."))
        assert len(talk.of(ev.RealtimeGuardrailTripped)) == 1

    def test_each_response_is_checked_alone(self) -> None:
        talk = GuardedTalk(output_guardrails=[{"name": "pair", "deny": [r"one[\s\S]*two"]}])
        begun(talk)
        talk.feed(*spoken("r1", "i1", 10, "one")[1:])
        begun(talk, "r2", "i2")
        talk.feed(*spoken("r2", "i2", 10, "two")[1:])
        assert talk.of(ev.RealtimeGuardrailTripped) == []

    def test_no_other_answer_is_asked_for_after_an_interrupt(self) -> None:
        talk = GuardedTalk(slow=True)
        begun(talk)
        talk.feed(
            pe.words("r1", "i1", "It costs $5."),
            pe.audio("r1", "i1", 500),
            words_done("r1", "i1", "It costs $5."),
        )
        talk.interrupt()
        talk.judge()
        assert len(talk.of(ev.RealtimeGuardrailTripped)) == 1
        assert "conversation.item.create" not in talk.sent_types()
        talk.feed(pe.done("r1", "cancelled"))
        assert talk.sent_types().count("response.create") == 1

    def test_an_agent_that_goes_on_breaking_them_is_left_silent(self) -> None:
        talk = GuardedTalk()
        begun(talk)
        for number in range(1, MAX_AGAIN + 2):
            response, item = f"r{number}", f"i{number}"
            if number > 1:
                talk.feed(pe.created(response))
            talk.feed(*spoken(response, item, 100, "It costs $5.")[1:])
        assert talk.sent_types().count("response.create") == 1 + MAX_AGAIN
        [error] = talk.of(ev.RealtimeError)
        assert not error.fatal
        assert "no other answer is asked for" in error.message
        begun(talk, "r9", "i9")
        talk.feed(*spoken("r9", "i9", 100, "It costs $5.")[1:])
        assert talk.sent_types()[-1] == "response.create", "the next turn begins anew"

    def test_a_tool_of_the_answer_asks_for_the_next_one(self) -> None:
        talk = GuardedTalk()
        begun(talk)
        talk.feed(pe.function_call("r1", "c1", "weather"))
        talk.feed(*spoken("r1", "i1", 100, "It costs $5.")[1:])
        assert talk.sent_types().count("conversation.item.create") == 1
        assert talk.sent_types().count("response.create") == 1
        talk.core.turns.tool_answered("c1", talk.now, respond=True)
        talk.core.pump(talk.now)
        talk.collect()
        assert talk.sent_types().count("response.create") == 2

    def test_a_provider_without_ids_is_checked_too(self) -> None:
        talk = GuardedTalk()
        talk.ask()
        talk.feed(
            pe.event("response.created", response={}),
            pe.words("", "", "It costs $5."),
            pe.audio("", "", 100),
            words_done("", "", "It costs $5."),
        )
        assert len(talk.of(ev.RealtimeGuardrailTripped)) == 1
        talk.feed(pe.event("response.done", response={"status": "cancelled"}))
        assert [status for _, status, _ in ends(talk)] == ["cancelled"]

    def test_a_provider_that_ignores_the_cancel_does_not_block_the_next_answer(self) -> None:
        talk = GuardedTalk()
        begun(talk)
        talk.feed(pe.words("r1", "i1", "It costs $5."), words_done("r1", "i1", "It costs $5."))
        talk.now += 6
        _, late = talk.core.turns.overdue(talk.now)
        assert late == ["r1"]
        talk.core.turns.done("r1")
        talk.core.give_up("r1", talk.now, "cancelled", reason="client_cancelled")
        talk.collect()
        assert ends(talk) == [("r1", "cancelled", "guardrail")]
        assert talk.sent_types()[-1] == "response.create"
        told = len(talk.told)
        talk.feed(pe.words("r1", "i1", "More"), pe.audio("r1", "i1", 100), pe.done("r1"))
        assert len(talk.told) == told

    def test_an_answer_without_end_is_stopped(self) -> None:
        talk = GuardedTalk(guardrail_debounce_chars=100_000)
        begun(talk)
        for _ in range(MAX_TEXT // 1000 + 1):
            talk.feed(pe.words("r1", "i1", "la " * 334))
        [tripped] = talk.of(ev.RealtimeGuardrailTripped)
        assert tripped.message == "The answer is too long to be checked."

    def test_an_agent_without_guardrails_is_not_held_up(self) -> None:
        talk = GuardedTalk(slow=True)
        talk.guards = None
        begun(talk)
        talk.feed(*spoken("r1", "i1", 100, "It costs $5.")[1:])
        assert ends(talk) == [("r1", "completed", "")]
        assert talk.checks == []


class TestHoldback:
    def talk(self, **members: Any) -> GuardedTalk:
        talk = GuardedTalk(guardrail="holdback", **members)
        begun(talk)
        return talk

    def test_a_sentence_waits_until_its_words_have_passed(self) -> None:
        talk = self.talk()
        talk.feed(pe.words("r1", "i1", "It is"), pe.audio("r1", "i1", 100), pe.words("r1", "i1", " free."))
        assert (talk.heard_ms(), talk.shown()) == (0, "")
        talk.feed(pe.words("r1", "i1", " And"))
        assert (talk.heard_ms(), talk.shown()) == (100, "It is free.")

    def test_nothing_of_a_sentence_that_trips_is_heard_or_shown(self) -> None:
        talk = self.talk()
        talk.feed(
            pe.words("r1", "i1", "Well."), pe.audio("r1", "i1", 100),
            pe.words("r1", "i1", " It is good."), pe.audio("r1", "i1", 200),
            pe.words("r1", "i1", " It costs"), pe.audio("r1", "i1", 400),
            pe.words("r1", "i1", " $5."), pe.audio("r1", "i1", 800),
            pe.words("r1", "i1", " Really."), pe.audio("r1", "i1", 1600),
            audio_done("r1", "i1"),
            words_done("r1", "i1", "Well. It is good. It costs $5. Really."), pe.done("r1"),
        )  # fmt: skip
        assert talk.shown() == "Well. It is good."
        assert talk.heard_ms() == 100
        assert ends(talk) == [("r1", "cancelled", "guardrail")]
        assert [e.text for e in talk.of(ev.RealtimeTranscriptDone)] == ["Well. It is good."]
        assert talk.sent_types()[-1] == "response.create"

    def test_audio_waits_for_words_that_come_after_it(self) -> None:
        talk = self.talk()
        talk.feed(pe.words("r1", "i1", "It is good. "), pe.audio("r1", "i1", 300))
        assert talk.heard_ms() == 0, "the words of this audio may still be to come"
        talk.feed(pe.words("r1", "i1", "It costs $5. "))
        assert talk.heard_ms() == 0

    def test_audio_after_the_last_words_goes_on_at_once(self) -> None:
        talk = self.talk()
        talk.feed(pe.words("r1", "i1", "It is good."), words_done("r1", "i1", "It is good."))
        talk.feed(pe.audio("r1", "i1", 300))
        assert talk.heard_ms() == 300

    def test_the_order_of_what_is_told_stays(self) -> None:
        whole = GuardedTalk()
        whole.guards = None
        begun(whole)
        held = self.talk()
        item = pe.message("i1", "assistant", {"type": "output_audio", "transcript": "It is good. So so."})
        events = [
            *(event for event in spoken("r1", "i1", 300, "It is good. So so.")[1:-1]),
            pe.event("response.output_item.done", response_id="r1", output_index=0, item=item),
            pe.event("conversation.item.done", item=item),
            pe.done("r1"),
        ]
        whole.feed(*events)
        held.feed(*events)
        assert held.kinds() == whole.kinds()

    def test_the_item_never_shows_words_that_were_held(self) -> None:
        talk = self.talk()
        said = "It costs $5."
        item = pe.message("i1", "assistant", {"type": "output_audio", "transcript": said})
        talk.feed(
            pe.words("r1", "i1", said), pe.audio("r1", "i1", 100), words_done("r1", "i1", said),
            pe.event("response.output_item.done", response_id="r1", output_index=0, item=item),
            pe.event("conversation.item.done", item=item), pe.done("r1"),
        )  # fmt: skip
        assert not any("$5" in str(event) for event in talk.told)
        deleted = [event["item_id"] for event in talk.sent if event["type"] == "conversation.item.delete"]
        assert deleted == ["i1"], "the model forgets what nobody heard"

    def test_an_item_that_comes_after_its_response_is_not_shown_either(self) -> None:
        talk = self.talk()
        said = "It costs $5."
        item = pe.message("i1", "assistant", {"type": "output_audio", "transcript": said})
        talk.feed(pe.words("r1", "i1", said), words_done("r1", "i1", said), pe.done("r1"))
        told = len(talk.told)
        talk.feed(pe.event("conversation.item.done", item=item), pe.item_added({"id": {}}))
        assert len(talk.told) == told

    def test_words_that_only_the_item_has_are_checked(self) -> None:
        talk = self.talk()
        item = pe.message("i1", "assistant", {"type": "output_audio", "transcript": "It costs $5."})
        talk.feed(pe.audio("r1", "i1", 100), pe.event("conversation.item.done", item=item), pe.done("r1"))
        assert talk.heard_ms() == 0
        assert len(talk.of(ev.RealtimeGuardrailTripped)) == 1

    def test_audio_without_any_words_is_not_heard(self) -> None:
        talk = self.talk()
        talk.feed(pe.audio("r1", "i1", 100), audio_done("r1", "i1"), pe.done("r1"))
        assert talk.heard_ms() == 0
        assert talk.of(ev.RealtimeGuardrailTripped)[0].message == "The answer came without its words."

    def test_what_is_held_is_bounded(self) -> None:
        talk = self.talk()
        for _ in range(MAX_HELD_BYTES // (48 * 10_000) + 1):
            talk.feed(pe.audio("r1", "i1", 10_000))
        [tripped] = talk.of(ev.RealtimeGuardrailTripped)
        assert tripped.message == "The answer is too long to be checked."

    def test_a_sentence_without_an_end_is_not_held_for_ever(self) -> None:
        talk = self.talk()
        talk.feed(pe.audio("r1", "i1", 100))
        for _ in range(45):
            talk.feed(pe.words("r1", "i1", "and so on "))
        assert talk.heard_ms() == 100

    def test_a_barge_in_drops_what_is_held(self) -> None:
        talk = self.talk()
        talk.feed(pe.words("r1", "i1", "It is good."), pe.audio("r1", "i1", 300))
        talk.feed(pe.speech_started("u1"))
        talk.feed(words_done("r1", "i1", "It is good."), pe.done("r1", "cancelled"))
        assert talk.heard_ms() == 0
        assert ends(talk) == [("r1", "cancelled", "")]

    def test_a_position_counts_what_was_released(self) -> None:
        talk = self.talk()
        talk.feed(pe.words("r1", "i1", "Good. "), pe.audio("r1", "i1", 300))
        talk.feed(pe.words("r1", "i1", "Very good. "), pe.audio("r1", "i1", 700))
        talk.now += 0.125
        done, cut = talk.interrupt()
        assert done
        assert cut is not None
        assert (cut.heard_ms, cut.part.generated_ms) == (125, 300)

    def test_text_is_held_too(self) -> None:
        talk = self.talk()
        talk.feed(text_delta("r1", "i1", "It is good. It"))
        assert talk.shown() == ""
        talk.feed(
            text_delta("r1", "i1", " costs $5."),
            text_done("r1", "i1", "It is good. It costs $5."),
            pe.done("r1"),
        )
        assert talk.shown() == ""
        assert ends(talk) == [("r1", "cancelled", "guardrail")]

    def test_a_tool_call_is_not_held(self) -> None:
        talk = self.talk()
        talk.slow = True
        talk.feed(pe.words("r1", "i1", "One moment. "), pe.function_call("r1", "c1", "weather"))
        assert talk.core.turns.tools == [("c1", "r1")]

    @pytest.mark.parametrize("end", [".", "!", "?", "…", "...", '."', ".)", "。", "\n"])
    def test_sentences_end_in_many_ways(self, end: str) -> None:
        talk = self.talk()
        talk.feed(
            pe.audio("r1", "i1", 100), pe.words("r1", "i1", f"It is good{end}"), pe.words("r1", "i1", " And")
        )
        assert talk.heard_ms() == 100
