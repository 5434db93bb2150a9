"""What a host sends as the user's voice: recorded speech, silence, and how the wire has them."""

from __future__ import annotations

import base64
import wave
from pathlib import Path

PCM_BYTES_PER_MS = 48
"""PCM16 at 24 kHz."""
EXAMPLES = Path(__file__).parents[2] / "examples" / "audio"


def utterance(name: str) -> bytes:
    """Recorded speech of a user, as PCM16 at 24 kHz."""
    with wave.open(str(EXAMPLES / f"{name}.wav"), "rb") as file:
        return file.readframes(file.getnframes())


def silence(ms: int) -> bytes:
    """Nothing said."""
    return bytes(ms * PCM_BYTES_PER_MS)


def b64(audio: bytes) -> str:
    """As the wire has it."""
    return base64.b64encode(audio).decode()
