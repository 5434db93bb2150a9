"""`omnirt serve --tape`: writes down what crosses the wire, in a thread, and never holds up the daemon."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from queue import SimpleQueue

from omnirt.errors import OmnirtError
from omnirt.protocol.framing import FrameDecoder, FramingChoice, Problem
from omnirt.providers.config import load_config
from omnirt.providers.known import known_secrets
from omnirt.providers.masking import MessageMask
from omnirt.providers.settings import ConnectionSettings, Sources
from omnirt.stdio.writing import Source
from omnirt.storage.paths import default_config_dir
from omnirt.tapes.audio import AudioMode
from omnirt.tapes.lines import message_of
from omnirt.tapes.writing import Direction, TapeFile, broken_line, header_line, line_of, message_line, now

MAX_WAITING_BYTES = 32 * 1024 * 1024
"""What may wait for the disk: minutes of speech. A disk that is further behind will not catch up."""
_SYNC_S = 2.0
_CLOSE_S = 1.0
"""What is left of the tape at the end of the daemon, which must be gone in 2 s."""

_log = logging.getLogger(__name__)

_Piece = tuple[Direction, int, list[bytes]]
"""Who wrote, when (ms since the start of the tape), and what: bytes as they were read, or whole frames."""


def given_secrets(config: Path | None, env: Mapping[str, str]) -> tuple[str, ...]:
    """Every secret that configuration file and environment hold when the tape begins."""
    try:
        file: ConnectionSettings = load_config(config, default_config_dir())
    except OmnirtError:
        file = ConnectionSettings()  # its sessions fail, and say why
    return known_secrets(Sources(ConnectionSettings(), file, env))


class Taping:
    """One tape. Its methods are called in the loop; a thread of its own does the rest.

    Args:
        path: Written over.
        audio: Where audio goes.
        secrets: Known beforehand; those that a host gives are learnt from its messages.
        framing, max_message_bytes: As for the connection, whose view of the host's bytes this repeats.
        max_waiting: Bytes that may wait for the disk.
        sync: Whether a message of the daemon's is on the tape before it leaves: slow, and exact.

    Raises:
        OSError: The file can't be opened.
    """

    def __init__(
        self,
        path: Path,
        audio: AudioMode,
        secrets: Iterable[str],
        *,
        framing: FramingChoice,
        max_message_bytes: int,
        max_waiting: int = MAX_WAITING_BYTES,
        sync: bool = False,
    ) -> None:
        self._path = path
        self._file = TapeFile(path, audio)
        self._mask = MessageMask(secrets)
        self._decoder = FrameDecoder(framing, max_message_bytes)
        self._max_waiting = max_waiting
        self._loop = asyncio.get_running_loop()
        self._sync = sync
        self._pieces: SimpleQueue[_Piece | threading.Event | None] = SimpleQueue()
        self._put = 0
        self._done = 0
        self._stopped = False
        self._started_at = now()
        self._start = time.monotonic()
        self.failed: Callable[[str], None] = lambda message: None
        """Told once, in the loop, when the tape ends before the daemon does."""
        self._thread = threading.Thread(target=self._run, name="omnirt-tape", daemon=True)
        self._thread.start()

    def received(self, data: bytes) -> None:
        """What was read from the host; `b""` at the end."""
        self._take("host", [data], len(data))

    def source(self, source: Source) -> Source:
        """The same source of frames, which are written down as they leave."""
        return _Ahead(source, self) if self._sync else _Tapped(source, self)

    def sent(self, frames: list[bytes]) -> None:
        """Frames that left for the host."""
        self._take("daemon", frames, sum(map(len, frames)))

    def catch_up(self) -> None:
        """Waits until all that was told so far is on the tape."""
        if not self._stopped:
            done = threading.Event()
            self._pieces.put(done)
            done.wait(_SYNC_S)

    def close(self) -> None:
        """Writes what is left, and waits for that as long as an end may take."""
        self._stop()
        self._thread.join(_CLOSE_S)

    def _take(self, direction: Direction, pieces: list[bytes], size: int) -> None:
        if self._stopped or not pieces:
            return
        self._put += size
        if self._put - self._done > self._max_waiting:
            self._give_up("the disk is too slow")
            return
        self._pieces.put((direction, int((time.monotonic() - self._start) * 1000), pieces))

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._pieces.put(None)

    def _give_up(self, reason: str) -> None:
        if not self._stopped:
            self._stop()
            _log.warning("the tape ends here: %s", reason)
            self.failed(f"The tape {self._path} ends here, and the daemon goes on: {reason}.")

    # -- in the thread

    def _run(self) -> None:
        try:
            began = False
            while (piece := self._pieces.get()) is not None:
                if isinstance(piece, threading.Event):
                    piece.set()
                    continue
                direction, at_ms, data = piece
                if direction == "host":
                    lines = self._host_lines(at_ms, data[0])
                else:
                    lines = b"".join(self._daemon_line(at_ms, frame) for frame in data)
                if lines and not began:
                    lines = header_line(self._decoder.framing, self._started_at) + lines
                    began = True
                self._file.write(lines)
                self._done += sum(map(len, data))
        except OSError as error:
            self._tell(error.strerror or "the disk does not take it")
        except Exception:  # noqa: BLE001 - a fault of ours must not take the daemon along
            _log.exception("the tape could not be written")
            self._tell("something went wrong, see the log")
        finally:
            self._file.close()

    def _tell(self, reason: str) -> None:
        try:
            self._loop.call_soon_threadsafe(self._give_up, reason)
        except RuntimeError:  # the loop is closed
            return

    def _host_lines(self, at_ms: int, data: bytes) -> bytes:
        messages = self._decoder.feed(data) if data else self._decoder.eof()
        lines = [self._host_line(at_ms, message) for message in messages]
        if not data:
            lines.append(line_of({"dir": "host", "atMs": at_ms, "end": True}))
        return b"".join(lines)

    def _host_line(self, at_ms: int, message: bytes | Problem) -> bytes:
        if isinstance(message, Problem):
            return broken_line(at_ms, message.kind)
        try:
            decoded = self._mask.host(message_of(message))
            return message_line("host", at_ms, decoded, self._file.shelf.keep)
        except (ValueError, RecursionError):
            return broken_line(at_ms, "parse_error", len(message))

    def _daemon_line(self, at_ms: int, frame: bytes) -> bytes:
        payload = frame if self._decoder.framing != "headers" else frame.partition(b"\r\n\r\n")[2]
        return message_line("daemon", at_ms, self._mask.daemon(json.loads(payload)), self._file.shelf.keep)


class _Tapped:
    """A source of frames that tells what left. Made for `stdio.Output` (see `stdio.writing.Source`)."""

    def __init__(self, source: Source, taping: Taping) -> None:
        self._source = source
        self._taping = taping
        self._taken: list[bytes] = []
        self.abandon = source.abandon

    def take(self, limit: int) -> list[bytes]:
        """The next frames."""
        self._taken = self._source.take(limit)
        return self._taken

    def sent(self, count: int) -> None:
        """The first `count` frames taken are on their way."""
        self._taping.sent(self._taken[:count])
        self._source.sent(count)


class _Ahead(_Tapped):
    """Tells of frames before they leave, and waits until they are on the tape."""

    def __init__(self, source: Source, taping: Taping) -> None:
        super().__init__(source, taping)
        self._told: Counter[bytes] = Counter()
        """What was told, and has not left yet."""

    def take(self, limit: int) -> list[bytes]:
        """The next frames, which are on the tape."""
        taken = super().take(limit)
        if not taken:
            self._told.clear()
            return taken
        known, new = self._told.copy(), []
        for frame in taken:  # what did not fit into the last write was told then
            if known[frame]:
                known[frame] -= 1
            else:
                new.append(frame)
        self._told.update(new)
        self._taping.sent(new)
        self._taping.catch_up()
        return taken

    def sent(self, count: int) -> None:
        """The first `count` frames taken are on their way."""
        self._told -= Counter(self._taken[:count])
        self._source.sent(count)
