"""A chunk of audio read in one pass is what the two passes make of it, or is left to them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings, strategies as st

from omnirt.protocol import jsonrpc
from omnirt.protocol.methods import SessionSendAudioParams
from omnirt.protocol.validation import decode_params
from omnirt.rpc.chunks import parse_chunk

SOUND = b"ab" * 1200
AUDIO = base64.b64encode(SOUND).decode()
PARAMS = {"sessionId": "s", "audio": AUDIO}


def line(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": "session.sendAudio", "params": PARAMS, **members}).encode()


@pytest.mark.parametrize("request_id", [None, 0, -7, 2**60, "", "a"])
def test_a_chunk_is_read_with_its_params(request_id: object) -> None:
    request = parse_chunk(line(id=request_id))
    assert request is not None
    assert request.id == json.dumps(request_id).encode()
    assert request.decoded == SessionSendAudioParams(session_id="s", audio=SOUND)


@pytest.mark.parametrize("audio", [b"", b"a", b"ab" * 50_000])
def test_it_is_compact_or_as_json_is_written_by_python(audio: bytes) -> None:
    loose = line(params={"sessionId": "s", "audio": base64.b64encode(audio).decode(), "commit": True})
    for data in (loose, json.dumps(json.loads(loose), separators=(",", ":")).encode()):
        request = parse_chunk(data)
        assert request is not None
        assert request.decoded == SessionSendAudioParams(session_id="s", audio=audio, commit=True)


def test_a_chunk_without_an_id_is_a_notification() -> None:
    request = parse_chunk(line())
    assert request is not None
    assert request.id is None


@pytest.mark.parametrize(
    "data",
    [
        line(method="session.sendText"),
        line(jsonrpc="1.0"),
        line(jsonrpc=None),
        line(id=1.5),
        line(id=[1]),
        line(params=None),
        line(params=[]),
        line(params={**PARAMS, "recrod": 1}),
        line(params={**PARAMS, "audio": "%%%"}),
        line(params={"sessionId": "s"}),
        line(params={"sessionId": "s", "audio": 1}),
        line(params={"sessionId": "s", "audio": None}),
        line(params={"sessionId": "s", "x": {"audio": AUDIO}}),
        line(x={"audio": AUDIO}, params=PARAMS),
        line(params={**PARAMS, "x": {"audio": ""}}),
        line(params={**PARAMS, "audio": ""}, x={"audio": AUDIO}).replace(b'"audio": ""', b'"audio" : ""'),
        line(params={**PARAMS, "audio": ""}, x={"audio": AUDIO}).replace(
            b'"audio": ""', b'"\\u0061udio": ""'
        ),
        line(params={**PARAMS, "sessionId": "audio"}),
        line(params={**PARAMS, "sessionId": "\\"}),
        line(id="session.sendAudio").replace(b'"method": "session.sendAudio", ', b""),
        line(x="session.sendAudio").replace(b'"method": "session.sendAudio", ', b""),
        line(Method="session.sendAudio").replace(b'"method": "session.sendAudio", ', b""),
        line().replace(b'"audio": "', b'"audio": "","audio": "'),
        line().replace(b'"audio": "', b'"audio":  "'),
        line().replace(b'"audio": "', b'"audio": "\\/A'),
        line().replace(b'"audio": "', b'"audio": "\\"'),
        line().replace(b'"audio": "', b'"audio" : "'),
        line(extra="é").decode("unicode_escape").encode("latin-1"),
        line(extra=json.loads("[" * 300 + "]" * 300)),
        b"[" + line() + b"]",
        line()[:-1],
        line() + b"x",
    ],
)
def test_whatever_else_it_is_it_is_left_to_the_general_way(data: bytes) -> None:
    assert parse_chunk(data) is None


TEXTS = st.text() | st.sampled_from(["", "QUJD", "QQ==", '"audio":"QQ=="', "\\/"]) | st.none()
NAMES = st.sampled_from(["audio", "sessionId", "commit", "x"])


@given(
    st.dictionaries(st.sampled_from(["id", "jsonrpc", "params", "method", "x"]), TEXTS),
    st.dictionaries(NAMES, TEXTS | st.booleans() | st.dictionaries(NAMES, TEXTS)),
    st.sampled_from([(", ", ": "), (",", ":")]),
)
def test_both_ways_agree(
    members: dict[str, object], params: dict[str, object], separators: tuple[str, str]
) -> None:
    message = {**json.loads(line(**members))}
    if isinstance(message["params"], dict):
        message["params"] = {**message["params"], **params}
    data = json.dumps(message, separators=separators).encode()
    check_agreement(data)


SHORT = b'{"jsonrpc":"2.0","id":1,"method":"session.sendAudio","params":{"sessionId":"s","audio":"QUJD"}}'
PIECES = [
    *(b"", b'"', b"\\", b"{", b"}", b":", b",", b" ", b"QQ==", b'"x":{', b'"audio":""', b'"audio" : "",'),
    *(b'"audio":"QQ==",', b'"\\u0061udio":"QQ==",', b'"session.sendAudio"', b'"method":1,', b'"id":null,'),
]


LONG = SHORT.replace(b"QUJD", b"QUJD" * 1000)
EDITS = st.tuples(st.integers(-10, len(SHORT) - 10), st.integers(0, 30), st.sampled_from(PIECES))


@settings(max_examples=500)
@given(st.sampled_from([SHORT, LONG]), st.lists(EDITS, min_size=1, max_size=4))
def test_both_ways_agree_on_what_was_changed_anywhere(
    data: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    for place, gone, piece in edits:
        at = place if place >= 0 else len(data) + place
        data = data[:at] + piece + data[at + gone :]
    check_agreement(data)


def check_agreement(data: bytes) -> None:
    request = parse_chunk(data)
    if request is not None:
        slow = jsonrpc.parse(data)
        assert isinstance(slow, jsonrpc.Request), data
        assert (slow.method, slow.id) == (request.method, request.id), data
        assert decode_params(SessionSendAudioParams, slow.params) == request.decoded, data
