"""One thread for all sessions: the urgent first, sessions in turn, and what nobody wants not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from omnirt.errors import OmnirtError
from omnirt.loopback.local.workshop import Workshop

WAIT_S = 10


class Bench:
    """A workshop whose first piece of work ends when the test says so; the others are noted."""

    def __init__(self) -> None:
        self.workshop = Workshop("test")
        self.done: list[str] = []
        self._go_on = threading.Event()
        self._begun = threading.Event()

    async def occupy(self) -> asyncio.Task[None]:
        """Keep the thread busy."""
        task = asyncio.create_task(self.workshop.do("first", self._wait))
        await asyncio.to_thread(self._begun.wait, WAIT_S)
        return task

    def _wait(self) -> None:
        self._begun.set()
        assert self._go_on.wait(WAIT_S)

    def order(self, session: str, name: str, *, urgent: bool = True) -> asyncio.Task[None]:
        """Ask for work."""
        return asyncio.create_task(self.workshop.do(session, partial(self.done.append, name), urgent=urgent))

    async def finish(self, *tasks: asyncio.Task[None]) -> None:
        """Let it go on."""
        await asyncio.sleep(0)
        self._go_on.set()
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*tasks, return_exceptions=True)
        self.workshop.close()


def run(test: Callable[[Bench], Awaitable[None]]) -> list[str]:
    async def main() -> list[str]:
        bench = Bench()
        await test(bench)
        return bench.done

    return asyncio.run(main())


def test_sessions_take_turns_and_the_urgent_goes_first() -> None:
    async def test(bench: Bench) -> None:
        tasks = [await bench.occupy(), bench.order("a", "guess", urgent=False)]
        tasks += [bench.order("a", f"a{count}") for count in range(3)]
        tasks += [bench.order("b", f"b{count}") for count in range(2)]
        await bench.finish(*tasks)

    assert run(test) == ["a0", "b0", "a1", "b1", "a2", "guess"]


def test_what_is_cancelled_before_it_began_is_not_done() -> None:
    async def test(bench: Bench) -> None:
        busy = await bench.occupy()
        unwanted, wanted = bench.order("a", "unwanted"), bench.order("a", "wanted")
        await asyncio.sleep(0)
        unwanted.cancel()
        await bench.finish(busy, unwanted, wanted)

    assert run(test) == ["wanted"]


def test_a_fault_belongs_to_whoever_ordered_the_work() -> None:
    async def test(bench: Bench) -> None:
        def fault() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await bench.workshop.do("a", fault)
        await bench.finish(bench.order("a", "after"))

    assert run(test) == ["after"]


def test_one_session_cannot_fill_the_workshop() -> None:
    async def test(bench: Bench) -> None:
        tasks = [await bench.occupy(), *(bench.order("a", "x") for _ in range(32))]
        await asyncio.sleep(0)
        with pytest.raises(OmnirtError) as caught:
            await bench.workshop.do("a", lambda: None)
        assert caught.value.kind == "overloaded"
        await bench.finish(*tasks, bench.order("b", "y"))

    assert len(run(test)) == 33
