"""Lookups: what a session is sent while its agent is looked up waits, in order, and loses nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.methods.lookups import Answer, Lookups
from omnirt.protocol.types import Empty
from omnirt.sessions.inbox import MAX_ENTRIES
from tests.support.daemon import driven


class Script:
    """Finds when told to, and writes down what is called in which order."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.order: list[str] = []
        self.lookups = Lookups()

    def find(self) -> str:
        assert self.go.wait(20)
        return "agent"

    def call(self, name: str) -> Any:
        def carry_out(*_: object) -> Answer:
            self.order.append(name)
            return Empty()

        return carry_out

    def behind(self, name: str, *, ordered: bool = True, size: int = 0) -> Answer:
        return self.lookups.behind("s1", self.call(name), ordered=ordered, size=size)


async def gathered(*answers: Answer) -> list[object]:
    futures = [answer for answer in answers if isinstance(answer, asyncio.Future)]
    assert len(futures) == len(answers), "all had to wait"
    return await asyncio.gather(*futures, return_exceptions=True)


@driven
async def test_all_that_is_sent_to_a_session_that_starts_waits_in_order() -> None:
    script = Script()
    started = script.lookups.run("s1", script.find, script.call("start"), starting=True)
    answers = [
        script.behind("text"),
        script.behind("interrupt", ordered=False),
        script.behind("stop", ordered=False),
    ]
    listed = script.lookups.after_starts(script.call("list"))
    assert isinstance(script.lookups.behind("s2", script.call("other"), ordered=True), Empty)
    script.go.set()
    await gathered(started, *answers, listed)
    assert script.order == ["other", "start", "text", "interrupt", "stop", "list"]
    assert isinstance(script.behind("late"), Empty)


@driven
async def test_an_update_holds_up_inputs_and_nothing_else() -> None:
    script = Script()
    updated = script.lookups.run("s1", script.find, script.call("update"))
    text = script.behind("text")
    assert isinstance(script.behind("interrupt", ordered=False), Empty)
    assert isinstance(script.lookups.after_starts(script.call("list")), Empty)
    script.go.set()
    await gathered(updated, text)
    assert script.order == ["interrupt", "list", "update", "text"]


@driven
async def test_a_lookup_behind_a_lookup_holds_up_what_is_behind_it() -> None:
    script, second = Script(), threading.Event()

    def update() -> Answer:
        return script.lookups.run("s1", lambda: second.wait(20), script.call("update"))

    started = script.lookups.run("s1", script.find, script.call("start"), starting=True)
    updated = script.lookups.behind("s1", update, ordered=True)
    text = script.behind("text")
    script.go.set()
    await started
    assert script.order == ["start"]
    second.set()
    await gathered(updated, text)
    assert script.order == ["start", "update", "text"]


@driven
async def test_a_lookup_that_fails_is_told_before_what_waits_goes_on() -> None:
    script = Script()

    def find() -> None:
        script.find()
        raise OmnirtError("agent_invalid", "No.", path="$")

    def failed(error: OmnirtError) -> None:
        script.order.append(error.kind)

    started = script.lookups.run("s1", find, script.call("start"), failed, starting=True)
    text = script.behind("text")
    script.go.set()
    [problem, _] = await gathered(started, text)
    assert isinstance(problem, OmnirtError)
    assert script.order == ["agent_invalid", "text"]


@driven
async def test_a_cancelled_start_is_not_carried_out_and_a_fault_reaches_who_asked() -> None:
    script = Script()
    failures: list[str] = []
    started = script.lookups.run(
        "s1", script.find, script.call("start"), lambda error: failures.append(error.kind), starting=True
    )
    text = script.behind("text")
    started.cancel()
    script.go.set()
    await gathered(text)
    assert (script.order, failures) == (["text"], ["cancelled"])

    def fault() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await script.lookups.run("s1", fault, script.call("never"), lambda error: failures.append(error.kind))
    assert failures == ["cancelled", "internal"]


@driven
async def test_a_cancel_goes_on_to_what_was_begun() -> None:
    script = Script()
    begun: asyncio.Future[Empty] = asyncio.get_running_loop().create_future()
    started = script.lookups.run("s1", script.find, lambda _: begun, starting=True)
    script.go.set()
    text = script.behind("text")
    await gathered(text)
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun


@driven
async def test_what_waits_is_bounded_in_number_and_size() -> None:
    script = Script()
    started = script.lookups.run("s1", script.find, script.call("start"), starting=True)
    script.behind("large", size=40 * 1024 * 1024)
    with pytest.raises(OmnirtError) as caught:
        script.behind("larger", size=1)
    assert caught.value.kind == "overloaded"
    for _ in range(MAX_ENTRIES - 1):
        script.behind("small")
    with pytest.raises(OmnirtError):
        script.behind("one more")
    script.go.set()
    await started


@driven
async def test_at_the_end_no_thread_is_waited_for() -> None:
    script = Script()
    started = script.lookups.run(None, script.find, script.call("start"), starting=True)
    script.lookups.close()
    [problem] = await gathered(started)
    assert isinstance(problem, OmnirtError)
    script.go.set()
    assert script.order == []
