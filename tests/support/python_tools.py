"""Tools in Python, good and bad, for tests to name in a spec."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass
from typing import Any

from agents import FunctionTool, HostedMCPTool, RunContextWrapper, function_tool
from pydantic import BaseModel


@dataclass
class Weather:
    """What a tool may return."""

    city: str
    degrees: int


class Report(BaseModel):
    """The same, of pydantic."""

    city: str


def unsendable() -> str:
    """Replaced below."""
    return "never"


unsendable.__doc__ = "Half a character: \ud800."


def weather(city: str, days: int = 1) -> Weather:
    """The weather of a city.

    Args:
        city: Which one.
        days: How many days ahead.
    """
    return Weather(city, 20 + days)


async def report(city: str) -> Report:
    """A report."""
    await asyncio.sleep(0)
    return Report(city=city)


def place() -> dict[str, str]:
    """Where a plain function runs."""
    return {"thread": threading.current_thread().name}


async def place_async() -> dict[str, str]:
    """Where a coroutine runs."""
    return {"thread": threading.current_thread().name}


def fail(reason: str) -> str:
    """Fails."""
    raise ValueError(reason)


def mute() -> None:
    """Fails without a word."""
    raise KeyError


async def late() -> None:
    """Runs into a limit of its own, which is not the daemon's."""
    raise TimeoutError("the library gave up")


def leave() -> None:
    """Wants to end the process."""
    sys.exit(3)


async def leave_async() -> None:
    """The same in a coroutine."""
    raise SystemExit(3)


async def leave_task() -> str:
    """The same in a task of its own."""

    async def out() -> None:
        raise SystemExit(3)

    task = asyncio.create_task(out())
    await asyncio.wait({task})
    return "still there"


def stop() -> None:
    """Raises what no future takes."""
    raise StopIteration


async def call_off() -> None:
    """Cancels itself."""
    raise asyncio.CancelledError


class UnspeakableError(Exception):
    """Fails to say what it is."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError


def unspeakable() -> None:
    """Raises it."""
    raise UnspeakableError


class Unwritable:
    """Has a way to become JSON, which fails."""

    def model_dump(self, mode: str) -> object:
        """Fail."""
        raise RuntimeError(mode)


def unwritable() -> object:
    """Returns it."""
    return Unwritable()


def no_number() -> list[float]:
    """Returns what JSON has no word for."""
    return [1.5, float("nan")]


def hang() -> None:
    """Never returns."""
    threading.Event().wait()


async def hang_async() -> None:
    """Never returns, and is in nobody's way."""
    await asyncio.Event().wait()


async def block() -> None:
    """Holds up its loop, as an async function must not."""
    threading.Event().wait(4)


def shout() -> str:
    """Writes where only the protocol may."""
    print('{"jsonrpc":"2.0","method":"boo"}')  # noqa: T201 - it is what this tool is for
    sys.stdout.flush()
    return "shouted"


def odd() -> object:
    """Returns what is no JSON."""
    return object()


def circle() -> list[Any]:
    """Returns a list that holds itself."""
    own: list[Any] = []
    own.append(own)
    return own


def half() -> str:
    """Returns half a character."""
    return "half \ud83d"


def huge() -> str:
    """Returns more than a model can read."""
    return "x" * 3_000_000


@function_tool(needs_approval=True)
def pay(euros: int) -> str:
    """Pays."""
    return f"{euros} paid"


async def _dear(_context: RunContextWrapper[Any], arguments: dict[str, Any], _call_id: str) -> bool:
    return int(arguments["euros"]) > 5


@function_tool(needs_approval=_dear)
async def spend(context: RunContextWrapper[Any], euros: int) -> str:
    """Spends, and asks for more than five."""
    return f"{euros} spent, {type(context).__name__}"


@function_tool
def broken(city: str) -> str:
    """Fails behind the SDK's own net."""
    raise ValueError(f"no station in {city}")


@function_tool(timeout=0.05)
async def hasty() -> str:
    """Has a limit of its own."""
    await asyncio.Event().wait()
    return ""


@function_tool(is_enabled=False)
def off() -> str:
    """Is switched off."""
    return ""


@function_tool(is_enabled=lambda _context, _agent: True)
def perhaps() -> str:
    """Is on, says a function."""
    return ""


hosted = HostedMCPTool(
    tool_config={
        "type": "mcp",
        "server_label": "x",
        "server_url": "https://example.com",
        "require_approval": "never",
    }
)
number = 7


def größe() -> int:
    """Has a name that no provider takes."""
    return 1


def untyped(callback: threading.Event) -> None:
    """Takes what no JSON can hold."""


async def _invoke(_context: Any, arguments: str) -> str:
    return f"got {arguments}"


by_hand = FunctionTool(
    name="by_hand",
    description="Made by hand.",
    params_json_schema={"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    on_invoke_tool=_invoke,
)
