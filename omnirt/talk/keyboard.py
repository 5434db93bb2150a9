"""What a person types: keys of a terminal one by one, or lines of a pipe. Read in a thread."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import sys
import threading
from collections.abc import Iterator

END = "\x04"
"""Of the input: Ctrl-D of a terminal, the end of a pipe."""
_LIMIT = 4096
"""Keys that wait; nobody types so far ahead, and a pipe is held up by then."""


class Keyboard:
    """Stdin, as keys of a terminal or, where it is none, as whole lines.

    Attributes:
        is_terminal: Which of the two.
    """

    def __init__(self) -> None:
        self.is_terminal = sys.stdin.isatty()
        self._keys: asyncio.Queue[str] = asyncio.Queue()
        self._room = threading.Semaphore(_LIMIT)
        self._loop = asyncio.get_running_loop()

    async def next(self) -> str:
        """The next character of a terminal, or the next line of a pipe with its end; END at the end."""
        key = await self._keys.get()
        self._room.release()
        return key

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read; a terminal shows nothing by itself meanwhile, and Ctrl-C is a key."""
        with _keys_alone() if self.is_terminal else contextlib.nullcontext():
            # A daemon thread: it may wait for a key when the program ends.
            threading.Thread(target=self._read, daemon=True).start()
            yield

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = ""
        try:
            while data := os.read(0, 4096):
                text += decoder.decode(data)
                if self.is_terminal:
                    self._put(*text)
                    text = ""
                else:
                    *lines, text = text.split("\n")
                    self._put(*(f"{line}\n" for line in lines))
        except OSError:
            pass  # a terminal that is gone has come to its end
        self._put(*([text] if text else []), END)

    def _put(self, *keys: str) -> None:
        for key in keys:
            self._room.acquire()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._keys.put_nowait, key)


@contextlib.contextmanager
def _keys_alone() -> Iterator[None]:
    try:
        import termios
    except ImportError:  # Windows: whole lines come from its terminal
        yield
        return
    before = termios.tcgetattr(0)
    alone = termios.tcgetattr(0)
    alone[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG)
    alone[6][termios.VMIN], alone[6][termios.VTIME] = 1, 0
    termios.tcsetattr(0, termios.TCSADRAIN, alone)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
