"""Sentences as a model writes them, piece by piece."""

from __future__ import annotations

import pytest

from omnirt.loopback.local.sentences import Sentences, sentences, speakable

TEXTS = {
    "It is sunny in Lisbon. Take a hat with you!": ["It is sunny in Lisbon.", "Take a hat with you!"],
    "Ask Dr. Smith about it. He knows J. K. Rowling.": ["Ask Dr. Smith about it.", "He knows J. K. Rowling."],
    "It costs 3.50 euros today. That is cheap, e.g. for fish.": [
        "It costs 3.50 euros today.",
        "That is cheap, e.g. for fish.",
    ],
    "Oh! Well. That is a surprise to me.": ["Oh! Well. That is a surprise to me."],
    "**Two things**:\n- a hat\n- `sunglasses`, see [here](http://x.test/y)\n": [
        "Two things:",
        "a hat sunglasses, see here",
    ],
    "No end to it": ["No end to it"],
    "  \n ": [],
    "***": [],
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_text_is_cut_the_same_however_it_comes(text: str, size: int) -> None:
    cutter = Sentences()
    found = [s for at in range(0, len(text), size) for s in cutter.feed(text[at : at + size])]
    assert [*found, *cutter.flush()] == TEXTS[text]


def test_the_first_sentence_is_there_before_the_second_has_ended() -> None:
    cutter = Sentences()
    assert cutter.feed("It is sunny in Lisbon. Ta") == ["It is sunny in Lisbon."]
    assert cutter.flush() == ["Ta"]


def test_a_text_without_an_end_is_spoken_in_pieces() -> None:
    pieces = sentences("and so on " * 100)
    assert max(map(len, pieces)) <= 400
    assert " ".join(pieces) == " ".join(["and so on"] * 100)


def test_what_nobody_says_aloud_is_left_out() -> None:
    assert speakable("# A *title* with `code` and a [link](http://x.test)") == "A title with code and a link"
