"""Params: what is absent, what is wrong, and what people are told."""

from __future__ import annotations

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import SessionSendMessageParams, SessionStartParams
from omnirt.protocol.validation import decode_params


@pytest.mark.parametrize("member", ['"limits":null', '"devices":null'])
def test_an_optional_member_that_is_null_is_absent(member: str) -> None:
    params = decode_params(SessionStartParams, b'{"agent":"a",%b}' % member.encode())
    assert params == SessionStartParams(agent="a")


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ('"record":"bth"', "$.record"),
        ('"devices":1', "$.devices"),
        ('"devices":{"inptu":"default"}', "$.devices.inptu"),
        ('"devices":{"input":""}', "$.devices.input"),
        ('"outputAudio":{"sampleRate":44100}', "$.outputAudio.sampleRate"),
    ],
)
def test_a_value_that_never_was_one_is_named(members: str, path: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        decode_params(SessionStartParams, b'{"agent":"a",%b}' % members.encode())
    assert caught.value.facts["path"] == path


def test_a_typo_shows_beside_what_asks_for_nothing() -> None:
    with pytest.raises(OmnirtError) as caught:
        decode_params(SessionStartParams, b'{"agent":"a","resume":null,"recrod":"none"}')
    assert caught.value.facts["path"] == "$.recrod"


@pytest.mark.parametrize("session_id", ["", ".", "..", "a b", "a\\n", "ä", "x" * 129])
def test_a_bad_session_id_is_told_in_words(session_id: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        decode_params(SessionStartParams, b'{"agent":"a","sessionId":"%b"}' % session_id.encode())
    assert "A session id is 1 to 128" in caught.value.message
    assert "regex" not in caught.value.message


def test_a_bad_image_is_told_in_words() -> None:
    raw = b'{"sessionId":"s","content":[{"type":"input_image","imageUrl":"file:///etc/passwd"}]}'
    with pytest.raises(OmnirtError) as caught:
        decode_params(SessionSendMessageParams, raw)
    assert "data:image/" in caught.value.message
