"""The little language of the transcripts: patterns, expectations, and the order of every play."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.expectations import Expected, Mismatch, Order
from tests.support.patterns import ROOT, Json, Names, fill, fits, mismatch, recorded_audio, refers_back
from tests.support.recording import Generaliser
from tests.support.transcripts import load

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
    assert fill({"id": ["<str:x>"]}, names) == {"id": ["1"]}


def test_what_did_not_fit_names_nothing() -> None:
    names: Names = {}
    assert not fits({"a": "<str:x>", "b": 1}, {"a": "1", "b": 2}, names)
    assert names == {}


def test_a_host_line_may_hold_recorded_audio() -> None:
    audio = recorded_audio("examples/audio/weather.wav@20")
    assert len(audio) == 1280
    assert fill("<audio:examples/audio/weather.wav@20>", {}) == audio
    assert not refers_back("<audio:examples/audio/weather.wav@20>")
    assert refers_back({"a": ["<str:x>"]})


def note(seq: int, method: str = "realtime.state", **more: Json) -> dict[str, Json]:
    return {
        "jsonrpc": "2.0",
        "method": method,
        "params": {"sessionId": "s", "runId": "r", "seq": seq, "atMs": 0, **more},
    }


def test_a_group_takes_its_messages_in_any_order_and_repeated_ones_at_will() -> None:
    a, b, c = note(1, "a"), note(2, "b"), note(3, "c")
    line = Expected(1, [a, {"<some>": b}, {"<maybe>": note(9, "z")}])
    satisfied = []
    for message in (b, a, b):
        assert line.take(message, {})
        satisfied.append(line.satisfied)
    assert satisfied == [False, True, True]
    assert not line.take(c, {})
    assert line.done


def test_a_message_that_does_not_fit_is_a_mismatch_with_the_line_and_the_place() -> None:
    line = Expected(7, [note(1, state="listening")])
    with pytest.raises(Mismatch, match=r"line 7(.|\n)*\$\.params\.state"):
        line.take(note(1, state="speaking"), {})


START: dict[str, Json] = {"id": 1, "method": "session.start", "params": {"sessionId": "s"}}
STOP: dict[str, Json] = {"id": 2, "method": "session.stop", "params": {"sessionId": "s"}}
STARTED: dict[str, Json] = {"jsonrpc": "2.0", "id": 1, "result": {}}
STOPPED: dict[str, Json] = {"jsonrpc": "2.0", "id": 2, "result": {}}
ERROR: dict[str, Json] = {"jsonrpc": "2.0", "id": 1, "error": {}}


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([STARTED, note(1), note(2, "realtime.closed"), STOPPED], None),
        ([ERROR, {**ERROR, "id": 2}], None),
        ([note(1)], "before the reply to session.start"),
        ([STARTED, STARTED], "more often"),
        ([STARTED, note(1), note(3)], "seq 3 after 1"),
        ([STARTED, note(2)], "seq 2 after 0"),
        ([STARTED, note(1), STOPPED], "before realtime.closed"),
        ([STARTED, note(1, "realtime.closed"), note(2)], "after realtime.closed"),
        ([STARTED, note(1, "realtime.closed")], "never answered"),
        ([STARTED, {**STOPPED, "id": 2}, note(1)], "never closed"),
        ([{"id": 1, "result": {}}], "no JSON-RPC 2.0"),
        ([{"jsonrpc": "2.0", "id": 1, "result": []}], "no object"),
    ],
)
def test_what_the_protocol_promises_is_checked_on_every_play(
    messages: list[Json], problem: str | None
) -> None:
    def play() -> None:
        order = Order()
        order.sent(START)
        order.sent(STOP)
        for message in messages:
            order.received(message)
        order.check_end()

    if problem is None:
        play()
        return
    with pytest.raises(Mismatch, match=problem):
        play()


def test_recording_gives_the_same_name_to_the_same_id() -> None:
    generaliser = Generaliser()
    first = generaliser.pattern(note(5, item={"itemId": "i-77", "atMs": 3}, itemId="i-77", delta="Hi"))
    assert isinstance(first, dict)
    assert first["params"] == {
        "sessionId": "s",
        "runId": "<str:run1>",
        "seq": "<int>",
        "atMs": "<int>",
        "item": {"itemId": "<str:item1>", "atMs": "<int>"},
        "itemId": "<str:item1>",
        "delta": "<str>",
    }


def test_a_transcript_whose_host_answers_calls_is_not_played_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"comment": "x"}\n{"dir": "host", "msg": {"jsonrpc": "2.0", "id": "omnirt-1", "result": {}}}\n'
    )
    assert load(path).modes == ("interactive", "bytes")
    path.write_text('{"dir": "host", "raw": "{"}\n{"exit": 1}\n')
    assert load(path).modes == ("interactive", "bytes", "whole")
    assert load(path).exit_code == 1
    path.write_text('{"dir": "nowhere"}\n')
    with pytest.raises(ValueError, match="no line"):
        load(path)
