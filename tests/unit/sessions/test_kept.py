"""What is sent again after a lost connection: what the provider may not have taken up, and nothing twice."""

from __future__ import annotations

import gc
from typing import Any

from hypothesis import given, strategies as st

from omnirt.sessions.inbox import INPUT_QUEUE_MS, AudioEntry, EventsEntry
from omnirt.sessions.kept import LEAD_MS, MAX_MESSAGES, Kept, Unsent
from tests.support import provider_events as pe


def audio(name: str, ms: int = 100, *, commit: bool = False) -> AudioEntry:
    return AudioEntry(name.encode(), ms, commit)


def text(words: str) -> EventsEntry:
    content = [{"type": "input_text", "text": words}]
    item = {"type": "message", "role": "user", "content": content}
    return EventsEntry([{"type": "conversation.item.create", "item": item}], size=len(words), ask=True)


def names(unsent: Unsent) -> list[str]:
    """The entries in short: audio by its bytes, `!` for a commit, texts by their words."""
    shown = []
    for entry in [*unsent.entries, *unsent.speech]:
        if isinstance(entry, AudioEntry):
            shown.append(entry.data.decode() + "!" * entry.commit)
        else:
            assert isinstance(entry, EventsEntry)
            assert not entry.ask, "the ask is remembered elsewhere"
            shown.append(entry.events[0]["item"]["content"][0]["text"])
    return shown


def committed(item_id: str) -> dict[str, Any]:
    return pe.event("input_audio_buffer.committed", item_id=item_id)


def transcribed(item_id: str, words: str) -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.completed"
    return pe.event(kind, item_id=item_id, content_index=0, transcript=words)


def test_a_turn_that_goes_on_is_sent_again_whole() -> None:
    kept = Kept(lambda: True)
    kept.audio(audio("a"), 0.0)
    kept.server_event(pe.speech_started("u1"))
    for name in "bcd":
        kept.audio(audio(name, 5000), 0.0)
    assert names(kept.take()) == ["a", "b", "c", "d"]
    assert names(kept.take()) == []


def test_of_silence_the_last_moments() -> None:
    kept = Kept(lambda: True)
    for count in range(100):
        kept.audio(audio(f"{count},"), count / 10)
    unsent = kept.take()
    assert len(unsent.speech) == LEAD_MS // 100
    assert names(unsent)[-1] == "99,"
    assert unsent.dropped_ms == 0, "nobody spoke in it"


def test_silence_that_was_sent_in_a_hurry_is_kept_for_as_long_as_it_takes_to_be_heard() -> None:
    kept = Kept(lambda: True)
    for count in range(100):
        kept.audio(audio(f"{count},"), 0.0)
    kept.audio(audio("late"), 1.0)
    assert len(kept.take().speech) == 101


def test_without_turn_detection_all_until_the_host_commits_within_a_bound() -> None:
    kept = Kept(lambda: False)
    for count in range(INPUT_QUEUE_MS // 1000 + 10):
        kept.audio(audio(f"{count},", 1000), 0.0)
    unsent = kept.take()
    assert (
        sum(entry.duration_ms for entry in [*unsent.entries, *unsent.speech] if isinstance(entry, AudioEntry))
        == INPUT_QUEUE_MS
    )
    assert unsent.dropped_ms == 10_000


def test_an_unanswered_turn_is_sent_and_committed_again_and_its_item_made_anew() -> None:
    kept = Kept(lambda: True)
    kept.server_event(pe.speech_started("u1"))
    kept.audio(audio("a"), 0.0)
    kept.server_event(committed("u1"))
    kept.audio(audio("b"), 0.0)
    unsent = kept.take()
    assert names(unsent) == ["a", "!", "b"]
    assert unsent.item_ids == ["u1"]


def test_a_commit_of_the_hosts_is_sent_once() -> None:
    kept = Kept(lambda: False)
    kept.audio(audio("a"), 0.0)
    kept.audio(audio("b", commit=True), 0.0)
    kept.audio(audio("c"), 0.0)
    kept.server_event(committed("u1"))
    assert names(kept.take()) == ["a", "b!", "c"]


def test_what_was_transcribed_or_answered_is_not_sent_again() -> None:
    kept = Kept(lambda: True)
    kept.audio(audio("a"), 0.0)
    kept.server_event(committed("u1"))
    kept.server_event(transcribed("u1", "Hello"))
    kept.audio(audio("b"), 0.0)
    kept.server_event(committed("u2"))
    kept.server_event(pe.done("r1"))
    assert names(kept.take()) == []


def test_what_a_failed_answer_or_an_empty_transcript_leaves_is_sent_again() -> None:
    kept = Kept(lambda: True)
    kept.audio(audio("a"), 0.0)
    kept.server_event(committed("u1"))
    kept.server_event(transcribed("u1", ""))
    kept.server_event(pe.done("r1", "failed"))
    assert names(kept.take()) == ["a", "!"]


def test_texts_are_kept_until_their_items_come_back_in_order() -> None:
    kept = Kept(lambda: True)
    kept.events(text("one"))
    kept.events(text("two"))
    kept.server_event(pe.item_added(pe.message("u9", "assistant")))
    kept.server_event(pe.item_added(pe.message("u8", "user", {"type": "input_audio"})))
    kept.server_event(pe.item_added(pe.message("u1", "user", {"type": "input_text", "text": "one"})))
    assert names(kept.take()) == ["two"]


def test_the_output_of_a_tool_is_kept_until_it_comes_back() -> None:
    kept = Kept(lambda: True)
    item = {"type": "function_call_output", "call_id": "c1", "output": "21"}
    kept.events(EventsEntry([{"type": "conversation.item.create", "item": item}]))
    kept.server_event(pe.item_added({"id": "x", "type": "function_call_output", "call_id": "c2"}))
    assert len(kept.take().entries) == 1
    kept.events(EventsEntry([{"type": "conversation.item.create", "item": item}]))
    kept.server_event(pe.item_added({"id": "x", "type": "function_call_output", "call_id": "c1"}))
    assert not kept.take().entries


def test_cleared_audio_is_not_sent_again() -> None:
    kept = Kept(lambda: False)
    kept.audio(audio("a"), 0.0)
    kept.events(EventsEntry([{"type": "input_audio_buffer.clear"}]))
    kept.audio(audio("b"), 0.0)
    assert names(kept.take()) == ["b"]


acts = st.one_of(
    st.tuples(st.just("audio"), st.integers(0, 30_000), st.booleans()),
    st.tuples(st.just("text"), st.text(max_size=3)),
    st.sampled_from(
        [pe.speech_started("u1"), committed("u1"), committed(""), transcribed("u1", "x"), pe.done("r1")]
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["conversation.item.added", "response.done"])}),
)


@given(st.lists(acts, max_size=60), st.booleans())
def test_whatever_happens_it_is_bounded_and_in_order(script: list[Any], detects: bool) -> None:
    kept = Kept(lambda: detects)
    count = 0
    for act in script:
        match act:
            case ("audio", ms, commit):
                count += 1
                kept.audio(AudioEntry(str(count).encode(), ms, commit), count / 3)
            case ("text", words):
                kept.events(text(words))
            case _:
                kept.server_event(act)
    unsent = kept.take()
    numbers = [int(e.data) for e in [*unsent.entries, *unsent.speech] if isinstance(e, AudioEntry) and e.data]
    assert numbers == sorted(set(numbers))
    assert sum(isinstance(e, EventsEntry) for e in unsent.entries) <= MAX_MESSAGES
    whole = sum(
        entry.duration_ms for entry in [*unsent.entries, *unsent.speech] if isinstance(entry, AudioEntry)
    )
    assert whole <= 2 * (INPUT_QUEUE_MS + 30_000)
    assert not kept.take().entries


def test_audio_that_is_kept_is_nothing_for_the_garbage_collector() -> None:
    kept = Kept(lambda: False)
    for _ in range(100):
        kept.audio(audio("a", 20), 0.0)
    unsent = kept.take()
    assert len(unsent.speech) == 100
    assert not any(gc.is_tracked(entry) for entry in unsent.speech)
