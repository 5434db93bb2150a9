"""The host's inputs: in order, bounded, answered on acceptance, held back by a wait for idle."""

from __future__ import annotations

import asyncio

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import SessionSendAudioResult, SessionWaitResult
from omnirt.protocol.types import Empty, Result
from omnirt.sessions import inbox
from omnirt.sessions.inbox import AudioEntry, EventsEntry, Inbox, WaitEntry
from tests.support.daemon import driven

IDLE = SessionWaitResult(state="idle", responses=[])


async def opened() -> Inbox:
    box = Inbox()
    box.open()
    await settled()
    return box


def future_of(reply: inbox.Reply) -> asyncio.Future[Result]:
    assert isinstance(reply, asyncio.Future)
    return reply


def answer(wait: WaitEntry) -> None:
    """What the pump does when the talk is idle."""
    assert wait.reply is not None
    wait.reply.set_result(IDLE)


async def settled() -> None:
    """Let callbacks run."""
    for _ in range(3):
        await asyncio.sleep(0)


@driven
async def test_inputs_are_answered_at_once_and_come_out_in_order() -> None:
    box = await opened()
    assert box.put(AudioEntry(b"\0" * 960, 20, False)) == SessionSendAudioResult(accepted_ms=20, queued_ms=20)
    assert box.put(EventsEntry([], ask=True)) == Empty()
    assert isinstance(await box.next(), AudioEntry)
    box.sent(20)
    assert isinstance(await box.next(), EventsEntry)
    assert (box.queued_ms, len(box)) == (0, 0)


@driven
async def test_until_the_session_is_connected_nothing_is_answered() -> None:
    box = Inbox()
    replies = [future_of(box.put(EventsEntry([]))) for _ in range(3)]
    await settled()
    assert not any(reply.done() for reply in replies)
    box.open()
    assert [reply.result() for reply in replies] == [Empty()] * 3


@driven
async def test_nothing_is_answered_before_what_was_answered_before_it() -> None:
    box = Inbox()
    order: list[str] = []
    future_of(box.put(EventsEntry([]))).add_done_callback(lambda _: order.append("first"))
    box.open()
    second = future_of(box.put(EventsEntry([])))  # in the same step of the loop
    second.add_done_callback(lambda _: order.append("second"))
    await settled()
    assert order == ["first", "second"]


@driven
async def test_a_wait_holds_back_what_is_behind_it() -> None:
    box = await opened()
    wait = WaitEntry(5)
    waiting, held = future_of(box.put(wait)), future_of(box.put(EventsEntry([])))
    other = WaitEntry(5)
    second, last = future_of(box.put(other)), future_of(box.put(EventsEntry([])))
    assert await box.next() is wait
    answer(wait)
    await settled()
    assert waiting.done()
    assert held.done()
    assert not second.done()
    assert not last.done()
    answer(other)
    await settled()
    assert last.result() == Empty()


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_wait_that_ends_before_its_turn_holds_back_nothing(how: str) -> None:
    async def main() -> None:
        box = await opened()
        busy = EventsEntry([])
        box.put(busy)
        wait = WaitEntry(0 if how == "timed out" else 5)
        waiting, held = future_of(box.put(wait)), future_of(box.put(EventsEntry([])))
        if how == "cancelled":
            waiting.cancel()
        async with asyncio.timeout(5):
            assert await held == Empty()
        if how == "timed out":
            with pytest.raises(OmnirtError, match="not idle within 0 s") as error:
                await waiting
            assert error.value.kind == "timed_out"

    asyncio.run(main())


@driven
async def test_the_clock_of_a_wait_stops_with_it() -> None:
    box = await opened()
    wait = WaitEntry(3600)
    future_of(box.put(wait))
    assert wait.timer
    answer(wait)
    await settled()
    assert wait.timer.cancelled()


@driven
async def test_the_clock_of_a_wait_runs_only_when_it_is_its_turn() -> None:
    box = await opened()
    first, second = WaitEntry(5), WaitEntry(5)
    box.put(first)
    box.put(second)
    assert first.timer
    assert second.timer is None
    answer(first)
    await settled()
    assert second.timer


@driven
async def test_what_the_host_withdrew_does_not_go_upstream() -> None:
    box = Inbox()
    audio = future_of(box.put(AudioEntry(b"\0" * 48, 1, False)))
    text = future_of(box.put(EventsEntry([{"type": "x"}], size=10)))
    kept = EventsEntry([])
    box.put(kept)
    audio.cancel()
    text.cancel()
    box.open()
    assert await box.next() is kept
    assert box.queued_ms == 0


@driven
async def test_a_full_queue_takes_nothing_of_an_input() -> None:
    box = await opened()
    box.put(AudioEntry(b"", inbox.INPUT_QUEUE_MS, False))
    with pytest.raises(OmnirtError) as full:
        box.put(AudioEntry(b"", 1, False))
    assert (full.value.kind, full.value.retryable) == ("overloaded", True)
    assert "120000 ms of audio" in full.value.message
    assert full.value.facts == {"queuedMs": inbox.INPUT_QUEUE_MS}
    assert (box.queued_ms, len(box)) == (inbox.INPUT_QUEUE_MS, 1)
    box.put(EventsEntry([], size=10))  # a text still fits
    await box.next()
    box.sent(inbox.INPUT_QUEUE_MS)
    box.put(AudioEntry(b"", 1, False))


@driven
async def test_texts_and_entries_are_bounded() -> None:
    box = await opened()
    box.put(EventsEntry([], size=inbox.MAX_TEXT_BYTES))
    with pytest.raises(OmnirtError, match=f"full .{inbox.MAX_TEXT_BYTES} bytes of texts"):
        box.put(EventsEntry([], size=1))
    await box.next()
    for _ in range(inbox.MAX_ENTRIES):
        box.put(AudioEntry(b"", 0, False))
    with pytest.raises(OmnirtError, match=f"full .{inbox.MAX_ENTRIES} inputs"):
        box.put(WaitEntry(1))


@driven
async def test_the_end_answers_all_that_is_unanswered() -> None:
    box = await opened()
    waiting, held = future_of(box.put(WaitEntry(5))), future_of(box.put(EventsEntry([])))
    box.fail(lambda: OmnirtError("session_state", "Over."))
    for reply in (waiting, held):
        with pytest.raises(OmnirtError, match="Over"):
            await reply
    assert len(box) == 0


@driven
async def test_a_stop_comes_behind_the_waits_before_it_and_before_the_inputs_behind_them() -> None:
    box = await opened()
    order: list[str] = []
    wait = WaitEntry(5)
    box.put(wait)
    held = future_of(box.put(EventsEntry([])))
    held.add_done_callback(lambda _: order.append("held"))

    def stop() -> None:
        order.append("stop")
        box.close()

    box.after_waits(stop)
    assert order == []
    answer(wait)
    await settled()
    assert order == ["stop"]
    assert not held.done()
