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


class _Chunk(Struct):
    method: Literal["session.sendAudio"]
    params: SessionSendAudioParams
    jsonrpc: Literal["2.0"] = "2.0"
    id: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Chunk).decode


def parse_chunk(data: bytes) -> Request | None:
    """The request, with its params decoded; None for everything else."""
    parts = cut(data, b'"audio"') if data.find(_NAMED, 0, _HEAD) >= 0 else None
    if parts is None or not parts[0].isascii() or too_deep(parts[0]):
        return None
    try:
        chunk = _decode(parts[0])
        audio = b64decode(parts[1], validate=True)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    chunk.params.audio = audio
    if chunk.id is UNSET:
        return Request(_METHOD, None, None, chunk.params)
    request_id = bytes(chunk.id)
    return Request(_METHOD, None, request_id, chunk.params) if is_id(request_id) else None
