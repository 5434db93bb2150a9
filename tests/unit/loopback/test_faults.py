"""Faults of a provider, each over a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.unit.loopback.helpers import Event, of, types
from tests.unit.loopback.sockets import ask, connected, run, send, session, simulator, until, until_closed


def faulty(*faults: Event) -> dict[str, object]:
    return {"faults": list(faults), "rules": [{"do": [{"say": "story"}]}]}


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refused_handshake(status: int) -> None:
    async def test() -> None:
        async with simulator(faulty({"refuse": status})) as endpoint:
            with pytest.raises(InvalidStatus) as caught:
                await connect(endpoint.url, additional_headers={"api-key": endpoint.token})
            assert caught.value.response.status_code == status
            assert json.loads(caught.value.response.body)["error"]["message"]
            assert ("Retry-After" in caught.value.response.headers) is (status in (429, 503))

    run(test())


def test_a_handshake_that_hangs() -> None:
    async def test() -> None:
        async with simulator(faulty({"hang": True})) as endpoint:
            with pytest.raises(TimeoutError):
                await connect(endpoint.url, additional_headers={"api-key": endpoint.token}, open_timeout=0.2)
            pending = asyncio.ensure_future(
                asyncio.wait_for(connect(endpoint.url, additional_headers={"api-key": endpoint.token}), 10)
            )
            await asyncio.wait([pending], timeout=0.2)
        with pytest.raises(Exception, match=r"."):  # the server's end ends it, whatever the client calls that
            await pending

    run(test())


@pytest.mark.parametrize(
    ("drop", "code", "reason"),
    [
        (1000, 1000, ""),
        (1001, 1001, ""),
        (
            {"code": 1000, "reason": "Your session hit the maximum duration of 60 minutes."},
            1000,
            "Your session",
        ),
        (1008, 1008, ""),
        (1011, 1011, ""),
        ({"code": 4000, "reason": "custom"}, 4000, "custom"),
    ],
)
def test_a_connection_closed_in_the_midst_of_speech(drop: object, code: int, reason: str) -> None:
    async def test() -> None:
        async with session(faulty({"at": {"audio_delta": 3}, "drop": drop})) as socket:
            await ask(socket, "go")
            events, _ = await until_closed(socket)
            assert len(of(events, "response.output_audio.delta")) == 3
            assert types(events)[-1] == "response.output_audio.delta"
            assert socket.close_code == code
            assert (socket.close_reason or "").startswith(reason)

    run(test())


def test_a_connection_that_is_reset_without_a_close_frame() -> None:
    async def test() -> None:
        async with session(faulty({"at": {"after_ms": 500}, "drop": 1006})) as socket:
            assert isinstance((await until_closed(socket))[1], ConnectionClosedError)
            assert socket.close_code == 1006
            assert socket.protocol.close_rcvd is None

    run(test())


@pytest.mark.parametrize(
    ("at", "gone"),
    [
        ({"client_event": 2}, ["session.created", "session.updated"]),
        ({"type": "conversation.item.create"}, ["session.created", "session.updated"]),
        ({"type": "session.update"}, ["session.created"]),
        ({}, []),
    ],
)
def test_a_drop_at_a_client_event_or_at_once(at: Event, gone: list[str]) -> None:
    async def test() -> None:
        async with session(faulty({"at": at, "drop": 1011})) as socket:
            with suppress(ConnectionClosedError):  # it may be gone before the last is sent
                await send(socket, "session.update", session={"type": "realtime"})
                await ask(socket, "go")
            events, end = await until_closed(socket)
            assert end.rcvd is not None
            assert end.rcvd.code == 1011
            assert types(events) == gone

    run(test())


def test_the_nth_connection_has_its_own_faults() -> None:
    async def test() -> None:
        script = faulty() | {"connections": [{"faults": [{"refuse": 503}]}, {"faults": [{"drop": 1011}]}]}
        async with simulator(script) as endpoint:
            with pytest.raises(InvalidStatus):
                await connect(endpoint.url, additional_headers={"api-key": endpoint.token})
            async with connected(endpoint) as socket:
                assert isinstance((await until_closed(socket))[1], ConnectionClosedError)
            async with connected(endpoint) as socket:
                await ask(socket, "go")
                await until(socket, "response.done")

    run(test())


def test_a_server_that_accepts_and_never_answers() -> None:
    async def test() -> None:
        async with session(faulty({"silent": True})) as socket:
            await ask(socket, "go")
            await asyncio.wait_for(await socket.ping(), 5)  # what was sent before was taken
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.1)

    run(test())


def test_a_server_that_stops_answering() -> None:
    async def test() -> None:
        async with session(faulty({"at": {"audio_delta": 2}, "silent": True})) as socket:
            await ask(socket, "go")
            events = await until(socket, "response.output_audio.delta")
            events += await until(socket, "response.output_audio.delta")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.1)

    run(test())


def test_a_half_open_connection_answers_no_ping_and_stays() -> None:
    async def test() -> None:
        async with session(faulty({"at": {"type": "response.create"}, "half_open": True})) as socket:
            await asyncio.wait_for(await socket.ping(), 5)
            await ask(socket, "go")
            await until(socket, "conversation.item.done")
            pong = await socket.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pong, 0.3)
            socket.transport.abort()

    run(test())


def test_a_slow_server_delays_everything_and_keeps_the_order() -> None:
    async def test() -> None:
        async with session(faulty({"slow_ms": 20_000})) as socket:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.05)
            await ask(socket, "go")
            events = await until(socket, "response.done")
            assert types(events)[:3] == [
                "session.created",
                "conversation.item.added",
                "conversation.item.done",
            ]

    run(test())


def test_a_malformed_frame_between_good_ones() -> None:
    async def test() -> None:
        async with session(faulty({"at": {"audio_delta": 1}, "malformed": True})) as socket:
            await ask(socket, "go")
            await until(socket, "response.output_audio.delta")
            with pytest.raises(json.JSONDecodeError):
                await until(socket, "response.done")
            await until(socket, "response.done")

    run(test())


def test_an_event_that_nobody_knows() -> None:
    async def test() -> None:
        async with session(faulty({"at": {"audio_delta": 1}, "unknown_event": True})) as socket:
            await ask(socket, "go")
            assert len(of(await until(socket, "response.done"), "simulator.unknown")) == 1

    run(test())


def test_a_delta_that_is_no_base64() -> None:
    async def test() -> None:
        async with session(faulty({"at": {"audio_delta": 1}, "bad_audio": True})) as socket:
            await ask(socket, "go")
            deltas = of(await until(socket, "response.done"), "response.output_audio.delta")
            base64.b64decode(deltas[0]["delta"], validate=True)
            assert deltas[1]["delta"] == "not base64!"
            base64.b64decode(deltas[2]["delta"], validate=True)

    run(test())


def test_settings_that_are_never_confirmed_apply_all_the_same() -> None:
    async def test() -> None:
        async with session(faulty({"no_session_updated": True})) as socket:
            settings = {"type": "realtime", "output_modalities": ["text"]}
            await send(socket, "session.update", session=settings)
            await ask(socket, "go")
            events = await until(socket, "response.done")
            assert not of(events, "session.updated")
            assert of(events, "response.output_text.done")

    run(test())


def test_a_cancel_that_is_ignored() -> None:
    async def test() -> None:
        async with session(faulty({"ignore_cancel": True})) as socket:
            await ask(socket, "go")
            await until(socket, "response.output_audio.delta")
            await send(socket, "response.cancel")
            events = await until(socket, "response.done")
            assert events[-1]["response"]["status"] == "completed"

    run(test())


def test_events_of_a_type_that_is_ignored_do_nothing() -> None:
    async def test() -> None:
        async with session(faulty({"ignore": "response.create"})) as socket:
            await ask(socket, "go")
            await send(socket, "input_audio_buffer.clear")
            assert "response.created" not in types(await until(socket, "input_audio_buffer.cleared"))

    run(test())


def test_any_event_is_sent_as_it_stands() -> None:
    async def test() -> None:
        event = {"type": "response.done", "response": 7}
        async with session(faulty({"at": {"type": "conversation.item.create"}, "event": event})) as socket:
            await ask(socket, "go")
            assert event in await until(socket, "response.done")

    run(test())


def test_events_that_come_twice_come_as_they_are() -> None:
    async def test() -> None:
        async with session(faulty({"at": {"audio_delta": 1}, "twice": True})) as socket:
            await ask(socket, "go")
            events = await until(socket, "response.done")
            again = await until(socket, "response.done")
            assert events[-1] == again[-1]
            assert len(of(events, "response.output_audio.done")) == 2

    run(test())
