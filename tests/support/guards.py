"""Output guardrails in Python, good ones and bad ones, for specs of the tests to name."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents import GuardrailFunctionOutput

release = threading.Event()
"""Set at the end of a test: what hangs goes on."""
entered = threading.Event()
"""Set when `hangs` was called."""
hanging: list[str] = []
"""The texts that `hangs` was called with."""


def no_money(text: str) -> bool:
    """True for an answer that speaks of money."""
    return "$" in text


def polite(text: str) -> str | None:
    """Why an answer is not polite."""
    return None if "please" in text else "Say please."


async def slow_no_money(text: str) -> dict[str, Any]:
    """The same as `no_money`, on a loop, in a dict."""
    await asyncio.sleep(0)
    return {"tripped": "$" in text, "message": "Money was spoken of."}


class Strict:
    """A guardrail that is an object."""

    async def __call__(self, text: str) -> bool:
        """True for every answer."""
        return bool(text)


strict = Strict()


def broken(text: str) -> bool:
    """Raises; what it raises holds what nobody may read in a log."""
    raise ValueError(f"secret {text}")


def calls_itself_off(_text: str) -> bool:
    """Raises what cancels whoever waits for it."""
    raise asyncio.CancelledError


async def calls_itself_off_later(_text: str) -> bool:
    """The same on a loop."""
    raise asyncio.CancelledError


def nonsense(_text: str) -> object:
    """Gives what says nothing."""
    return 7


def hangs(text: str) -> bool:
    """Does not come back before the test says so."""
    hanging.append(text)
    entered.set()
    release.wait(30)
    return False


def sdk_guardrail(_context: object, agent: Any, output: str) -> GuardrailFunctionOutput:
    """What the SDK's own guardrail does."""
    from agents import GuardrailFunctionOutput

    return GuardrailFunctionOutput(output_info=f"{agent.name} said it.", tripwire_triggered="$" in output)


def __getattr__(name: str) -> object:
    """`of_sdk`, an OutputGuardrail, made when it is asked for: importing the SDK takes seconds."""
    if name == "of_sdk":
        from agents import OutputGuardrail

        return OutputGuardrail(guardrail_function=sdk_guardrail, name="sdk_money")
    raise AttributeError(name)
