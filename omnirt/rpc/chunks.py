"""Chunks of the host's audio, read in one pass: of all that hosts send, nothing comes as often.

What is not exactly such a request is left to `jsonrpc.parse`, which also says what is wrong with it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from pybase64 import b64decode

from omnirt.protocol.cutting import cut
from omnirt.protocol.jsonrpc import Request, is_id, too_deep
from omnirt.protocol.session_methods import SessionSendAudioParams

_METHOD = "session.sendAudio"
_NAMED = b'"session.sendAudio"'
_HEAD = 256
"""Where the method is looked for: hosts write it before the params, which are nearly all of the message."""
_LONG = 2048
"""Bytes of a message from which on it costs less to cut the base64 out than to let msgspec decode it."""


class _Chunk(Struct):
    method: Literal["session.sendAudio"]
    params: SessionSendAudioParams
    jsonrpc: Literal["2.0"] = "2.0"
    id: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Chunk).decode


def parse_chunk(data: bytes) -> Request | None:
    """The request, with its params decoded; None for everything else."""
    if data.find(_NAMED, 0, _HEAD) < 0:
        return None
    base64 = b""
    if len(data) > _LONG:
        parts = cut(data, b'"audio"')
        if parts is None:
            return None
        data, base64 = parts
    if not data.isascii() or too_deep(data):
        return None
    try:
        chunk = _decode(data)
        if base64:
            chunk.params.audio = b64decode(base64, validate=True)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    if chunk.id is UNSET:
        return Request(_METHOD, None, None, chunk.params)
    request_id = bytes(chunk.id)
    return Request(_METHOD, None, request_id, chunk.params) if is_id(request_id) else None
