"""Chunks of the host's audio, read in one pass: of all that hosts send, nothing comes as often.

Sans-IO. What is not exactly such a request is left to `jsonrpc.parse`, which also says what is wrong with it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from omnirt.protocol.jsonrpc import Request, is_id, too_deep
from omnirt.protocol.session_methods import SessionSendAudioParams

_METHOD = "session.sendAudio"
_NAMED = b'"session.sendAudio"'
_HEAD = 256
"""Where the method is looked for: hosts write it before the params, which are nearly all of the message."""


class _Chunk(Struct, tag_field="method", tag=_METHOD):
    params: SessionSendAudioParams
    jsonrpc: Literal["2.0"] = "2.0"
    id: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Chunk).decode


def parse_chunk(data: bytes) -> Request | None:
    """The request, with its params decoded; None for everything else."""
    if data.find(_NAMED, 0, _HEAD) < 0 or not data.isascii() or too_deep(data):
        return None
    try:
        chunk = _decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if chunk.id is UNSET:
        return Request(_METHOD, None, None, chunk.params)
    request_id = bytes(chunk.id)
    return Request(_METHOD, None, request_id, chunk.params) if is_id(request_id) else None
