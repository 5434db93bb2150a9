"""The fault matrix: each row injects one fault, and says what the host sees of it.

The rows are literal tables in `faults`, which docs/OPERATIONS.md shows to operators; one of the
unit tests holds the two together. Those of the provider are played all at once against one daemon: they wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.e2e.faults import connections, provider
from tests.e2e.faults.rows import Row, Seen, play
from tests.support.daemon import Message
from tests.support.host import Host

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("fault_matrix")]

ROWS = [*provider.ROWS, *connections.ROWS]
AT_ONCE = 16
ROW_S = 60.0
"""Bounds a hang."""

Outcomes = dict[str, asyncio.Task[Seen]]


def answer(call: Message) -> Message | None:
    """A host that answers tools at once, but the slow ones."""
    params = call["params"]
    slow = params["sessionId"].partition("-")[2] in ("tool", "approval")
    return None if slow else {"result": {"output": "done"}}


@pytest.fixture(scope="module")
async def outcomes(serving: Host) -> AsyncIterator[Outcomes]:
    """What came of each row; all are played from the first moment on."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(row: Row) -> Seen:
        async with limit, asyncio.timeout(ROW_S):
            return await play(serving, row)

    serving.answer = answer
    tasks = {row.name: asyncio.create_task(one(row)) for row in ROWS}
    yield tasks
    await asyncio.wait(tasks.values())
    await serving.settle()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_the_host_sees_of_a_fault(outcomes: Outcomes, row: Row) -> None:
    assert await outcomes[row.name] == row.seen


def test_no_two_rows_have_one_name() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
