"""Canaries in every place of a message that configures something, and what of it may be written down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnirt.providers.masking import MessageMask

BIRD = "CANARY-0001+xyz"
AGENT: dict[str, Any] = {"name": "a", "instructions": "Say the code word."}


def start(**params: Any) -> dict[str, Any]:
    return {"id": 1, "method": "session.start", "params": {"agent": AGENT, **params}}


def masked(message: Any) -> str:
    return json.dumps(MessageMask().host(message))


@pytest.mark.parametrize(
    "settings",
    [
        {"openai_api_key": BIRD},
        {"api_key": [BIRD]},
        {"api_key": {"deep": [BIRD]}},
        {"headers": {"X-Anything": BIRD}},
        {"extra_headers": {"X-Token": {"a": BIRD}}},
        {"openai_headers": f"Authorization: Bearer {BIRD}"},
        {"openai_realtime_url": f"wss://user:{BIRD}@host.test/x?key={BIRD}&model=m"},
        {"azure_openai_endpoint": f"{BIRD}@res.openai.azure.com"},
        {"openai_base_url": f"https://h.test/v1?token={BIRD}"},
        {f"sk-{BIRD}": 1},
        {"local": {"chat_url": f"http://user:{BIRD}@127.0.0.1/v1", "chat_api_key": BIRD}},
        {"provider": f"sk-{BIRD}"},
    ],
)
def test_settings_are_written_down_without_their_secrets(settings: dict[str, Any]) -> None:
    for message in (start(settings=settings), [start(settings=settings)], start(settingz=settings)):
        assert "CANARY" not in masked(message)
    misspelt = {**start(settings=settings), "method": "session.begin"}
    assert "CANARY" not in masked(misspelt)


@pytest.mark.parametrize(
    "server",
    [
        {"name": "files", "type": "stdio", "command": "npx", "env": {"WHATEVER": BIRD}},
        {"name": "web", "type": "http", "url": f"https://h.test/?api_key={BIRD}", "headers": {"X-A": BIRD}},
        {"name": "web", "type": "sse", "url": f"https://{BIRD}@h.test/"},
    ],
)
@pytest.mark.parametrize("method", ["session.start", "session.update", "agent.validate"])
def test_servers_of_tools_are_written_down_without_theirs(server: dict[str, Any], method: str) -> None:
    agent = {**AGENT, "mcp_servers": [server], "handoffs": [{**AGENT, "mcp_servers": [server]}]}
    text = masked({"id": 1, "method": method, "params": {"agent": agent}})
    assert "CANARY" not in text
    assert "Say the code word." in text
    assert server["name"] in text


def test_variables_are_hidden_by_their_names() -> None:
    text = masked(start(variables={"customer": "Ana", "password": BIRD, "crm": {"api_key": BIRD}}))
    assert "CANARY" not in text
    assert "Ana" in text


def test_what_was_given_once_is_hidden_in_all_that_follows() -> None:
    mask = MessageMask([f"before-{BIRD}"])
    mask.host(start(settings={"api_key": BIRD, "headers": {"Cookie": "sid=CANARY-sid-7"}}))
    words = f"The key is {BIRD}, the other before-{BIRD}, the cookie CANARY-sid-7"
    for message in (
        mask.host({"method": "session.sendText", "params": {"text": words}}),
        mask.daemon({"a": [words]}),
    ):
        assert "CANARY" not in json.dumps(message)
    assert b"CANARY" not in mask.raw(f'{{"api_key": "{BIRD}", \xff'.encode("latin-1"))


def test_what_is_said_in_a_talk_stays_as_it_is() -> None:
    said = {
        "id": 2,
        "method": "session.sendText",
        "params": {"text": "My password: hello, token: 5", "code": "7"},
    }
    assert MessageMask().host(said) == said
    plain = start(settings={"provider": "simulator", "simulator": {"speed": 20, "script": {"rules": []}}})
    assert MessageMask().host(plain) == plain
    assert MessageMask().host("no message") == "no message"
