"""Plays the host of a tape against a real daemon, and records tapes (tests/transcripts/README.md)."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from omnirt.protocol.framing import Framing
from omnirt.tapes.lines import DaemonLine, HostLine, Mode, Stall, Tape, read_tape
from omnirt.tapes.patterns import Json, Names, fill, fits, refers_back
from tests.support.checker import check
from tests.support.expectations import Expected, Mismatch, Order
from tests.support.raw_daemon import Daemon

PLAY_TIMEOUT_S = 90.0
"""For a whole transcript on a busy machine; each of them takes a few seconds."""


def modes(tape: Tape) -> tuple[Mode, ...]:
    """The ways in which it can be played: not whole when an answer of the host depends on the daemon."""
    answers = any(
        (isinstance(line.message, dict) and "method" not in line.message) or refers_back(line.message)
        for line in tape.host_lines
        if line.raw is None
    )
    stalls = any(isinstance(line, Stall) for line in tape.lines)
    return tuple(mode for mode in tape.play if not ((answers or stalls) and mode == "whole"))


class Player:
    """One play of one transcript."""

    def __init__(self, tape: Tape, mode: Mode, daemon: Daemon) -> None:
        self._tape = tape
        self._mode = mode
        self._daemon = daemon
        self._names: Names = {}
        self._order = Order(tape.ignore)
        self._lines = [Expected(x.number, x.patterns) if isinstance(x, DaemonLine) else x for x in tape.lines]
        self._expected = [line for line in self._lines if isinstance(line, Expected)]
        self._changed = asyncio.Event()
        self._ended = False
        self._seen: list[Json] = []

    async def run(self) -> None:
        """Plays it to the end.

        Raises:
            Mismatch: The daemon did something else.
        """
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        try:
            async with asyncio.timeout(PLAY_TIMEOUT_S):
                await asyncio.gather(reader, writer)
                code = await self._daemon.wait()
        except TimeoutError:
            open_lines = [e for e in self._expected if not e.satisfied]
            where = open_lines[0].describe() if open_lines else "nothing more, but the daemon went on"
            raise Mismatch(f"still waiting for {where}") from None
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        self._order.check_end()
        missing = [e for e in self._expected if not e.satisfied]
        if missing:
            raise Mismatch(f"the daemon ended without {missing[0].describe()}")
        if code != self._tape.exit_code:
            raise Mismatch(f"exit code {code} instead of {self._tape.exit_code}")
        try:
            check(self._seen, opted_out=self._opted_out())
        except AssertionError as broken:
            raise Mismatch(f"a rule of every transcript is broken: {broken}") from None

    def _opted_out(self) -> list[str]:
        for line in self._tape.host_lines:
            if isinstance(line.message, dict) and line.message.get("method") == "initialize":
                params = line.message.get("params")
                names = params.get("optOutNotifications") if isinstance(params, dict) else None
                return [str(name) for name in names] if isinstance(names, list) else []
        return []

    async def _write(self) -> None:
        above: list[Expected] = []
        together = b""
        for line in self._lines:
            if isinstance(line, Expected):
                above.append(line)
                continue
            if isinstance(line, Stall):
                await self._daemon.stall(line.stored_bytes)
                continue
            if self._mode != "whole":
                await self._until(above)
            together += self._encode(line)
            if self._mode != "whole":
                await self._daemon.send(together, byte_by_byte=self._mode == "bytes")
                together = b""
        await self._daemon.send(together)
        if self._mode != "whole":
            await self._until(above)
        self._daemon.end()

    def _encode(self, line: HostLine) -> bytes:
        if line.raw is not None:
            try:
                self._order.sent(json.loads(line.raw))
            except ValueError:  # the reply to what is no JSON has no id
                pass
            return self._daemon.frame(line.raw.decode())
        message = fill(line.message, self._names, self._tape.folder)
        self._order.sent(message)
        return self._daemon.frame(json.dumps(message, ensure_ascii=False))

    async def _until(self, expected: list[Expected]) -> None:
        while not self._ended and not all(e.satisfied for e in expected):
            self._changed.clear()
            await self._changed.wait()

    async def _read(self) -> None:
        async for message in self._daemon.messages():
            self._take(message)
            self._changed.set()
        self._ended = True
        self._changed.set()

    def _take(self, message: Json) -> None:
        self._seen.append(message)
        if self._order.received(message) or self._is_anywhere(message):
            return
        for expected in self._expected:
            concerned = not expected.done and expected.concerns(message, self._names)
            if concerned and expected.take(message, self._names):
                return
        raise Mismatch(f"not expected (any more): {json.dumps(message)[:400]}")

    def _is_anywhere(self, message: Json) -> bool:
        """Whether it may come whenever it likes, and is none that a line waits for."""
        if not any(fits(pattern, message, dict(self._names)) for pattern in self._tape.anywhere):
            return False
        for expected in self._expected:
            if not expected.done and expected.concerns(message, self._names):
                if expected.wants(message, self._names):
                    return False
                if not expected.satisfied:
                    return True
        return True


async def play(tape: Tape, mode: Mode, framing: Framing) -> None:
    """Plays a tape against a daemon of its own.

    Raises:
        Mismatch: With the place in the file, and the end of the daemon's log.
    """
    with tempfile.TemporaryDirectory(prefix="omnirt-transcript-") as folder:
        args = [str(fill(arg, {}, tape.folder)) for arg in tape.args]
        daemon = await Daemon.spawn(args, framing, Path(folder))
        try:
            await Player(tape, mode, daemon).run()
        except Mismatch as error:
            raise Mismatch(f"{tape.path.name}, {mode}, {framing}: {error}\nstderr: {daemon.log()}") from None
        finally:
            await daemon.kill()


def main(argv: Sequence[str]) -> int:
    """`record FILE` writes a new transcript to stdout, `play FILE` plays one in every way."""
    from tests.support.recording import record

    command, path = argv
    tape = read_tape(Path(path))
    if command == "record":
        for line in asyncio.run(record(tape)):
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        return 0
    for mode in modes(tape):
        for framing in tape.framings:
            asyncio.run(play(tape, mode, framing))
            sys.stdout.write(f"{tape.path.name}: {mode}, {framing}: as recorded\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
