"""What a transcript expects of the daemon, and the order of every play."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnirt.tapes.lines import read_tape
from omnirt.tapes.patterns import Json
from tests.support.expectations import Expected, Mismatch, Order
from tests.support.recording import Generaliser
from tests.support.transcripts import modes


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
    answer = '{"dir": "host", "msg": {"jsonrpc": "2.0", "id": "omnirt-1", "result": {}}}'
    path.write_text(f'{{"tape": 1}}\n{answer}\n')
    assert modes(read_tape(path)) == ("interactive", "bytes")
    path.write_text('{"tape": 1}\n{"dir": "host", "raw": "{"}\n')
    assert modes(read_tape(path)) == ("interactive", "bytes", "whole")
