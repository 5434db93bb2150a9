"""Imports in a thread, beside a loop that goes on answering."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_S = 0.0005
"""How long the loop waits for the importing thread, each time it comes back from the system: four times for a
`ping`. With Python's own 5 ms the worst wait for a turn was 20 ms, now it is 2 to 7."""
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def beside_a_loop() -> Iterator[None]:
    """While modules are imported: the loop has its turn often, and the garbage collector rests.

    Else it looks at all that was imported again and again, while the loop stands still. One thread of a
    process at a time, or two daemons in it would leave each other's settings behind; and msgspec 0.22 crashes
    where two threads meet in the first use of a struct.
    """
    with _ONE_AT_A_TIME, _settings_of_imports():
        yield


async def make_ready(module: str) -> None:
    """Import a module that not every daemon needs, in a thread; where it is used, it is there then."""

    def load() -> None:
        with beside_a_loop():
            importlib.import_module(module)

    # Always: one that is there may still be in the midst of its import, for which the loop must not wait.
    await asyncio.to_thread(load)


@contextmanager
def _settings_of_imports() -> Iterator[None]:
    collects, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if collects:
            gc.enable()
