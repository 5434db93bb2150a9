"""However an answer is cut into deltas: what is forbidden trips, and no held sentence is heard too early."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any

from hypothesis import given, settings, strategies as st

from omnirt.protocol import events as ev
from tests.property.test_sessions import acts, assert_pairs, perform
from tests.support import provider_events as pe
from tests.unit.sessions.guarded import GuardedTalk
from tests.unit.sessions.helpers import audio_done, words_done

MS_PER_CHAR = 10
FORBIDDEN = [{"name": "no_xyz", "deny": ["x y z"]}]

good_words = st.lists(st.sampled_from(["la", "so", "x", "y", "3.5"]), min_size=1, max_size=4).map(" ".join)
ends = st.sampled_from([".", "!", "?", "…", '."'])
good = st.tuples(good_words, ends).map("".join).filter(lambda text: "x y" not in text)
bad = st.tuples(good_words, good_words, ends).map(lambda parts: f"{parts[0]} x y z {parts[1]}{parts[2]}")

whens = st.lists(st.booleans(), min_size=1, max_size=30)


@dataclass
class Spoken:
    """An answer as it is spoken: its sentences, and where each ends in text."""

    sentences: list[str]

    @property
    def text(self) -> str:
        return " ".join(self.sentences)

    def end_of(self, count: int) -> int:
        """Where the first sentences end."""
        return len(" ".join(self.sentences[:count]))


def cuts(text: str, draw: st.DrawFn) -> list[str]:
    """The text in pieces."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=30)))
    return [
        text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True) if start < end
    ]


@st.composite
def deliveries(draw: st.DrawFn, spoken: Spoken) -> list[str | int]:
    """The deltas of an answer: words, and ms of audio, which is never ahead of its words."""
    steps: list[str | int] = []
    said = played = 0
    length = len(spoken.text) * MS_PER_CHAR
    for piece in cuts(spoken.text, draw):
        steps.append(piece)
        said += len(piece)
        if draw(st.booleans()):
            until = draw(st.integers(played, max(played, min(said * MS_PER_CHAR, length))))
            if until > played:
                steps.append(until - played)
                played = until
    if played < length:
        steps.append(length - played)
    return steps


@st.composite
def answers(draw: st.DrawFn) -> tuple[Spoken, int | None, list[str | int]]:
    """An answer, which of its sentences is forbidden, and its events."""
    sentences = draw(st.lists(good, min_size=1, max_size=5))
    at = draw(st.none() | st.integers(0, len(sentences)))
    if at is not None:
        sentences.insert(at, draw(bad))
    spoken = Spoken(sentences)
    return spoken, at, draw(deliveries(spoken))


def fed(talk: GuardedTalk, spoken: Spoken, steps: list[str | int], whens: list[bool]) -> None:
    """The events, with verdicts that come whenever they like."""
    deltas = [
        pe.words("r1", "i1", step) if isinstance(step, str) else pe.audio("r1", "i1", step) for step in steps
    ]
    ends = [audio_done("r1", "i1"), words_done("r1", "i1", spoken.text), pe.done("r1")]
    talk.ask()
    talk.feed(pe.created("r1"))
    for event, judged in zip([*deltas, *ends], cycle(whens), strict=False):
        talk.feed(event)
        if judged:
            talk.judge()
    talk.judge()


@settings(deadline=None, max_examples=300)
@given(answers(), st.integers(1, 50), st.sampled_from(["interrupt", "holdback"]), whens)
def test_an_answer_trips_if_it_is_forbidden_and_only_then(
    answer: tuple[Spoken, int | None, list[str | int]], debounce: int, mode: str, judged: list[bool]
) -> None:
    spoken, at, steps = answer
    talk = GuardedTalk(
        slow=True, output_guardrails=FORBIDDEN, guardrail=mode, guardrail_debounce_chars=debounce
    )
    fed(talk, spoken, steps, judged)
    forbidden = "x y z" in spoken.text
    assert forbidden or at is None
    assert len(talk.of(ev.RealtimeGuardrailTripped)) == forbidden
    if talk.sent_types().count("response.cancel"):
        talk.feed(pe.done("r1", "cancelled"))
    [end] = talk.of(ev.RealtimeResponseEnd)
    assert end.status == ("cancelled" if forbidden else "completed")
    assert talk.sent_types().count("response.create") == 1 + forbidden
    if not forbidden:
        assert talk.heard_ms() == len(spoken.text) * MS_PER_CHAR
        assert talk.shown() == spoken.text


@settings(deadline=None, max_examples=300)
@given(answers(), st.integers(1, 50), whens)
def test_nothing_is_heard_or_shown_of_the_sentence_that_trips_or_what_follows(
    answer: tuple[Spoken, int | None, list[str | int]], debounce: int, judged: list[bool]
) -> None:
    spoken, at, steps = answer
    talk = GuardedTalk(
        slow=True, output_guardrails=FORBIDDEN, guardrail="holdback", guardrail_debounce_chars=debounce
    )
    fed(talk, spoken, steps, judged)
    assert spoken.text.startswith(talk.shown())
    if at is not None:
        assert talk.heard_ms() <= spoken.end_of(at) * MS_PER_CHAR
        assert len(talk.shown()) <= spoken.end_of(at) + 1
        assert not any("x y z" in str(event) for event in talk.told)


@settings(deadline=None, max_examples=300)
@given(st.lists(acts, max_size=40), st.sampled_from(["interrupt", "holdback"]), whens)
def test_whatever_comes_all_that_starts_ends_once(script: list[Any], mode: str, judged: list[bool]) -> None:
    rules = [{"name": "no_again", "deny": ["again"]}]
    talk = GuardedTalk(slow=True, output_guardrails=rules, guardrail=mode, guardrail_debounce_chars=3)
    for act, now in zip(script, cycle(judged), strict=False):
        perform(talk, act)
        if now:
            talk.judge()
        assert len(talk.gate._answers) <= 40
    talk.close()
    talk.judge()
    assert [event.METHOD for event in talk.told].index("realtime.closed") == len(talk.told) - 1
    assert_pairs(talk.told)
