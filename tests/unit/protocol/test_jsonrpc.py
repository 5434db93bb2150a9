"""Envelopes: depth, answers, numbering."""

from __future__ import annotations

import json

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol import jsonrpc
from omnirt.protocol.jsonrpc import Batch, Invalid, Request, Response
from omnirt.protocol.pending import MAX_PENDING_CALLS, CallFailed, PendingCalls, outcome


def nested(depth: int) -> bytes:
    return b'{"id":1,"method":"m","params":' + b'{"a":' * (depth - 1) + b"1" + b"}" * (depth - 1) + b"}"


def test_depth_is_counted_exactly_and_brackets_in_strings_do_not_count() -> None:
    assert isinstance(jsonrpc.parse(nested(jsonrpc.MAX_NESTING)), Request)
    assert isinstance(jsonrpc.parse(nested(jsonrpc.MAX_NESTING + 1)), Invalid)
    text = json.dumps({"id": 1, "method": "m", "params": {"a": '[{"\\' * 5000}}).encode()
    assert isinstance(jsonrpc.parse(text), Request)
    wide = json.dumps({"id": 1, "method": "m", "params": {"a": [[]] * 5000}}).encode()
    assert isinstance(jsonrpc.parse(wide), Request)


def test_the_last_of_two_equal_members_counts() -> None:
    request = jsonrpc.parse(b'{"id":1,"method":"a","id":2,"method":"b"}')
    assert request == Request("b", None, b"2")


def test_an_answer_may_carry_null_for_what_it_is_not() -> None:
    assert jsonrpc.parse(b'{"id":"x","result":{},"error":null}') == Response(b'"x"', b"{}", None)
    assert jsonrpc.parse(b'{"id":"x","result":null,"error":{"code":1}}') == Response(
        b'"x"', b"null", b'{"code":1}'
    )


def test_one_broken_byte_spoils_a_whole_batch_and_one_bad_element_does_not() -> None:
    assert isinstance(jsonrpc.parse(b'[{"id":1,"method":"a"},{"id":}]'), Invalid)
    batch = jsonrpc.parse(b'[{"id":1,"method":"a"},7]')
    assert isinstance(batch, Batch)
    assert isinstance(batch.elements[0], Request)
    assert isinstance(batch.elements[1], Invalid)


def test_an_event_is_given_its_number_and_time_as_first_members() -> None:
    line = jsonrpc.encode_numbered("realtime.closed", 7, 120, b'"sessionId":"s"}')
    assert json.loads(line)["params"] == {"seq": 7, "atMs": 120, "sessionId": "s"}


def test_an_error_says_its_kind_and_facts() -> None:
    line = jsonrpc.encode_error(b"null", OmnirtError("overloaded", "Full.", queuedMs=5))
    assert json.loads(line)["error"] == {
        "code": -32001,
        "message": "Full.",
        "data": {"kind": "overloaded", "retryable": True, "queuedMs": 5},
    }


def test_calls_are_numbered_and_answered_once() -> None:
    calls: PendingCalls[str] = PendingCalls()
    assert [calls.open("a"), calls.open("b")] == [b'"omnirt-1"', b'"omnirt-2"']
    assert calls.take(b'"omnirt-\\u0032"') == "b"
    assert calls.take(b'"omnirt-2"') is None
    assert calls.close_all() == ["a"]
    with pytest.raises(CallFailed) as failed:
        calls.open("c")
    assert failed.value.reason == "host_gone"


def test_calls_are_bounded() -> None:
    calls: PendingCalls[int] = PendingCalls()
    for number in range(MAX_PENDING_CALLS):
        calls.open(number)
    with pytest.raises(CallFailed) as failed:
        calls.open(0)
    assert failed.value.reason == "overloaded"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response(b"1", None, b'{"code":-32601,"message":"Unknown"}'), "error"),
        (Response(b"1", b"{}", b'{"code":"odd"}'), "error"),
        (Response(b"1", None, b'"text"'), "error"),
        (Response(b"1", None, None), "invalid"),
    ],
)
def test_an_answer_that_is_no_result_is_a_failure(answer: Response, reason: str) -> None:
    failed = outcome(answer)
    assert isinstance(failed, CallFailed)
    assert failed.reason == reason
    assert outcome(Response(b"1", b'{"output":1}', None)) == b'{"output":1}'
