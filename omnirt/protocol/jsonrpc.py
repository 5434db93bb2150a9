"""JSON-RPC 2.0 envelopes: bytes to requests, responses and batches, and back.

Sans-IO. `parse` never raises: what is wrong with a message is one of the things it may be. Ids and params
stay the bytes that came, so that an id goes back as it was (0, "", 2^53+1, null) and params are decoded once,
by their method.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from omnirt.errors import OmnirtError

MAX_BATCH = 1000
MAX_NESTING = 200
"""Deeper JSON is refused: nothing here needs twenty levels, and what walks a value by recursion must not run
out of stack, at a depth that differs between versions of Python."""
NULL = b"null"

_WHITESPACE = b" \t\r\n"
is_id = re.compile(rb'"|-?[0-9]+\Z|null\Z').match
"""Whether raw JSON may be an id."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOT_UNICODE = re.compile("[\ud800-\udfff]")


class Request(NamedTuple):
    """A request, or a notification when `id` is None. `id` and `params` are raw JSON.

    Of a chunk of audio the params are `decoded` instead (`rpc.chunks`).
    """

    method: str
    params: bytes | None
    id: bytes | None
    decoded: Struct | None = None


class Response(NamedTuple):
    """The host's answer to a call: raw JSON of its result, or of its error."""

    id: bytes
    result: bytes | None
    error: bytes | None


class Invalid(NamedTuple):
    """What is neither; `id` (raw JSON) is the one to answer with."""

    error: OmnirtError
    id: bytes = NULL


Element = Request | Response | Invalid


class Batch(NamedTuple):
    """Several at once, in the order sent."""

    elements: list[Element]


Message = Element | Batch


class _Envelope(Struct):
    jsonrpc: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    method: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_array = msgspec.json.Decoder(list[Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode
_check_json = msgspec.json.Decoder(Raw).decode
_encode = msgspec.json.Encoder().encode


def parse(data: bytes) -> Message:
    """One message from the host, whatever it is."""
    try:
        if not data.isascii():
            data.decode()  # the decoder does not look into strings that it skips
        match data.lstrip(_WHITESPACE)[:1]:
            case b"{":
                message: Message = _element(data)
            case b"[":
                message = _batch(_decode_array(data))
            case _:
                _check_json(data)
                message = _invalid("A message is an object or an array.")
    except UnicodeDecodeError:
        return _broken("The message is not UTF-8.")
    except RecursionError:
        return _broken("The JSON is nested too deeply.")
    except msgspec.DecodeError as error:
        return _broken(f"{error}.")
    return _broken("The JSON is nested too deeply.") if too_deep(data) else message


def id_key(raw: bytes) -> object:
    """What ids are compared by: `"a"` and `"\\u0061"` are one id, 1 and "1" are two."""
    return _decode_string(raw) if raw[:1] == b'"' else raw


def encode(value: object) -> bytes:
    """`value` as compact JSON on one line; half characters from careless JSON elsewhere are replaced.

    Raises:
        TypeError: `value` holds something that has no JSON form.
    """
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _encode(_mended(msgspec.to_builtins(value)))


def encode_result(request_id: bytes, result: bytes) -> bytes:
    """The reply to a request that went well."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (request_id, result)


def encode_error(request_id: bytes, error: OmnirtError) -> bytes:
    """The reply to a request that failed."""
    body = encode({"code": error.code, "message": error.message, "data": error.data})
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (request_id, body)


def encode_request(request_id: bytes, method: str, params: bytes) -> bytes:
    """A call of the daemon's."""
    return b'{"jsonrpc":"2.0","id":%b,"method":"%b","params":%b}' % (request_id, method.encode(), params)


def encode_notification(method: str, params: bytes) -> bytes:
    """A notification."""
    return b'{"jsonrpc":"2.0","method":"%b","params":%b}' % (method.encode(), params)


def encode_numbered(method: str, seq: int, at_ms: int, members: bytes) -> bytes:
    """A notification whose params are `seq`, `atMs` and `members`: a JSON object behind its first bracket."""
    head = b'{"jsonrpc":"2.0","method":"%b","params":{"seq":%d,"atMs":%d,'
    return b"%b%b}" % (head % (method.encode(), seq, at_ms), members)


def _batch(elements: list[Raw]) -> Batch | Invalid:
    if not elements:
        return _invalid("A batch needs at least one element.")
    if len(elements) > MAX_BATCH:
        return _invalid(f"A batch has at most {MAX_BATCH} elements.")
    return Batch([_element(bytes(raw)) for raw in elements])


def _element(data: bytes) -> Element:
    if data.lstrip(_WHITESPACE)[:1] != b"{":
        return _invalid("A request is an object.")
    envelope = _decode_envelope(data)
    raw_id = None if envelope.id is UNSET else bytes(envelope.id)
    if raw_id is not None and not is_id(raw_id):
        return _invalid("An id is a string, an integer or null.")
    name = b"" if envelope.method is UNSET else bytes(envelope.method)
    answers = envelope.result is not UNSET or envelope.error is not UNSET
    if answers and raw_id is not None and name in (b"", NULL):
        return Response(raw_id, _present(envelope.result), _present(envelope.error, null=False))
    if envelope.jsonrpc is not UNSET and bytes(envelope.jsonrpc) != b'"2.0"':
        return _invalid('`jsonrpc` is "2.0".', raw_id)
    if name[:1] != b'"':
        return _invalid("A request has a `method`, a string.", raw_id)
    params = _present(envelope.params, null=False)
    if params is not None and params[:1] not in (b"{", b"["):
        return _invalid("`params` is an object.", raw_id)
    return Request(_decode_string(name), params, raw_id)


def _present(raw: Raw | UnsetType, *, null: bool = True) -> bytes | None:
    """The bytes of a member, or None when it is absent (or null, unless `null` counts as a value)."""
    if raw is UNSET:
        return None
    data = bytes(raw)
    return data if null or data != NULL else None


def _invalid(message: str, request_id: bytes | None = None) -> Invalid:
    return Invalid(OmnirtError("invalid_request", message), request_id or NULL)


def _broken(message: str) -> Invalid:
    return Invalid(OmnirtError("parse_error", message))


def too_deep(data: bytes) -> bool:
    """Whether valid JSON is nested deeper than `MAX_NESTING`; nearly every message has too few brackets."""
    if data.rfind(b"{") < MAX_NESTING and data.rfind(b"[") < MAX_NESTING:
        return False  # no bracket has so many before it: all that a chunk of audio needs to be asked
    if not (_has_many(data, b"{") or _has_many(data, b"[")):
        return False
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not brackets:
            return False
    return True


def _has_many(data: bytes, bracket: bytes) -> bool:
    """Whether there are more than half of `MAX_NESTING`. To count them all costs as much as the decoding."""
    place = -1
    for _ in range(MAX_NESTING // 2 + 1):
        place = data.find(bracket, place + 1)
        if place < 0:
            return False
    return True


def _mended(value: Any) -> Any:
    """`value` with every lone surrogate replaced; such a string cannot be written as UTF-8."""
    match value:
        case str():
            return _NOT_UNICODE.sub("\N{REPLACEMENT CHARACTER}", value)
        case dict():
            return {_mended(key): _mended(member) for key, member in value.items()}
        case list():
            return [_mended(member) for member in value]
        case _:
            return value
