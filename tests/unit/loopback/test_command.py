"""`omnirt simulate` as a process."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from omnirt.loopback import command
from tests.unit.loopback.helpers import EXAMPLES, said
from tests.unit.loopback.sockets import ask, run, until


async def simulate(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "omnirt", "simulate", *arguments, stdout=PIPE, stderr=PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_a_script_until_it_is_told_to_stop(number: signal.Signals) -> None:
    async def test() -> None:
        script = str(EXAMPLES / "scripts" / "weather.yaml")
        process = await simulate("--script", script, "--token", "sesame", "--speed", "20")
        assert process.stdout
        line = (await process.stdout.readline()).decode()
        found = re.search(r"ws://127\.0\.0\.1:\d+/v1/realtime", line)
        assert found
        async with connect(found[0], additional_headers={"Authorization": "Bearer sesame"}) as socket:
            await ask(socket, "A story, please")
            assert said(await until(socket, "response.done")).startswith("Once upon a time")
        process.send_signal(number)
        _, stderr = await process.communicate()
        assert process.returncode == 0
        assert stderr == b""

    run(test())


def test_where_it_listens_is_told_to_programs_too() -> None:
    async def test() -> None:
        process = await simulate("--token", "sesame", "--json")
        assert process.stdout
        facts = json.loads(await process.stdout.readline())
        assert (facts["key"], facts["url"]) == ("sesame", f"{facts['baseUrl']}/realtime")
        async with connect(facts["url"], additional_headers={"Authorization": "Bearer sesame"}) as socket:
            await ask(socket, "Hello")
        process.terminate()
        await process.communicate()
        assert process.returncode == 0

    run(test())


def test_a_wrong_script_is_named_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "script.yaml"
    file.write_text("rules:\n  - do: [{sing: x}]\n")
    assert command.run(["--script", str(file)]) == 2
    message = capsys.readouterr().err
    assert str(file) in message
    assert "$.rules[0].do[0]" in message


@pytest.mark.parametrize("arguments", [["--speed", "0"], ["--port", "99999"]])
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(arguments) == 2
    assert capsys.readouterr().err.startswith("omnirt simulate: ")
