"""Plays an exchange as the documentation shows it (`-->` host, `<--` daemon) against a real daemon."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.documents import ROOT

JSON = Any  # whatever json.loads gives
EXAMPLES = ROOT / "examples"
WAIT_S = 45.0
"""For one message: on a busy machine the first session of a daemon takes many seconds (the voice SDK)."""


def environment() -> dict[str, str]:
    """That of the examples: their modules, and this Python as `python`."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PYTHONPATH": str(EXAMPLES / "code"), "PATH": programs}


class Mismatch(AssertionError):
    """The daemon did not write what the exchange shows."""


def play(text: str, data_dir: Path) -> int:
    """Plays all lines in order, ends stdin, and returns the daemon's exit code."""
    return asyncio.run(_play(text, data_dir))


async def _play(text: str, data_dir: Path) -> int:
    waiting: list[JSON] = []  # read, but not shown yet
    agents = ["--agents", str(EXAMPLES / "agents")]
    async with Daemon.spawn(["--data-dir", str(data_dir), *agents], env=environment()) as daemon:
        for line in text.splitlines():
            direction, _, message = line.partition(" ")
            if direction == "-->":
                daemon.send(message.encode() + b"\n")
            elif direction == "<--":
                await _expect(json.loads(message), daemon, waiting)
        daemon.close_stdin()
        return await daemon.wait_exit()


async def _expect(expected: JSON, daemon: Daemon, waiting: list[JSON]) -> None:
    """Takes the first message that shows what is expected, reading on until there is one."""
    for index, message in enumerate(waiting):
        if shows(message, expected):
            del waiting[index]
            return
    try:
        async with asyncio.timeout(WAIT_S):
            while not shows(message := await _next(daemon), expected):
                waiting.append(message)
    except (TimeoutError, EOFError) as error:
        told = "\n".join(json.dumps(message)[:200] for message in waiting)
        raise Mismatch(f"{json.dumps(expected)} did not come ({type(error).__name__}), but\n{told}") from None


async def _next(daemon: Daemon) -> JSON:
    """The next message, for which the helper alone would not wait long enough."""
    while True:
        try:
            return await daemon.recv()
        except TimeoutError:
            continue


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
