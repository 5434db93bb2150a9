"""`omnirt replay FILE`: a daemon from a tape, on stdin and stdout."""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from omnirt.protocol.framing import FrameDecoder, Framing, FramingChoice, Problem, encode_frame
from omnirt.replay.player import Divergence, Later, Player
from omnirt.replay.telling import told
from omnirt.stdio import claim
from omnirt.tapes.lines import message_of, read_tape
from omnirt.tapes.patterns import TapeError
from omnirt.terminal import Help, examples

_READ_BYTES = 65536
_WAITING = 256
"""Reads that may wait; the host waits then, as a daemon's would."""


def run(argv: Sequence[str]) -> int:
    """Plays; 0 when the host did as on the tape, 1 when not, 2 when the tape can't be played."""
    args = _parser().parse_args(argv)
    try:
        tape = read_tape(args.tape)
        player = Player(tape, speed=args.timing, ignore_audio=args.ignore_audio)
    except TapeError as error:
        return _fail(2, str(error))
    except OSError as error:
        return _fail(2, f"{args.tape}: {error.strerror}")
    stage = _Stage(player, *claim(), args.framing, args.timeout)
    try:
        stage.play()
    except Divergence as divergence:
        return _fail(1, told(divergence, args.tape))
    except TapeError as error:
        return _fail(2, f"{args.tape}: {error}")
    except BrokenPipeError:
        return _fail(1, f"{args.tape}: the host closed its end before the tape was over")
    return 0


def _fail(code: int, message: str) -> int:
    sys.stderr.write(f"omnirt replay: {message}\n")
    return code


class _Stage:
    """One play on two descriptors. A thread reads, so that a pause or a slow host holds up nothing else."""

    def __init__(
        self, player: Player, fd_in: int, fd_out: int, framing: FramingChoice, timeout_s: float
    ) -> None:
        self._player = player
        self._fd_in = fd_in
        self._fd_out = fd_out
        self._decoder = FrameDecoder(framing)
        self._timeout_s = timeout_s
        self._read: queue.Queue[bytes] = queue.Queue(_WAITING)

    def play(self) -> None:
        """Plays to the end.

        Raises:
            Divergence: The host did something else.
            TapeError: A line can't be played.
            BrokenPipeError: The host does not read.
        """
        threading.Thread(target=self._keep_reading, name="omnirt-replay", daemon=True).start()
        self._player.start(time.monotonic())
        heard = time.monotonic()
        while True:
            now = time.monotonic()
            step = self._player.due(now)
            if not isinstance(step, Later):
                self._write(json.dumps(step, ensure_ascii=False, separators=(",", ":")).encode())
                heard = time.monotonic()
                continue
            if self._player.finished:
                return
            until = step.at if step.at is not None else heard + self._timeout_s
            if self._take(max(0.0, until - now)):
                heard = time.monotonic()
            elif step.at is None:
                awaited = self._player.awaited
                reason = "the host did not send this" if awaited else "the host did not end"
                raise Divergence(f"{reason} within {self._timeout_s:g} s", awaited)

    def _take(self, timeout_s: float) -> bool:
        """Takes what the host sent, if it does within this time."""
        try:
            data = self._read.get(timeout=timeout_s)
        except queue.Empty:
            return False
        now = time.monotonic()
        for message in self._decoder.feed(data) if data else self._decoder.eof():
            if isinstance(message, Problem):
                self._player.unreadable(b"", message.kind, now)
                continue
            try:
                decoded = message_of(message)
            except (ValueError, RecursionError):
                self._player.unreadable(message, "parse_error", now)
            else:
                self._player.received(decoded, now)
        if not data:
            self._player.ended(now)
        return True

    def _write(self, payload: bytes) -> None:
        framing: Framing = self._decoder.framing or "lines"
        rest = memoryview(encode_frame(framing, payload))
        while rest:
            rest = rest[os.write(self._fd_out, rest) :]

    def _keep_reading(self) -> None:
        data = b" "
        while data:
            try:
                data = os.read(self._fd_in, _READ_BYTES)
            except OSError:
                data = b""
            self._read.put(data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omnirt replay",
        description="Plays the daemon of a tape to a host on stdin and stdout. Exit code 0 when the host did "
        "as on the tape, 1 when it did not (stderr says where), 2 when the tape can't be played.",
        allow_abbrev=False,
        formatter_class=Help,
        epilog=examples(
            "omnirt replay talk.jsonl < host.jsonl",
            "omnirt replay talk.jsonl --timing none --ignore-audio < host.jsonl",
        ),
    )
    parser.add_argument("tape", metavar="FILE", type=Path, help="made by omnirt serve --tape FILE")
    parser.add_argument(
        "--timing",
        metavar="real|none|N",
        type=_speed,
        default=1.0,
        help="with the pauses of the tape (the default), without, or N times as fast",
    )
    parser.add_argument("--framing", choices=get_args(FramingChoice), default="auto", help="as for serve")
    parser.add_argument(
        "--ignore-audio",
        action="store_true",
        help="let the host send any audio, in as many pieces as it likes",
    )
    parser.add_argument(
        "--timeout", metavar="S", type=_timeout, default=30.0, help="how long the host may take (default: 30)"
    )
    return parser


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0 and up to 86400")
    return seconds


def _speed(text: str) -> float:
    named = {"real": 1.0, "none": 0.0}.get(text)
    try:
        speed = float(text) if named is None else named
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= 1000 or (named is None and speed == 0):
        raise argparse.ArgumentTypeError(f"{text!r} is neither real, none nor a number up to 1000")
    return speed
