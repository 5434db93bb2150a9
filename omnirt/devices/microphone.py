"""What a microphone hears, handed from PortAudio's thread to the loop: bounded, and without waiting."""

from __future__ import annotations

import asyncio
from collections import deque

from omnirt.devices.portaudio import BLOCK_MS

MAX_QUEUED_MS = 120_000
"""As much as a session takes of a host's audio; it fills while there is no connection."""


class Microphone:
    """The queue between the two.

    Attributes:
        called: How often the device gave audio: while it lives, this rises.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._lost = 0
        self.called = 0

    def hear(self, pcm: bytes) -> None:
        """In PortAudio's thread: a block of PCM16."""
        self.called += 1
        if len(self._heard) * BLOCK_MS >= MAX_QUEUED_MS:
            self._lost += 1
            return
        self._heard.append(pcm)
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:
            pass  # the loop is closed, and the stream about to be

    async def next(self) -> bytes:
        """The next block."""
        while not self._heard:
            self._ready.clear()
            if not self._heard:
                await self._ready.wait()
        return self._heard.popleft()

    def take_lost_ms(self) -> int:
        """What found no room since the last call."""
        lost, self._lost = self._lost, 0
        return lost * BLOCK_MS
