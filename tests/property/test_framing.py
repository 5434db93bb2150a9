"""Whatever arrives, in whatever pieces: the same messages and problems come out, and never anything else."""

from __future__ import annotations

import itertools

from hypothesis import example, given, strategies as st

from omnirt.protocol.framing import Framed, FrameDecoder, Framing, FramingChoice, Problem, encode_frame

LIMIT = 48

_pieces = st.sampled_from(
    [
        b"{}",
        b'{"a":1}',
        b"[1]",
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"\xef\xbb\xbf",
        b"C",
        b"c",
        b"x" * 47,
        b"x" * 48,
        b"x" * 49,
        b"x" * 300,
        b"Content-Length: 2\r\n\r\n",
        b"content-length:7\n\n",
        b"Content-Length: 50\r\n\r\n",
        b"Content-Length: 48\r\n\r\n",
        b"Content-Length: abc\r\n\r\n",
        b"Content-Length:",
        b"Content-Type: json\r\n",
        b"Content-Length: 0\r\n\r\n",
        b"Content-Length: 9999999999999999\r\n\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b":",
        b"}",
    ]
)
_streams = st.lists(_pieces | st.binary(max_size=8), max_size=20).map(b"".join)
_choices = st.sampled_from(("auto", "lines", "headers"))


def decode(chunks: list[bytes], choice: FramingChoice) -> list[Framed]:
    decoder = FrameDecoder(choice, LIMIT)
    out: list[Framed] = []
    for chunk in chunks:
        out += decoder.feed(chunk)
    return out + decoder.eof()


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(_streams, _choices, st.lists(st.integers(0, 400), max_size=8))
@example(b"\n\xef\xbb\xbf{", "auto", [])
@example(b"Content-Length: x\r\n\r\n{}Content-Length: 2\r\n\r\n[]", "auto", [])
def test_pieces_make_no_difference(data: bytes, choice: FramingChoice, cuts: list[int]) -> None:
    whole = decode([data], choice)
    assert decode([bytes([byte]) for byte in data], choice) == whole
    assert decode(split(data, cuts), choice) == whole


@given(_streams, _choices)
def test_what_comes_out_is_a_message_within_the_limit_or_a_problem(
    data: bytes, choice: FramingChoice
) -> None:
    for framed in decode([data], choice):
        assert isinstance(framed, Problem) or (isinstance(framed, bytes) and len(framed) <= LIMIT)


@given(_streams, _choices)
def test_memory_stays_below_the_limit_and_one_read(data: bytes, choice: FramingChoice) -> None:
    decoder = FrameDecoder(choice, LIMIT)
    for byte in data:
        decoder.feed(bytes([byte]))
        held = decoder.held_bytes
        assert held <= max(LIMIT + 2, 16 * 1024)


_messages = st.lists(
    st.binary(min_size=1, max_size=LIMIT).map(
        lambda b: b"{" + b.replace(b"\n", b" ").replace(b"\r", b" ") + b"}"
    ),
    min_size=1,
).map(lambda ms: [m[:LIMIT] for m in ms])


@given(_messages, st.sampled_from(("lines", "headers")))
def test_what_was_framed_is_read_back(messages: list[bytes], framing: Framing) -> None:
    stream = b"".join(encode_frame(framing, m) for m in messages)
    assert decode([stream], "auto") == messages


@given(_streams, _choices)
def test_after_anything_a_good_header_frame_is_read(data: bytes, choice: FramingChoice) -> None:
    """A broken stretch costs messages, never the rest of the stream."""
    data = b"Content-Length: nonsense\r\n\r\n" + data.replace(b"ontent", b"0ntent")
    good = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert decode([data + b"\r\n" + encode_frame("headers", good)], "headers")[-1:] == [good]
