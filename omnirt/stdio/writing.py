"""Writes stdout, whatever it is, without blocking the event loop."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import select
import socket
import stat
import struct
import termios
import threading
from collections.abc import Callable
from typing import Protocol

from omnirt.stdio.descriptors import own_description

WRITE_BYTES = 65536
"""What is joined into one write: the size of a pipe on Linux."""
_WRITES_PER_TICK = 4

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where the writer takes frames from."""

    def take(self, limit: int) -> list[bytes]:
        """The next frames, about `limit` bytes and at least one if there is any."""

    def sent(self, count: int) -> None:
        """The first `count` frames taken are on their way; the others come again at the next `take`."""

    def abandon(self) -> None:
        """Nobody reads any more: forget everything."""


class Output:
    """The one writer of stdout.

    Args:
        fd: Is closed by `close`.
        source: Where frames come from; `wake` says that there are some.
    """

    def __init__(self, fd: int, source: Source) -> None:
        self._fd = fd
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._scheduled = False
        self._blocked = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.gone = False
        self._blocks = 0
        self._socket: socket.socket | None = None
        self._thread: _WriterThread | None = None
        self._write: Callable[[bytes], int] | None = None
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode):
            self._socket = sock = socket.socket(fileno=fd)
            self._write = lambda data: sock.send(data, socket.MSG_DONTWAIT)
        elif stat.S_ISFIFO(mode) and (own := own_description(fd, os.O_WRONLY)) is not None:
            os.close(fd)
            self._fd = own
            self._write = lambda data: os.write(self._fd, data)
        else:
            self._thread = _WriterThread(fd, self._loop, self._thread_done)

    @property
    def idle(self) -> bool:
        """Whether everything has been handed to the system."""
        return self._idle.is_set()

    def wake(self) -> None:
        """There is something to write: it goes out at the end of this turn of the loop, all in one."""
        self._idle.clear()
        if not self._scheduled and not self._blocked:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    async def drained(self) -> None:
        """Returns when everything has been handed to the system, or nobody reads any more."""
        await self._idle.wait()

    def taken(self) -> tuple[int, int]:
        """Changes whenever somebody reads: how many writes the system took, and what waits in it.

        A pipe takes more only when a whole page of it is free, so a slow reader shows in the second first.
        """
        waiting = termios.TIOCOUTQ if self._socket is not None else termios.FIONREAD
        try:
            return self._blocks, struct.unpack("i", fcntl.ioctl(self._fd, waiting, b"\0" * 4))[0]
        except OSError:  # a file, or a system that tells this of readers only
            return self._blocks, 0

    def reader_gone(self) -> bool:
        """Whether the other end of stdout is closed, asked without writing."""
        if not self.gone:
            poll = select.poll()
            poll.register(self._fd, 0)
            if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
                self._lose()
        return self.gone

    def close(self) -> None:
        """Gives up what is not written, and the descriptor."""
        self._lose()
        if self._thread is not None:
            self._thread.close()
        elif self._socket is not None:
            self._socket.close()
        else:
            os.close(self._fd)

    def _flush(self) -> None:
        self._scheduled = False
        for _ in range(_WRITES_PER_TICK):
            if self.gone:
                self._source.abandon()
                self._idle.set()
                return
            if self._blocked:
                return
            frames = [] if self._rest else self._source.take(WRITE_BYTES)
            data = self._rest or b"".join(frames)
            if not data:
                self._idle.set()
                return
            if self._write is None:
                self._hand_over(data, len(frames))
                return
            self._write_some(data, frames)
        self._scheduled = True
        self._loop.call_soon(self._flush)

    def _write_some(self, data: bytes, frames: list[bytes]) -> None:
        """Writes what fits. Of the frames, one that is begun stays here; the rest go back to the source."""
        assert self._write is not None
        try:
            written = self._write(data)
        except (BlockingIOError, InterruptedError):
            written = 0
        except OSError as error:
            self._lose(error)
            return
        self._blocks += written > 0
        if self._rest:
            self._rest = self._rest[written:]
        else:
            count, begun = _whole_frames(frames, written)
            self._rest = frames[count][begun:] if begun else b""
            self._source.sent(count + (begun > 0))
        if written < len(data):
            self._blocked = True
            self._loop.add_writer(self._fd, self._unblock)

    def _unblock(self) -> None:
        self._loop.remove_writer(self._fd)
        self._blocked = False
        self._flush()

    def _hand_over(self, data: bytes, count: int) -> None:
        assert self._thread is not None
        self._source.sent(count)
        self._blocked = True
        self._thread.hand(data)

    def _thread_done(self, error: OSError | None) -> None:
        self._blocked = False
        self._blocks += 1
        if error is not None:
            self._lose(error)
        self.wake()

    def _lose(self, error: OSError | None = None) -> None:
        """The reader is gone, or the disk is full: nothing will be written any more."""
        if self.gone:
            return
        self.gone = True
        if error is not None and error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.EIO):
            _log.error("stdout cannot be written: %s", error.strerror)
        if self._blocked and self._thread is None:
            self._loop.remove_writer(self._fd)
        self._blocked = False
        self._rest = b""
        self._source.abandon()
        self._idle.set()


def _whole_frames(frames: list[bytes], written: int) -> tuple[int, int]:
    """How many whole frames `written` bytes are, and how many bytes of the one after them."""
    for count, frame in enumerate(frames):
        if written < len(frame):
            return count, written
        written -= len(frame)
    return len(frames), 0


class _WriterThread:
    """Writes one block at a time, blocking, where neither the loop nor the kernel can do it without."""

    def __init__(
        self, fd: int, loop: asyncio.AbstractEventLoop, done: Callable[[OSError | None], None]
    ) -> None:
        self._fd = fd
        self._loop = loop
        self._done = done
        self._data = b""
        self._has_data = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="omnirt-stdout", daemon=True)
        self._thread.start()

    def hand(self, data: bytes) -> None:
        """Takes the next block; the one before must be done."""
        self._data = data
        self._has_data.release()

    def close(self) -> None:
        """Ends the thread once it is not inside a write; otherwise it dies with the process."""
        self.hand(b"")

    def _run(self) -> None:
        while True:
            self._has_data.acquire()
            rest = memoryview(self._data)
            if not rest:
                os.close(self._fd)
                return
            error = None
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError as raised:
                error = raised
            try:
                self._loop.call_soon_threadsafe(self._done, error)
            except RuntimeError:  # the loop is closed
                return
