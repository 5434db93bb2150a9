"""The writer and the output queue on a real pipe: whole frames, exact numbers, nothing stale."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from omnirt.protocol.events import RealtimeAudio, RealtimeAudioInterrupted
from omnirt.rpc.lanes import OutputQueue
from omnirt.stdio import Input, Output
from tests.support.daemon import WAIT_S, driven


def new_output(fd: int) -> tuple[OutputQueue, Output]:
    queue = OutputQueue(10**8, overrun=lambda: None)
    queue.framing = "lines"
    output = Output(fd, queue)
    queue.wake = output.wake
    return queue, output


def audio(number: int) -> RealtimeAudio:
    return RealtimeAudio(
        session_id="s",
        run_id="r",
        at_ms=number,
        response_id="p",
        item_id="cut",
        content_index=0,
        audio=bytes(4800),
        offset_ms=number * 100,
        delta_ms=100,
        audio_format="pcm16",
    )


CUT = RealtimeAudioInterrupted(
    session_id="s",
    run_id="r",
    at_ms=9,
    item_id="cut",
    content_index=0,
    was_playing=True,
    heard_ms=0,
    generated_ms=1,
)


async def read_lines(fd: int, count: int) -> list[Any]:
    """The next lines, read in a thread: the loop stays free to write."""

    def read() -> list[Any]:
        with os.fdopen(os.dup(fd), "rb", buffering=0) as stream:
            data = b""
            while data.count(b"\n") < count and (chunk := stream.read(5000)):
                data += chunk
        return [json.loads(line) for line in data.splitlines()]

    return await asyncio.wait_for(asyncio.to_thread(read), WAIT_S)


@driven
async def test_after_an_interrupt_a_stalled_host_gets_at_most_the_frame_that_was_begun() -> None:
    read, write = os.pipe()
    queue, output = new_output(write)
    lane = queue.open_lane()
    lane.release()
    for number in range(400):
        lane.put(audio(number))
    for _ in range(5):
        await asyncio.sleep(0)
    waiting = lane.unsent_ms("cut", 0)
    assert 0 < waiting < 40_000
    lane.interrupt({"cut"}, [CUT])
    assert lane.unsent_ms("cut", 0) == 0
    sent = 400 - waiting // 100
    messages = await read_lines(read, sent + 1)
    assert [m["method"] for m in messages] == ["realtime.audio"] * sent + ["realtime.audioInterrupted"]
    assert [m["params"]["seq"] for m in messages] == list(range(1, sent + 2))
    assert output.idle
    output.close()
    os.close(read)


@driven
async def test_a_reply_overtakes_what_a_stalled_host_has_not_taken() -> None:
    read, write = os.pipe()
    queue, output = new_output(write)
    lane = queue.open_lane()
    lane.release()
    for number in range(400):
        lane.put(audio(number))
    for _ in range(5):
        await asyncio.sleep(0)
    sent = 400 - lane.unsent_ms("cut", 0) // 100
    queue.put(b'{"id":1}')
    messages = await read_lines(read, 401)
    assert messages[sent] == {"id": 1}
    assert len(messages) == 401
    output.close()
    os.close(read)


def sockets() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


@pytest.mark.parametrize("make", [os.pipe, sockets, os.openpty])
def test_every_kind_of_stream_gets_everything_in_order(make: Any) -> None:
    @driven
    async def run() -> None:
        read, write = make()
        queue, output = new_output(write)
        for number in range(20_000):
            queue.put(b'{"id":%d}' % number)
        messages = await read_lines(read, 20_000)
        assert [message["id"] for message in messages] == list(range(20_000))
        await asyncio.wait_for(output.drained(), WAIT_S)
        output.close()
        os.close(read)

    run()


@driven
async def test_a_reader_that_goes_away_is_noticed_without_writing() -> None:
    read, write = os.pipe()
    queue, output = new_output(write)
    assert not output.reader_gone()
    os.close(read)
    assert output.reader_gone()
    queue.put(b"{}")
    await asyncio.wait_for(output.drained(), WAIT_S)
    assert queue.priority_bytes == 0
    output.close()


@driven
async def test_a_reader_that_goes_away_while_it_is_waited_for_ends_the_wait() -> None:
    read, write = os.pipe()
    queue, output = new_output(write)
    queue.put(b"x" * 1_000_000)
    await asyncio.sleep(0)
    assert not output.idle
    os.close(read)
    await asyncio.wait_for(output.drained(), WAIT_S)
    assert output.gone
    output.close()


@driven
async def test_a_full_disk_is_logged_and_ends_the_writing() -> None:
    queue, output = new_output(os.open("/dev/full", os.O_WRONLY))
    queue.put(b"{}")
    await asyncio.wait_for(output.drained(), WAIT_S)
    assert output.gone
    output.close()


class Reader:
    """Collects what an Input reads."""

    def __init__(self, fd: int) -> None:
        self.data = b""
        self.grew = asyncio.Event()
        self.ended = asyncio.Event()
        self.input = Input(fd, self.take)
        self.input.start()

    def take(self, data: bytes) -> None:
        self.data += data
        self.grew.set()
        if not data:
            self.ended.set()


@pytest.mark.parametrize("make", [os.pipe, sockets])
def test_a_paused_input_reads_no_more_and_then_on(make: Any) -> None:
    @driven
    async def run() -> None:
        read, write = make()
        reader = Reader(read)
        os.write(write, b"one")
        await asyncio.wait_for(reader.grew.wait(), WAIT_S)
        reader.input.pause()
        reader.input.pause()
        os.write(write, b"two")
        for _ in range(5):
            await asyncio.sleep(0)
        assert reader.data == b"one"
        reader.input.resume()
        os.close(write)
        await asyncio.wait_for(reader.ended.wait(), WAIT_S)
        assert reader.data == b"onetwo"
        reader.input.close()
        reader.input.close()

    run()


@driven
async def test_a_file_is_read_by_a_thread_that_pauses_as_well(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"x" * 300_000)
    reader = Reader(os.open(path, os.O_RDONLY))
    await asyncio.wait_for(reader.grew.wait(), WAIT_S)
    reader.input.pause()
    paused_at = len(reader.data)
    while any(thread.name == "omnirt-stdin" for thread in threading.enumerate()) and not reader.input._owed:
        await asyncio.sleep(0)
    assert len(reader.data) <= paused_at + 65536
    reader.input.resume()
    await asyncio.wait_for(reader.ended.wait(), WAIT_S)
    assert len(reader.data) == 300_000
    reader.input.close()
