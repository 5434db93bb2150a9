"""Whatever a client sends, the core answers it with events, and the session goes on."""

from __future__ import annotations

import base64
import json

from hypothesis import given, settings, strategies as st

from omnirt.loopback.wire import Envelope
from tests.unit.loopback.helpers import Talk, recording

_NAMES = st.sampled_from(
    [
        *("type", "event_id", "session", "audio", "item", "item_id", "content", "content_index", "role"),
        *("response", "previous_item_id", "audio_end_ms", "call_id", "output", "name", "text", "input"),
        *("turn_detection", "format", "id", "output_modalities", "response_id", "conversation", "metadata"),
    ]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["", "item_1", "root", "user", "message", "input_text", "realtime", "auto", "none", "x"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=8,
)
_EVENTS = st.tuples(st.sampled_from(Envelope.names), st.dictionaries(_NAMES, _VALUES, max_size=5)).map(
    lambda pair: json.dumps({**pair[1], "type": pair[0]})
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_EVENTS | st.text(max_size=20) | st.binary(max_size=20), max_size=12))
def test_any_sequence_of_events_is_survived(messages: list[str | bytes]) -> None:
    talk = Talk()
    for message in messages:
        talk.raw(message)
    talk.finish()
    talk.update(output_modalities=["text"])
    assert talk.answer("Hello") != ""


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=3000), st.integers(0, 4)), max_size=20))
def test_any_audio_in_any_pieces_is_survived(pieces: list[tuple[bytes, int]]) -> None:
    talk = Talk()
    spoken = recording("stop")
    for number, (noise, what) in enumerate(pieces):
        data = spoken[number * 4801 : number * 4801 + 4801] if what == 0 else noise
        talk.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())
        if what == 1:
            talk.send("input_audio_buffer.commit")
        elif what == 2:
            talk.detect(None if number % 2 else {"type": "semantic_vad"})
    talk.finish()


def test_deep_nesting_is_an_error() -> None:
    talk = Talk()
    talk.raw("[" * 100_000)
    talk.raw('{"type":"session.update","session":' + '{"a":' * 100_000)
    assert [event["type"] for event in talk.events[1:]] == ["error", "error"]
