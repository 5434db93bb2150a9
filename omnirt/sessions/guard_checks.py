"""Runs output guardrails, all within time limits: patterns in a thread, Python ones where Python tools run.

A guardrail that raises, hangs or gives nonsense is told once. Its verdict is then that of the mode: with
`holdback` the answer counts as broken, as nothing unchecked is to be heard; else it passes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import anyio

from omnirt.errors import OmnirtError
from omnirt.sessions.faults import called_off
from omnirt.sessions.outputs import GuardrailCheck
from omnirt.specs.guardrails import Check, search_all
from omnirt.specs.threads import BusyError, describe, in_thread
from omnirt.specs.tool_loop import ToolLoop

CALL_S: Final = 5.0
"""How long a Python guardrail may take; a small model that judges takes one or two seconds."""
MAX_CALLS: Final = 2
"""Calls of one guardrail at once: one that hangs keeps its thread."""


@dataclass(frozen=True)
class Finding:
    """What one guardrail says of an answer, with a `message` in its own words; or why it can't say."""

    tripped: bool = False
    message: str = ""
    failure: str = ""


Judged: TypeAlias = Callable[[GuardrailCheck, Sequence[str], str], None]
"""Takes a verdict: the names of the guardrails that tripped, and why in words."""


class Checker:
    """Carries out the checks of one session.

    Args:
        judged: Takes each verdict.
        failed: Told once of each guardrail that fails.
        loop: Runs Python guardrails.
        sdk_agent: The SDK's agent of a name, for guardrails of the SDK's own form.
        limit_s: How long a Python guardrail may take, and all patterns together.
    """

    def __init__(
        self,
        judged: Judged,
        failed: Callable[[OmnirtError], None],
        loop: ToolLoop,
        sdk_agent: Callable[[str], object],
        limit_s: float = CALL_S,
    ) -> None:
        self._judged = judged
        self._failed = failed
        self._loop = loop
        self._sdk_agent = sdk_agent
        self._limit_s = limit_s
        # Bounded by the answers that run at once: each has one check at a time.
        self._waiting: asyncio.Queue[GuardrailCheck] = asyncio.Queue()
        self._told: set[str] = set()
        self._calls: dict[str, set[object]] = {}
        """Of each Python guardrail those calls that have not come back, also after we gave up on them."""

    def start(self, check: GuardrailCheck) -> None:
        """Take a check; its verdict comes later."""
        self._waiting.put_nowait(check)

    async def work(self) -> None:
        """Carry checks out until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                group.start_soon(self._check, await self._waiting.get())

    async def _check(self, check: GuardrailCheck) -> None:
        guards, text = check.answer.guards, check.text.strip()
        patterns = [entry for entry in guards.checks if entry.call is None]
        calls = [entry for entry in guards.checks if entry.call is not None]
        asked = asyncio.gather(*(self._ask(entry, check.answer.agent, text) for entry in calls))
        findings = [*await self._search(patterns, text), *await asked]
        tripped: dict[str, str] = {}
        for entry, finding in zip([*patterns, *calls], findings, strict=True):
            if finding.failure:
                self._tell(entry, finding.failure, holds=guards.holds)
            if finding.tripped or (finding.failure and guards.holds):
                tripped[entry.name] = finding.message or (finding.failure and "It could not be checked.")
        self._judged(check, list(tripped), in_words(tripped))

    async def _search(self, patterns: list[Check], text: str) -> list[Finding]:
        if not patterns:
            return []
        try:
            async with asyncio.timeout(self._limit_s):  # the library looks at its own limit now and then only
                found = await asyncio.wrap_future(in_thread(lambda: search_all(patterns, text)))
        except BusyError as error:
            return [Finding(failure=str(error))] * len(patterns)
        except TimeoutError:
            return [Finding(failure="its patterns, or those beside it, took too long")] * len(patterns)
        return [Finding(failure="a pattern took too long") if f is None else Finding(f) for f in found]

    async def _ask(self, entry: Check, agent: str, text: str) -> Finding:
        members: tuple[object, ...] = (text,)
        if entry.sdk:
            from agents import RunContextWrapper

            members = RunContextWrapper(None), self._sdk_agent(agent), text
        calls = self._calls.setdefault(entry.name, set())
        if len(calls) >= MAX_CALLS:
            return Finding(failure="it hangs")
        try:
            async with asyncio.timeout(self._limit_s):
                return finding_of(await self._loop.run(lambda: _called(entry, members, calls)))
        except TimeoutError:
            return Finding(failure=f"it did not answer within {self._limit_s:g} s")
        except BusyError as error:
            return Finding(failure=str(error))
        except asyncio.CancelledError:
            if called_off():
                raise
            return Finding(failure="it raised CancelledError")
        except Exception as error:  # noqa: BLE001 - whatever the code raises
            return Finding(failure=describe(error))

    def _tell(self, entry: Check, failure: str, *, holds: bool) -> None:
        if entry.name in self._told:
            return
        self._told.add(entry.name)
        effect = "answers count as broken" if holds else "answers pass"
        message = f"The output guardrail `{entry.name}` failed: {failure}. While it does, {effect}."
        self._failed(OmnirtError("agent_invalid", message))


def finding_of(result: object) -> Finding:
    """What a Python guardrail's result means: a bool, None, a text (why not), a dict, or the SDK's form."""
    match result:
        case None | False:
            return Finding()
        case True:
            return Finding(tripped=True)
        case str():
            return Finding(tripped=bool(result), message=result)
        case Mapping() if isinstance(result.get("tripped"), bool):
            message = result.get("message")
            return Finding(result["tripped"], message if isinstance(message, str) else "")
    tripped = getattr(result, "tripwire_triggered", None)
    if isinstance(tripped, bool):
        info = getattr(result, "output_info", None)
        return Finding(tripped, info if isinstance(info, str) else "")
    return Finding(failure=f"it gave a {type(result).__name__}, and neither a bool, a text nor {{tripped}}")


def in_words(tripped: Mapping[str, str]) -> str:
    """Which guardrails an answer broke, and what they say of it."""
    names = ", ".join(f"`{name}`" for name in tripped)
    said = " ".join(message for message in tripped.values() if message)
    return f"The answer broke {names}." + (f" {said}" if said else "")


async def _called(entry: Check, members: tuple[object, ...], calls: set[object]) -> Any:
    call = entry.call
    assert call is not None, "patterns are searched"
    this = object()
    calls.add(this)

    def blocking() -> Any:
        try:
            return call(*members)
        finally:
            calls.discard(this)

    if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__):
        return await blocking()
    result = await asyncio.to_thread(blocking)
    return await result if inspect.isawaitable(result) else result
