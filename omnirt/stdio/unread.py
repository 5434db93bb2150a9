"""stderr as this process writes it: where nobody reads, lines are lost, and nobody waits."""

from __future__ import annotations

import io
import os
import select
import threading

_PIECE_BYTES = 512
"""What a pipe that is ready takes without waiting, on every system (PIPE_BUF)."""


class Unread(io.RawIOBase):
    """A stream that takes everything at once: what the system does not take now is dropped, and counted.

    Logs and prints of tools come here, from the event loop too. A host that opened a pipe and does not read
    it must not stop the voice.

    Args:
        fd: Stays open.
        own: The same, opened anew and not blocking, where the system can do that.
    """

    def __init__(self, fd: int, own: int | None) -> None:
        super().__init__()
        self.name = "<stderr>"
        self._fd = fd
        self._own = fd if own is None else own
        self._asks = own is None  # before each piece, for a write may wait
        self._lock = threading.Lock()
        self._rest = b""
        self._lost = 0

    def fileno(self) -> int:
        """For child processes that inherit it."""
        return self._fd

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override] # what is written to streams
        """Take all of it; never raises, and never waits."""
        text = bytes(data)
        with self._lock:
            self._rest = self._left_of(self._rest)
            note = b"(lines lost here, as nobody read them: %d)\n" % self._lost if self._lost else b""
            left = note + text if self._rest else self._left_of(note + text)
            if len(left) == len(note + text):
                self._lost += text.count(b"\n")
            else:
                self._lost = 0
                self._rest = left  # a line that was begun is ended before the next
        return len(data)

    def _left_of(self, data: bytes) -> bytes:
        """Write what can be written now."""
        try:
            while data and (not self._asks or self._ready()):
                data = data[os.write(self._own, data[:_PIECE_BYTES] if self._asks else data) :]
        except BlockingIOError:
            pass
        except OSError:  # closed, or a full disk: there is no better place to tell it
            return b""
        return data

    def _ready(self) -> bool:
        poll = select.poll()
        poll.register(self._own, select.POLLOUT)
        return bool(poll.poll(0))
