"""The socket whose audio goes straight on: in order with all else, and upstream without waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets import frames
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from omnirt.providers.dialing import dial
from omnirt.sessions import audio_socket
from omnirt.sessions.audio_socket import AudioSocket
from tests.support.daemon import driven

LIMIT_S = 5


def delta(number: int) -> str:
    return json.dumps(
        {"type": "response.output_audio.delta", "response_id": "r", "item_id": str(number), "delta": "AAAA"}
    )


def event(number: int) -> str:
    return json.dumps({"type": "response.output_text.delta", "item_id": str(number)})


@asynccontextmanager
async def connected(
    peer: Callable[[ServerConnection], Awaitable[None]], kind: type[AudioSocket] = AudioSocket
) -> AsyncIterator[AudioSocket]:
    async with serve(peer, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        socket = await dial(f"ws://127.0.0.1:{port}", {}, connection=kind)
        assert isinstance(socket, AudioSocket)
        yield socket
        await socket.close()


@driven
async def test_audio_overtakes_nothing_that_came_before_it() -> None:
    expected = [str(number) for number in range(40)]
    seen: list[str] = []

    async def peer(connection: ServerConnection) -> None:
        await connection.recv()
        for number in range(40):  # runs of either kind, in a few reads
            await connection.send(event(number) if number % 8 < 3 else delta(number))

    async with asyncio.timeout(LIMIT_S), connected(peer) as socket:
        socket.take_audio = lambda response_id, item_id, index, data: seen.append(item_id)
        await socket.send("go")
        async for message in socket:
            await asyncio.sleep(0)  # the stock model takes its time
            seen.append(json.loads(message)["item_id"])
    assert seen == expected


@driven
async def test_audio_that_is_not_taken_or_broken_is_read_as_all_else() -> None:
    whole = delta(1)
    others = [whole.replace("AAAA", text) for text in ("A?A", "AAA", "AAA\\/", "AAAA AAAA")]
    others += [whole.replace('"AAAA"', text) for text in ("123456", "null", '["AAAA"]')]

    async def peer(connection: ServerConnection) -> None:
        await connection.recv()
        for message in [whole, *others]:
            await connection.send(message)

    async with asyncio.timeout(LIMIT_S), connected(peer) as socket:
        await socket.send("go")
        messages = aiter(socket)
        assert await anext(messages) == whole.encode()
        socket.take_audio = lambda *audio: pytest.fail("it is not whole")
        assert [await anext(messages) for _ in others] == [message.encode() for message in others]


@driven
async def test_what_is_posted_arrives_in_order_with_what_is_sent() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def peer(connection: ServerConnection) -> None:
        async for message in connection:
            heard.put_nowait(str(message))

    async with asyncio.timeout(LIMIT_S), connected(peer) as socket:
        assert socket.post(b"1")
        assert socket.post(b"2")
        await socket.send("3")
        assert socket.post(b"4")
        assert [await heard.get() for _ in range(4)] == ["1", "2", "3", "4"]


@driven
async def test_a_post_waits_for_a_peer_that_does_not_read_and_goes_nowhere_after_the_end() -> None:
    reads = asyncio.Event()

    async def peer(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await reads.wait()
        connection.transport.resume_reading()
        async for _ in connection:
            pass

    async with asyncio.timeout(LIMIT_S), connected(peer) as socket:
        count = 0
        while socket.post(b"x" * 60_000):
            count += 1
            await asyncio.sleep(0)
        assert count
        reads.set()
        while not socket.post(b"x"):
            await asyncio.sleep(0)
        await socket.close()
        assert not socket.post(b"x")


@driven
async def test_the_library_has_the_names_that_are_used() -> None:
    async def peer(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with asyncio.timeout(LIMIT_S), connected(peer) as socket:
        assert callable(ClientConnection.process_event)
        assert callable(ClientConnection.send_data)
        assert callable(getattr(frames, "apply_mask", None))
        assert socket.protocol.writes == []
        assert socket.paused is False
        assert socket.send_in_progress is None


@driven
async def test_frames_of_all_lengths_are_the_librarys_or_as_it_makes_them() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    lengths = [0, 1, 125, 126, 127, 1300, 65_535, 65_536, 70_000]

    async def peer(connection: ServerConnection) -> None:
        async for message in connection:
            heard.put_nowait(str(message))

    async with asyncio.timeout(LIMIT_S), connected(peer) as socket:
        for length in lengths:
            assert socket.post(b"abcdefg" * (length // 7) + b"h" * (length % 7))
        texts = [await heard.get() for _ in lengths]
        assert [len(text) for text in texts] == lengths
        assert [text for text in texts if text != "abcdefg" * (len(text) // 7) + "h" * (len(text) % 7)] == []


@driven
async def test_no_masking_key_is_used_twice_in_a_row() -> None:
    async def peer(connection: ServerConnection) -> None:
        async for _ in connection:
            pass

    async with asyncio.timeout(LIMIT_S), connected(peer) as socket:
        for _ in range(600):  # of which some are fetched together
            assert socket.post(b"x" * 200)
        keys = [piece[4:8] for piece in socket.protocol.writes if len(piece) == 8]
        assert len(keys) == 600
        assert len(set(keys)) > 590


class Renamed(AudioSocket):
    """As with a library that has other names for what the socket's own ways use."""

    process_event = ClientConnection.process_event


@driven
async def test_without_the_names_the_ordinary_ways_carry_audio_in_order() -> None:
    seen: list[str] = []

    async def peer(connection: ServerConnection) -> None:
        await connection.recv()
        for number in range(20):
            await connection.send(event(number) if number % 3 else delta(number))

    async with asyncio.timeout(LIMIT_S), connected(peer, Renamed) as socket:
        socket.take_audio = lambda response_id, item_id, index, data: seen.append(item_id)
        for name in ("paused", "send_in_progress"):
            there = socket.__dict__.pop(name)
            assert not socket.post(b"go")
            setattr(socket, name, there)
        await socket.send("go")
        async for message in socket:
            seen.append(json.loads(message)["item_id"])
    assert seen == [str(number) for number in range(20)]


@driven
async def test_without_the_library_s_mask_its_own_frames_are_sent() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def peer(connection: ServerConnection) -> None:
        heard.put_nowait(str(await connection.recv()))

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(audio_socket, "_apply_mask", None)
        async with asyncio.timeout(LIMIT_S), connected(peer) as socket:
            assert socket.post(b"x" * 500)
            assert not [piece for piece in socket.protocol.writes if len(piece) == 8]
            assert await heard.get() == "x" * 500
