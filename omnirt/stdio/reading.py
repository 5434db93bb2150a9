"""Reads stdin, whatever it is, without blocking the event loop."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import stat
import threading
from collections.abc import Callable

from omnirt.stdio.descriptors import own_description

READ_BYTES = 65536
"""One read per wake-up. Larger reads make a ping wait behind more messages without reading any faster."""


class Input:
    """Reads stdin, whatever it is: one read per wake-up of the loop, or a thread where the loop can't wait.

    Args:
        fd: Is closed by `close`.
        on_data: Called in the loop with what was read; with `b""` once, at the end.
    """

    def __init__(self, fd: int, on_data: Callable[[bytes], None]) -> None:
        self._fd = fd
        self._on_data = on_data
        self._loop = asyncio.get_running_loop()
        self._read: Callable[[], bytes] = lambda: os.read(self._fd, READ_BYTES)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._may_read = threading.Semaphore(0)
        self._owed = False
        self._paused = False
        self._ended = False

    def start(self) -> None:
        """Begins to read."""
        mode = os.fstat(self._fd).st_mode
        if stat.S_ISFIFO(mode):
            own = own_description(self._fd, os.O_RDONLY)
            if own is not None:
                os.close(self._fd)
                self._fd = own
        elif stat.S_ISSOCK(mode):
            self._socket = sock = socket.socket(fileno=self._fd)
            self._read = lambda: sock.recv(READ_BYTES, socket.MSG_DONTWAIT)
        try:
            self._loop.add_reader(self._fd, self._ready)
        except OSError:  # regular files and /dev/null: the loop's selector refuses them
            self._thread = threading.Thread(target=self._run, name="omnirt-stdin", daemon=True)
            self._thread.start()
            self._may_read.release()

    def writer_gone(self) -> bool:
        """Whether nothing will follow what can be read now: the end is near, if perhaps not reached."""
        if self._fd < 0 or stat.S_ISREG(os.fstat(self._fd).st_mode):
            return True
        half_closed = getattr(select, "POLLRDHUP", 0)  # Linux: a socket that is shut for writing
        poll = select.poll()
        poll.register(self._fd, half_closed)
        return any(event & (select.POLLHUP | half_closed) for _, event in poll.poll(0))

    def pause(self) -> None:
        """Reads no more until `resume`; what was asked of the kernel already may still arrive."""
        if not self._paused and not self._ended:
            self._paused = True
            if self._thread is None:
                self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Reads on."""
        if self._paused and not self._ended:
            self._paused = False
            if self._thread is None:
                self._loop.add_reader(self._fd, self._ready)
            elif self._owed:
                self._owed = False
                self._may_read.release()

    def close(self) -> None:
        """Stops for good. A thread that is inside a read keeps its descriptor, and dies with the process."""
        if not self._ended:
            self._ended = True
            if self._thread is None and not self._paused:
                self._loop.remove_reader(self._fd)
        if self._thread is not None or self._fd < 0:
            return
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._fd)
        self._fd = -1

    def _ready(self) -> None:
        try:
            data = self._read()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # a terminal that hung up, a socket that was reset
            data = b""
        if not data:
            self._ended = True
            self._loop.remove_reader(self._fd)
        self._on_data(data)

    def _run(self) -> None:
        while True:
            self._may_read.acquire()
            try:
                data = self._read()
            except OSError:
                data = b""
            try:
                self._loop.call_soon_threadsafe(self._deliver, data)
            except RuntimeError:  # the loop is closed: nobody listens any more
                return
            if not data:
                return

    def _deliver(self, data: bytes) -> None:
        if self._ended:
            return
        self._ended = not data
        self._on_data(data)
        if self._paused:
            self._owed = True
        else:
            self._may_read.release()
