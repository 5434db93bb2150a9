"""Whatever bytes a message has, it parses to something that can be answered, and never raises."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, strategies as st

from omnirt.protocol import jsonrpc
from omnirt.protocol.jsonrpc import Batch, Invalid, Request, Response

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
_members = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | _json,
        "id": _json,
        "method": st.sampled_from(["ping", "session.start", "$/x"]) | _json,
        "params": _json,
        "result": _json,
        "error": _json,
        "other": _json,
    },
)
_texts = (_members | st.lists(_members, max_size=4) | _json).map(lambda v: json.dumps(v).encode())


def is_sound(message: object) -> bool:
    match message:
        case Request(method, params, request_id):
            return isinstance(method, str) and is_json(params) and is_json(request_id)
        case Response(request_id, result, error):
            return is_json(request_id) and is_json(result) and is_json(error)
        case Invalid(error, request_id):
            return error.kind in ("parse_error", "invalid_request") and is_json(request_id)
        case Batch(elements):
            return bool(elements) and all(is_sound(element) for element in elements)
    return False


def is_json(raw: bytes | None) -> bool:
    if raw is not None:
        json.loads(raw)
    return True


@given(_texts | st.binary(max_size=60) | st.text().map(lambda text: text.encode()))
@example(b"[" * 5000)
@example(b'{"id":"\\ud800"}')
def test_anything_parses_or_is_a_typed_problem(data: bytes) -> None:
    assert is_sound(jsonrpc.parse(data))


@given(_texts, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_damage_is_a_typed_problem_at_worst(data: bytes, place: int, damage: bytes) -> None:
    assert is_sound(jsonrpc.parse(data[: place % (len(data) + 1)] + damage + data[place % (len(data) + 1) :]))


_ids = st.none() | st.integers() | st.text()


@given(_ids, st.text(), st.dictionaries(st.text(), _json), st.booleans())
def test_a_request_keeps_its_method_its_params_and_its_id(
    request_id: Any, method: str, params: dict[str, Any], pretty: bool
) -> None:
    value = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    try:
        data = json.dumps(value, allow_nan=False, indent=2 if pretty else None).encode()
    except ValueError:
        return  # NaN is no JSON
    request = jsonrpc.parse(data)
    surrogates = any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False))
    if surrogates:
        assert isinstance(request, Invalid)
        return
    assert isinstance(request, Request)
    assert request.method == method
    assert json.loads(request.params or b"") == params
    assert json.loads(request.id or b"") == request_id


@given(_ids, _ids)
def test_ids_are_the_same_when_they_are_the_same_json_value(one: Any, other: Any) -> None:
    keys = [jsonrpc.id_key(json.dumps(value).encode()) for value in (one, other)]
    assert (keys[0] == keys[1]) == (one == other and type(one) is type(other))


@given(_ids.filter(lambda i: not isinstance(i, str) or i.isprintable()), _json)
def test_replies_are_one_line_and_carry_the_id(request_id: Any, value: Any) -> None:
    raw_id = json.dumps(request_id).encode()
    reply = jsonrpc.encode_result(raw_id, jsonrpc.encode({"value": value}))
    assert b"\n" not in reply
    assert json.loads(reply)["id"] == request_id


@given(st.text(alphabet=st.characters(codec=None, categories=["Cs", "L"])), st.integers(1, 5))
def test_half_characters_in_what_is_sent_are_replaced(text: str, depth: int) -> None:
    value: object = text
    for _ in range(depth):
        value = {"in": [value, text]}
    json.loads(jsonrpc.encode(value).decode())
