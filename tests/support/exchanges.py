"""Plays an exchange as the documentation shows it (`-->` host, `<--` daemon) against a real daemon."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

JSON = Any  # whatever json.loads gives
WAIT_S = 20.0
"""Per expected message. Starting the voice SDK takes seconds on a busy machine."""


class Mismatch(AssertionError):
    """The daemon did not write what the exchange shows."""


def play(text: str, data_dir: Path) -> int:
    """Plays all lines in order, ends stdin, and returns the daemon's exit code."""
    return asyncio.run(_play(text, data_dir))


async def _play(text: str, data_dir: Path) -> int:
    daemon = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omnirt", "serve", "--data-dir", str(data_dir)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert daemon.stdin is not None
    assert daemon.stdout is not None
    seen: list[JSON] = []
    try:
        for line in text.splitlines():
            direction, _, message = line.partition(" ")
            if direction == "-->":
                daemon.stdin.write(message.encode() + b"\n")
            elif direction == "<--":
                await _expect(json.loads(message), seen, daemon.stdout)
        daemon.stdin.close()
        return await asyncio.wait_for(_drained(daemon), WAIT_S)
    finally:
        if daemon.returncode is None:
            daemon.kill()
            await daemon.wait()


async def _expect(expected: JSON, seen: list[JSON], stdout: asyncio.StreamReader) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            await _find(expected, seen, stdout)
    except (TimeoutError, EOFError) as error:
        told = "\n".join(json.dumps(message)[:200] for message in seen)
        raise Mismatch(f"{json.dumps(expected)} did not come ({type(error).__name__}), but\n{told}") from None


async def _find(expected: JSON, seen: list[JSON], stdout: asyncio.StreamReader) -> None:
    """Takes the first message that shows what is expected off those seen, reading on until there is one."""
    for index, message in enumerate(seen):
        if shows(message, expected):
            del seen[index]
            return
    while line := await stdout.readline():
        message = json.loads(line)
        if shows(message, expected):
            return
        seen.append(message)
    raise EOFError


async def _drained(daemon: asyncio.subprocess.Process) -> int:
    """Reads what is left, so that the daemon is not held up by a full pipe, until it has ended."""
    assert daemon.stdout is not None
    while await daemon.stdout.read(65536):
        pass
    return await daemon.wait()


def shows(message: JSON, expected: JSON) -> bool:
    """Whether a message has all that is expected of it: members may be more, arrays are of equal length."""
    match expected:
        case dict():
            return isinstance(message, dict) and all(
                name in message and shows(message[name], value) for name, value in expected.items()
            )
        case list():
            same_length = isinstance(message, list) and len(message) == len(expected)
            return same_length and all(shows(m, e) for m, e in zip(message, expected, strict=True))
        case _:
            return type(message) is type(expected) and bool(message == expected)
