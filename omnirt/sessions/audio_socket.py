"""The socket to a provider, with ways of its own for audio, which is nearly all that goes through it.

Names of the library used that its documentation does not promise: `process_event`, `send_data`, `paused`,
`send_in_progress`, the protocol's `writes` and `frames.apply_mask`. Where one is missing the ordinary ways
take over, which cost more.
"""

from __future__ import annotations

import os
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from pybase64 import b64decode
from websockets import frames
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedOK
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State
from websockets.typing import Data

from omnirt.protocol.cutting import cut
from omnirt.sessions.reading import content_index

AUDIO_DELTA = "response.output_audio.delta"
_NAMED = b'"response.output_audio.delta"'
_HEAD = 256
"""Where the type is looked for: providers write it before the audio. Elsewhere the stock model finds it."""
_apply_mask: Callable[[bytes, bytes], bytes] | None = getattr(frames, "apply_mask", None)
_SHORT, _LONG = 126, 65_535
"""Lengths that a frame's head has in two bytes; nearly all audio is in between."""
_head = struct.Struct("!BBH4s").pack
_WHOLE_TEXT, _MASKED = 0x81, 0x80
_KEYS = 4 * 256
"""Bytes of masking keys fetched at once: a call of the system for each costs as much as the masking."""
TakeAudio = Callable[[str, str, int, bytes], None]
"""Response id, item id, content index, audio."""


class _Delta(msgspec.Struct):
    """What is needed of an audio delta whose audio is cut out; of any other event the type."""

    type: str
    delta: str | None = None
    response_id: str | None = None
    item_id: str | None = None
    content_index: Any = 0


_decode_delta = msgspec.json.Decoder(_Delta).decode


class AudioSocket(ClientConnection):
    """A connection whose audio goes straight to where it is wanted.

    The stock model reads each frame with `json` and hands it on twice, in a task that each frame wakes.

    Attributes:
        take_audio: Takes the agent's audio, in order with all else; None for the stock model's way.
    """

    take_audio: TakeAudio | None = None
    _unread = 0
    """Messages that the stock model has not dealt with: audio that follows them waits its turn."""
    _posted = False
    _keys = b""

    def process_event(self, event: Event) -> None:
        """A frame came; audio is taken here, unless the stock model is behind."""
        if isinstance(event, Frame):
            whole = event.fin and event.opcode is Opcode.TEXT
            if whole and not self._unread and self._is_taken(bytes(event.data)):
                return
            self._unread += event.fin and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
        super().process_event(event)

    async def __aiter__(self) -> AsyncIterator[Data]:
        """What is left for the stock model to read."""
        try:
            while True:
                message = await self.recv(decode=False)
                if not self._is_taken(message):
                    yield message
                self._unread -= 1
        except ConnectionClosedOK:
            return

    def post(self, text: bytes) -> bool:
        """Send a message at the end of this turn of the loop, all in one write; False if it must wait."""
        waits = getattr(self, "paused", True) or getattr(self, "send_in_progress", True) is not None
        if waits or self.protocol.state is not State.OPEN:
            return False
        writes = getattr(self.protocol, "writes", None)
        short = _SHORT <= len(text) <= _LONG and not self.protocol.extensions
        if short and writes is not None and _apply_mask is not None:
            key = self._key()
            writes += (_head(_WHOLE_TEXT, _MASKED | _SHORT, len(text), key), _apply_mask(text, key))
        else:
            self.protocol.send_text(text)
        if not self._posted:
            self._posted = True
            self.loop.call_soon(self._flush)
        return True

    def _key(self) -> bytes:
        """Four random bytes, for one frame (RFC 6455, 5.3)."""
        keys = self._keys or os.urandom(_KEYS)
        self._keys = keys[4:]
        return keys[:4]

    def _flush(self) -> None:
        self._posted = False
        if self.protocol.state is State.OPEN:
            self.transport.write(b"".join(self.protocol.data_to_send()))
        else:  # the end of the stream is among it
            self.send_data()

    def _is_taken(self, message: bytes) -> bool:
        if self.take_audio is None or message.find(_NAMED, 0, _HEAD) < 0:
            return False
        parts = cut(message, b'"delta"')
        if parts is None:
            return False
        try:
            event = _decode_delta(parts[0])
            if event.type != AUDIO_DELTA or event.delta != "":
                return False
            data = b64decode(parts[1], validate=True)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False  # what is wrong with it is told where all frames are read
        index = content_index({"content_index": event.content_index})
        self.take_audio(event.response_id or "", event.item_id or "", index, data)
        return True
