"""Wildcards, literals and references to audio: the little language of tapes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from omnirt.tapes.patterns import (
    Json,
    Names,
    TapeError,
    fill,
    fits,
    literal,
    mismatch,
    refers_back,
    resolve,
)

ROOT = Path(__file__).parents[3]
WEATHER = ROOT / "examples" / "audio" / "weather.wav"


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (1, 1, True),
        ("x", "x", "y"),
        (None, None, 0),
        ("<any>", {"a": [None]}, None),
        ("<int>", 2**53 + 1, 1.5),
        ("<int>", 0, False),
        ("<str>", "x", ""),
        ("<uuid>", "0b1f0a52-5d0a-4f5e-8a54-6c1f3c1d2e3f", "0B1F"),
        ("<base64>", "AAAA", "AAA"),
        ("<time>", "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05"),
        ("<path>", "/", "nowhere"),
        ("<wav>", str(WEATHER), "/"),
        ({"a": "<int>"}, {"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "<rest>": True}, {"a": 1, "b": 2}, {"b": 2}),
        ([1, "<rest>"], [1, 2, 3], [2]),
        ([1, 2], [1, 2], [1]),
        (["<rest>"], [], {}),
    ],
)
def test_a_pattern_tells_good_from_bad(pattern: Json, good: Json, bad: Json) -> None:
    assert mismatch(pattern, good, {}) is None
    assert bad is None or mismatch(pattern, bad, {}) is not None


def test_a_mismatch_says_where() -> None:
    assert mismatch({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, {}) == "$.a[0].b: expected 1, got 2"


def test_a_named_wildcard_means_the_same_value_everywhere() -> None:
    names: Names = {}
    assert fits({"a": "<str:x>", "b": "<str:x>"}, {"a": "1", "b": "1"}, names)
    assert not fits("<str:x>", "2", names)
    assert fill({"id": ["<str:x>"]}, names, ROOT) == {"id": ["1"]}


def test_what_did_not_fit_names_nothing() -> None:
    names: Names = {}
    assert not fits({"a": "<str:x>", "b": 1}, {"a": "1", "b": 2}, names)
    assert names == {}


def test_a_line_may_name_recorded_audio() -> None:
    audio = fill("<audio:examples/audio/weather.wav@20>", {}, ROOT)
    assert len(str(audio)) == 1280
    assert not refers_back("<audio:examples/audio/weather.wav@20>")
    assert refers_back({"a": ["<str:x>"]})


def test_audio_in_a_file_beside_the_tape_comes_back_exactly(tmp_path: Path) -> None:
    (tmp_path / "t.audio").write_bytes(b"0123456789")
    expected = base64.b64encode(b"3456").decode()
    assert resolve({"audio": "<audio:t.audio#3+4>"}, tmp_path) == {"audio": expected}
    with pytest.raises(ValueError, match="ends before"):
        resolve("<audio:t.audio#8+4>", tmp_path)
    (tmp_path / "tapes").mkdir()
    for elsewhere in ("../t.audio", str(tmp_path / "t.audio")):
        with pytest.raises(ValueError, match="beside the tape"):
            resolve(f"<audio:{elsewhere}#3+4>", tmp_path / "tapes")


def test_audio_that_was_not_kept_is_silence_of_its_length_and_fits_any() -> None:
    assert fill("<audio:4>", {}, ROOT) == base64.b64encode(bytes(4)).decode()
    assert mismatch(resolve("<audio:4>", ROOT), "AAAA", {}) is None
    assert mismatch(resolve("<audio:4>", ROOT), "no base64", {}) is not None


@pytest.mark.parametrize(
    "text", ["<any>", "<<str:x>", "<rest>", "<some>", "<audio:1>", "<b>", "<", "a <any> b", ""]
)
def test_what_somebody_really_said_is_no_wildcard(text: str) -> None:
    assert fill(literal(text), {}, ROOT) == text
    assert mismatch(literal(text), text, {}) is None
    assert mismatch(literal(text), f"{text}!", {}) is not None
    assert mismatch({literal(text): 1}, {text: 1}, {}) is None


def test_a_masked_secret_fits_any_text_in_its_place() -> None:
    assert mismatch("Bearer ***", "Bearer sk-123", {}) is None
    assert mismatch("Bearer ***", "Basic sk-123", {}) is not None
    assert mismatch("***", 1, {}) is None
    assert mismatch("***", True, {}) is not None


@pytest.mark.parametrize("left_open", ["<int>", "<str:x>", ["<any>"], {"a": 1, "<rest>": True}])
def test_what_is_left_open_cannot_be_sent(left_open: Json) -> None:
    with pytest.raises(TapeError, match="nothing says"):
        fill(left_open, {}, ROOT)
