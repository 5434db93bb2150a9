"""However inputs, waits, cancels and the pump interleave: replies keep their order and nothing is lost."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings, strategies as st

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import SessionWaitResult
from omnirt.protocol.types import Result
from omnirt.sessions.inbox import INPUT_QUEUE_MS, AudioEntry, Entry, EventsEntry, Inbox, WaitEntry

ACTS = ["audio", "much audio", "text", "wait", "open", "pump", "idle", "cancel first", "cancel last", "loop"]


class Driver:
    """One inbox, and what the host and the pump know of it."""

    def __init__(self) -> None:
        self.journal: list[bytes] = []
        """What would have been recorded."""
        self.box = Inbox(self.journal.append)
        self.taken: list[Entry] = []
        """Accepted into the queue, in order."""
        self.out: list[Entry] = []
        """What the pump got, in order."""
        self.answered: list[Entry] = []
        """In the order of their answers."""
        self.replies: dict[int, asyncio.Future[Result]] = {}
        self.waiting: WaitEntry | None = None

    def put(self, entry: Entry) -> None:
        queued = self.box.queued_ms
        try:
            reply = self.box.put(entry)
        except OmnirtError:
            assert self.box.queued_ms == queued, "all of an input or none"
            return
        self.taken.append(entry)
        if isinstance(reply, asyncio.Future):
            self.replies[id(entry)] = reply
            reply.add_done_callback(lambda _: self.answered.append(entry))
        else:
            self.answered.append(entry)

    async def pump(self) -> None:
        if self.waiting is not None and not self.reply(self.waiting).done():
            return
        self.waiting = None
        if len(self.box):
            getting = asyncio.ensure_future(self.box.next())
            await asyncio.sleep(0)
            if not getting.done():
                getting.cancel()  # all that was left was withdrawn
                return
            entry = getting.result()
            self.out.append(entry)
            if isinstance(entry, AudioEntry):
                assert entry.data in self.journal, "recorded before it goes upstream"
                self.box.sent(entry.duration_ms)
            if isinstance(entry, WaitEntry):
                self.waiting = entry

    def idle(self) -> None:
        if self.waiting is not None and not self.reply(self.waiting).done():
            self.reply(self.waiting).set_result(SessionWaitResult(state="idle", responses=[]))

    def reply(self, entry: Entry) -> asyncio.Future[Result]:
        return self.replies[id(entry)]

    def cancel(self, index: int) -> None:
        pending = [reply for reply in self.replies.values() if not reply.done()]
        if pending:
            pending[index].cancel()

    def withdrawn(self, entry: Entry) -> bool:
        reply = self.replies.get(id(entry))
        return reply is not None and reply.cancelled()


async def drive(acts: list[str]) -> None:
    driver, opened = Driver(), False
    for act in acts:
        match act:
            case "audio":
                driver.put(AudioEntry(len(driver.taken).to_bytes(2, "big"), 20, False))
            case "much audio":
                data = len(driver.taken).to_bytes(2, "big")
                driver.put(AudioEntry(data, INPUT_QUEUE_MS // 2, False))
            case "text":
                driver.put(EventsEntry([], size=5))
            case "wait":
                driver.put(WaitEntry(60))
            case "open":
                driver.box.open()
                opened = True
            case "pump" if opened:  # nothing is carried out before the session is connected
                await driver.pump()
            case "idle":
                driver.idle()
            case "cancel first":
                driver.cancel(0)
            case "cancel last":
                driver.cancel(-1)
            case _:
                await asyncio.sleep(0)
        assert 0 <= driver.box.queued_ms <= INPUT_QUEUE_MS
    driver.box.open()
    for _ in range(4 * len(acts) + 4):
        await driver.pump()
        driver.idle()
        await asyncio.sleep(0)
    left = [entry for entry in driver.taken if not driver.withdrawn(entry)]
    assert [id(entry) for entry in driver.out if not driver.withdrawn(entry)] == [id(entry) for entry in left]
    assert all(reply.done() for reply in driver.replies.values())
    in_order = [id(entry) for entry in driver.answered if not driver.withdrawn(entry)]
    assert in_order == [id(entry) for entry in left], "answered in the order of the inputs"
    assert driver.journal == [entry.data for entry in left if isinstance(entry, AudioEntry)]
    assert driver.box.queued_ms == 0


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(ACTS), max_size=40))
def test_replies_keep_their_order_and_nothing_is_lost(acts: list[str]) -> None:
    asyncio.run(drive(acts))
