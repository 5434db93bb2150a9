"""The simulator over real sockets: who gets in, how fast it talks, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from omnirt.errors import OmnirtError
from omnirt.loopback import LoopbackServer, SimulatorProfile, load_script
from tests.support.programs import find_program
from tests.unit.loopback.helpers import audio, only, recording, said
from tests.unit.loopback.sockets import (
    SPEED,
    ask,
    connected,
    run,
    send,
    session,
    simulator,
    until,
    until_closed,
)


@pytest.mark.parametrize("way", ["bearer", "api-key", "query", "subprotocol"])
def test_a_token_is_taken_where_clients_put_it(way: str) -> None:
    async def test() -> None:
        async with simulator() as endpoint:
            key = endpoint.token
            headers = {"bearer": {"Authorization": f"Bearer {key}"}, "api-key": {"api-key": key}}.get(way, {})
            url = endpoint.url + (f"?api_key={key}" if way == "query" else "?model=gpt-x")
            names = ["realtime", f"openai-insecure-api-key.{key}"] if way == "subprotocol" else None
            protocols = None if names is None else [Subprotocol(name) for name in names]
            async with connect(url, additional_headers=headers, subprotocols=protocols) as socket:
                [created] = await until(socket, "session.created")
                assert created["session"]["model"] == ("gpt-realtime" if way == "query" else "gpt-x")
                assert socket.subprotocol == (None if names is None else "realtime")

    run(test())


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {}, 401),
        ("", {"Authorization": "Bearer wrong"}, 401),
        ("", {"Authorization": "Basic x"}, 401),
        ("", {"api-key": "k\u00e9y"}, 401),
        ("?api_key=wrong", {}, 401),
        ("/nowhere", {}, 404),
    ],
)
def test_others_stay_outside(path: str, headers: dict[str, str], status: int) -> None:
    async def test() -> None:
        async with simulator() as endpoint:
            with pytest.raises(InvalidStatus) as caught:
                await connect(endpoint.url + path, additional_headers=headers)
            assert caught.value.response.status_code == status
            problem = json.loads(caught.value.response.body)["error"]
            assert problem["code"] == {401: "invalid_api_key", 404: "model_not_found"}[status]

    run(test())


def test_a_closed_endpoint_lets_nobody_in_and_those_inside_go_on() -> None:
    async def test() -> None:
        async with LoopbackServer() as server:
            endpoint = server.open(SimulatorProfile(speed=SPEED))
            async with connected(endpoint) as socket:
                server.close(endpoint)
                server.close(endpoint)
                await ask(socket, "Hello")
                await until(socket, "response.done")
                with pytest.raises(InvalidStatus):
                    await connect(endpoint.url, additional_headers={"api-key": endpoint.token})

    run(test())


def test_each_token_has_its_script_and_two_servers_live_in_one_process() -> None:
    async def test() -> None:
        async with LoopbackServer() as one, LoopbackServer() as other:
            answers = []
            for server, recording_name in ((one, "done"), (one, "failed"), (other, "welcome")):
                script = load_script({"rules": [{"do": [{"say": recording_name}]}]})
                async with connected(server.open(SimulatorProfile(script, SPEED))) as socket:
                    await ask(socket, "Hello")
                    answers.append(said(await until(socket, "response.done")))
            assert answers == ["That is done.", "I am sorry, that did not work.", "You are welcome."]

    run(test())


def test_a_spoken_conversation() -> None:
    async def test() -> None:
        async with session() as socket:
            await until(socket, "session.created")
            spoken = recording("story")
            for at in range(0, len(spoken), 960):
                data = base64.b64encode(spoken[at : at + 960]).decode()
                await send(socket, "input_audio_buffer.append", audio=data)
            events = await until(socket, "response.done")
            assert said(events).startswith("Once upon a time")
            assert len(audio(events)) == 9527 * 48

    run(test())


@pytest.mark.parametrize("speed", [5.0, 40.0])
def test_speed_divides_the_waits(speed: float) -> None:
    async def test() -> None:
        async with session({"rules": [{"do": [{"wait_ms": 4000}, {"say": "done"}]}]}, speed) as socket:
            began = time.monotonic()
            await ask(socket, "Hello")
            await until(socket, "response.done")
            assert time.monotonic() - began >= 4 / speed

    run(test())


@pytest.mark.parametrize("speed", [0, -1, 10**6, float("nan")])
def test_an_absurd_speed_is_refused(speed: float) -> None:
    with pytest.raises(OmnirtError):
        LoopbackServer().open(SimulatorProfile(speed=speed))


def test_many_conversations_at_once_stay_apart() -> None:
    async def talk(number: int, server: LoopbackServer) -> None:
        name = ["done", "failed", "welcome", "heard"][number % 4]
        script = load_script({"rules": [{"do": [{"say": name}]}]})
        async with connected(server.open(SimulatorProfile(script, SPEED))) as socket:
            for _ in range(3):
                await ask(socket, "go")
                events = await until(socket, "response.done")
                done = only(events, "response.done")["response"]["output"][0]["content"][0]["transcript"]
                assert said(events) == done

    async def test() -> None:
        async with LoopbackServer() as server, asyncio.TaskGroup() as tasks:
            talks = [tasks.create_task(talk(number, server)) for number in range(20)]
            await asyncio.wait(talks)

    run(test())


def test_the_server_ends_with_clients_inside() -> None:
    async def test() -> None:
        async with LoopbackServer() as server:
            endpoint = server.open(SimulatorProfile(speed=1))
            client = connected(endpoint)
            socket = await client.__aenter__()
            await ask(socket, "Tell me a story")
            await until(socket, "response.output_audio.delta")
        with pytest.raises(ConnectionClosed):
            await until(socket, "response.done")
        assert socket.close_code == 1001
        await client.__aexit__(None, None, None)

    run(test())


def test_neither_tokens_nor_audio_are_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with simulator() as endpoint:
            assert endpoint.token not in repr(endpoint)
            async with connected(endpoint) as socket:
                await ask(socket, "Hello")
                await until(socket, "response.done")
            with pytest.raises(InvalidStatus):
                await connect(endpoint.url, additional_headers={"api-key": "wrong-secret"})
            assert endpoint.token not in caplog.text
            assert "wrong-secret" not in caplog.text

    caplog.set_level(logging.DEBUG, logger="omnirt")
    caplog.set_level(logging.DEBUG, logger="omnirt.loopback.websockets")
    run(test())
    assert not [record for record in caplog.records if record.name.startswith("omnirt")]


def test_any_text_is_spoken_over_the_socket_and_a_missing_voice_fails_the_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find_program("espeak-ng")
    script = {"rules": [{"do": [{"say": "You said {text}."}]}]}

    async def test() -> None:
        async with session(script) as socket:
            await ask(socket, "something new")
            events = await until(socket, "response.done")
            assert said(events) == "You said something new."
            assert len(audio(events)) > 48 * 800

    async def test_without() -> None:
        profile = SimulatorProfile(load_script(script), SPEED)
        monkeypatch.setenv("PATH", "")
        async with LoopbackServer() as server, connected(server.open(profile)) as socket:
            await ask(socket, "something new")
            response = (await until(socket, "response.done"))[-1]["response"]
            assert response["status"] == "failed"
            await ask(socket, "something else")
            await until(socket, "response.done")

    run(test())
    run(test_without())


def test_a_fault_of_the_simulator_itself_ends_one_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        async with simulator() as endpoint, connected(endpoint) as good:
            async with connected(endpoint) as bad:
                with monkeypatch.context() as patch:
                    patch.setattr("omnirt.loopback.faults.Line.receive", broken)
                    await ask(bad, "Hello")
                    _, end = await until_closed(bad)
                assert end.rcvd is not None
                assert end.rcvd.code == 1011
            await ask(good, "Hello")
            await until(good, "response.done")

    run(test())
    assert "The conversation failed" in caplog.text
