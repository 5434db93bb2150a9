"""What an operator reads of sessions: one line for what happens to them, nothing that was said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, driven
from tests.support.host import Host

pytestmark = pytest.mark.anyio

LINES = [
    (None, r"ready: version \S+, process \d+"),
    ("s1", r"started: provider simulator, model \S+, \d+ ms"),
    ("s1", r"lost its connection: connectionLost, close code 1011"),
    ("s1", r"attempt 1 to connect again failed: provider_unreachable"),
    ("s1", r"is connected again: attempt 2, \d+ ms"),
    ("s1", r"closed: stopped, \d+ ms"),
    ("s2", r"not started: auth_failed"),
    (None, r"ending: eof"),
]


async def test_what_becomes_of_sessions_is_in_the_log(tmp_path: Path) -> None:
    drop = {"at": {"type": "conversation.item.create"}, "drop": {"code": 1011, "reason": "a canary"}}
    connections = [{"faults": [drop]}, {"faults": [{"refuse": 503}]}, {"faults": []}]
    script: dict[str, Any] = {"rules": [{"do": [{"text": "a canary"}]}], "connections": connections}
    async with Host.spawn(tmp_path / "data", "--log-format", "json", "--log-level", "info") as host:
        talk = await host.start("s1", script=script)
        await talk.ask("sendText", text="The canary sings")
        await talk.ask("wait")
        await talk.ask("stop")
        _, start = host.begin("s2", script={"faults": [{"refuse": 401}]})
        assert "error" in await host.reply(start)
        await host.finish()
        lines = [json.loads(line) for line in host.daemon.stderr.splitlines()]
    told = [(line.get("sessionId"), line["message"]) for line in lines if line["level"] == "info"]
    assert [session for session, _ in told] == [session for session, _ in LINES]
    for (_, message), (_, pattern) in zip(told, LINES, strict=True):
        assert re.fullmatch(pattern, message), message
    assert b"canary" not in host.daemon.stderr


@driven
async def test_by_default_only_what_is_wrong_is_told() -> None:
    async with Daemon.spawn() as daemon:
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0
        assert daemon.stderr == b""
