"""Params: what is absent, what is not yet, and what people are told."""

from __future__ import annotations

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import SessionSendMessageParams, SessionStartParams
from omnirt.protocol.validation import decode_params


@pytest.mark.parametrize("member", ['"limits":null', '"devices":null', '"devices":{}'])
def test_a_member_of_a_later_version_that_asks_for_nothing_is_taken(member: str) -> None:
    params = decode_params(SessionStartParams, b'{"agent":"a",%b}' % member.encode())
    assert params == SessionStartParams(agent="a")


@pytest.mark.parametrize("member", ['"devices":1', '"devices":{"input":"default"}'])
def test_one_that_asks_for_something_is_refused_as_not_yet(member: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        decode_params(SessionStartParams, b'{"agent":"a","limits":null,%b}' % member.encode())
    assert caught.value.kind == "invalid_params"
    assert "not supported yet" in caught.value.message
    assert caught.value.facts["path"] == f"$.{member.split(chr(34))[1]}"


def test_a_value_that_never_was_one_is_not_called_not_yet() -> None:
    with pytest.raises(OmnirtError) as caught:
        decode_params(SessionStartParams, b'{"agent":"a","record":"bth"}')
    assert "not supported yet" not in caught.value.message
    assert caught.value.facts["path"] == "$.record"


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
