"""Running output guardrails: patterns, and Python ones of every form, good and bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.sessions.answers import Answer
from omnirt.sessions.guard_checks import MAX_CALLS, Checker, finding_of
from omnirt.sessions.outputs import GuardrailCheck
from omnirt.specs.guardrails import Guardrails, make_guardrails
from omnirt.specs.problems import Place
from omnirt.specs.tool_loop import ToolLoop
from tests.support import guards as guards_of_tests
from tests.support.specs import parse_spec

WAIT_S = 10.0
MONEY = "It costs $5."


def python(name: str) -> str:
    return f"python:tests.support.guards:{name}"


class Desk:
    """A checker, and what came of its checks."""

    def __init__(self, checker_limit_s: float) -> None:
        self.loop = ToolLoop()
        self.verdicts: asyncio.Queue[tuple[list[str], str]] = asyncio.Queue()
        self.failures: list[OmnirtError] = []
        self.checker = Checker(
            self._judged,
            self.failures.append,
            self.loop,
            lambda name: SimpleNamespace(name=name),
            limit_s=checker_limit_s,
        )

    def _judged(self, _check: GuardrailCheck, tripped: Sequence[str], message: str) -> None:
        self.verdicts.put_nowait((list(tripped), message))

    async def judge(self, text: str, guards: Guardrails) -> tuple[list[str], str]:
        """The verdict on a text."""
        self.checker.start(GuardrailCheck(Answer("r1", "greeter", guards), text))
        async with asyncio.timeout(WAIT_S):
            return await self.verdicts.get()


@asynccontextmanager
async def desk(limit_s: float = WAIT_S) -> AsyncIterator[Desk]:
    made = Desk(limit_s)
    work = asyncio.create_task(made.checker.work())
    try:
        yield made
    finally:
        guards_of_tests.release.set()
        work.cancel()
        await asyncio.wait({work}, timeout=WAIT_S)
        made.loop.close()


def guards(*declared: Any, mode: str = "interrupt") -> Guardrails:
    spec = parse_spec({"name": "greeter", "output_guardrails": list(declared), "guardrail": mode})
    made = make_guardrails(spec, Place())
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("name", "told", "message"),
    [
        ("no_money", "no_money", "The answer broke `no_money`."),
        ("polite", "polite", "The answer broke `polite`. Say please."),
        ("slow_no_money", "slow_no_money", "The answer broke `slow_no_money`. Money was spoken of."),
        ("strict", "strict", "The answer broke `strict`."),
        ("of_sdk", "sdk_money", "The answer broke `sdk_money`. greeter said it."),
    ],
)
def test_a_python_guardrail_of_every_form_trips(name: str, told: str, message: str) -> None:
    async def main() -> None:
        async with desk() as made:
            assert await made.judge(MONEY, guards(python(name))) == ([told], message)
            assert made.failures == []

    asyncio.run(main())


@pytest.mark.parametrize("name", ["no_money", "polite", "slow_no_money", "of_sdk"])
def test_a_good_answer_passes(name: str) -> None:
    async def main() -> None:
        async with desk() as made:
            tripped, _ = await made.judge("It is free, please.", guards(python(name)))
            assert tripped == []

    asyncio.run(main())


def test_all_that_trip_are_named_patterns_first() -> None:
    async def main() -> None:
        async with desk() as made:
            declared = guards(python("polite"), {"name": "no_prices", "deny": [r"\$\d"]}, python("no_money"))
            tripped, message = await made.judge(MONEY, declared)
            assert tripped == ["no_prices", "polite", "no_money"]
            assert message == "The answer broke `no_prices`, `polite`, `no_money`. Say please."

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken", "it raised ValueError (guards.py, line "),
        ("nonsense", "it gave a int"),
        ("calls_itself_off", "it raised CancelledError"),
        ("calls_itself_off_later", "it raised CancelledError"),
        ("hangs", "it did not answer within 0.05 s"),
    ],
)
def test_one_that_fails_is_told_once_and_lets_pass_unless_sentences_are_held(name: str, why: str) -> None:
    async def main() -> None:
        guards_of_tests.release.clear()
        async with desk(0.05) as made:
            for _ in range(2):
                assert (await made.judge(MONEY, guards(python(name))))[0] == []
            [failure] = made.failures
            assert failure.kind == "agent_invalid"
            assert why in failure.message
            assert failure.message.endswith("While it does, answers pass.")
            assert "secret" not in failure.message
            assert MONEY not in failure.message
        async with desk(0.05) as made:
            guards_of_tests.release.clear()
            tripped, message = await made.judge(MONEY, guards(python(name), mode="holdback"))
            assert tripped == [name]
            assert message == f"The answer broke `{name}`. It could not be checked."
            assert made.failures[0].message.endswith("While it does, answers count as broken.")

    asyncio.run(main())


def test_one_that_hangs_takes_a_few_threads_and_no_more() -> None:
    async def main() -> None:
        guards_of_tests.release.clear()
        guards_of_tests.hanging.clear()
        async with desk(0.05) as made:
            declared = guards(python("hangs"))
            for _ in range(MAX_CALLS + 2):
                await made.judge(MONEY, declared)
            assert len(guards_of_tests.hanging) == MAX_CALLS

    asyncio.run(main())


def test_a_pattern_that_takes_too_long_neither_stalls_the_loop_nor_the_others() -> None:
    async def main() -> None:
        async with desk() as made:
            slow, quick = {"name": "slow", "deny": ["(a|aa)+$"]}, {"name": "quick", "deny": ["b"]}
            judging = asyncio.create_task(made.judge("a" * 60 + "b", guards(slow, quick)))
            turns = 0
            while not judging.done():
                await asyncio.sleep(0)
                turns += 1
            tripped, _ = judging.result()
            assert tripped == ["quick"]
            assert "a pattern took too long" in made.failures[0].message
            assert turns > 100, "the loop went on meanwhile"

    asyncio.run(main())


def test_patterns_that_take_too_long_together_are_given_up() -> None:
    async def main() -> None:
        async with desk(0.05) as made:
            slow = {"name": "slow", "deny": ["(a|aa)+$"]}
            tripped, _ = await made.judge("a" * 60 + "b", guards(slow, mode="holdback"))
            assert tripped == ["slow"]
            assert "took too long" in made.failures[0].message

    asyncio.run(main())


@pytest.mark.parametrize("result", [7, b"", [], {"tripped": "yes"}, {"message": "no"}, object()])
def test_what_says_nothing_is_a_failure(result: object) -> None:
    assert finding_of(result).failure


@pytest.mark.parametrize("result", [None, False, "", {"tripped": False}])
def test_what_says_no_passes(result: object) -> None:
    finding = finding_of(result)
    assert (finding.tripped, finding.failure) == (False, "")
