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


SETTINGS = {"api_key": BIRD, "headers": {"X-A": f"also-{BIRD}"}}


@pytest.mark.parametrize(
    "message",
    [
        {"id": 1, "method": "session.start", "settings": SETTINGS},
        {"id": 1, "params": {"settings": SETTINGS}},
        {"id": 1, "method": 5, "params": {"settings": SETTINGS}},
        {"id": 1, "method": "session.sendText", "params": {}, "settings": SETTINGS},
        {"id": 1, "method": "session.sendText", "params": [{"settings": SETTINGS}]},
        {"settings": SETTINGS},
        [[{"settings": SETTINGS}]],
        start(settings=json.dumps(SETTINGS)),
        start(settings={"header": {"X-T": BIRD}, "Headres": {"X-T": BIRD}, "environment": {"FOO": BIRD}}),
        start(settings={"api_key": 777123456789012345 + len("CANARY"), "token": 1.5}),
    ],
)
def test_what_is_not_as_the_protocol_says_may_have_secrets_anywhere(message: Any) -> None:
    text = masked(message)
    assert not [word for word in ("CANARY", "777123", "1.5") if word in text]


@pytest.mark.parametrize(
    "args",
    [
        ["--token", BIRD],
        [f"--api-key={BIRD}"],
        [f"--header=X-Key: {BIRD}"],
        ["-H", f"Authorization: Bearer {BIRD}"],
        ["--header", f"X-Key: {BIRD}"],
        ["run", "-e", f"FOO={BIRD}", "image"],
    ],
)
def test_arguments_of_a_server_are_hidden_behind_their_flags(args: list[str]) -> None:
    mask = MessageMask()
    server = {"name": "files", "type": "stdio", "command": "npx", "args": ["-y", "server", *args, "last"]}
    text = json.dumps(mask.host(start(agent={**AGENT, "mcp_servers": [server]})))
    assert "CANARY" not in text
    assert all(word in text for word in ("npx", '"-y"', '"server"', '"last"'))
    assert mask.daemon({"message": f"bad: {BIRD}"}) == {"message": "bad: ***"}


def test_keys_and_urls_in_a_talk_are_hidden_and_all_around_them_stays() -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.CANARY-signature"
    url = f"https://ana:{BIRD}@h.test/a b.png"
    image = f"https://h.test/x.png?size=7&X-Amz-Signature={BIRD}#top"
    message = {
        "id": 1,
        "method": "session.sendMessage",
        "params": {"content": [{"imageUrl": image}, {"text": f"Key sk-proj-CANARY123, {jwt} or {url}: ok?"}]},
    }
    content = [
        {"imageUrl": "https://h.test/x.png?size=7&X-Amz-Signature=***#top"},
        {"text": "Key ***, *** or https://ana:***@h.test/a b.png: ok?"},
    ]
    assert MessageMask().host(message) == {**message, "params": {"content": content}}
    assert MessageMask().daemon({"text": f"It was {jwt}"}) == {"text": "It was ***"}
    plain = start(agent={**AGENT, "instructions": "See https://h.test/a?b=%20c d#here."})
    assert MessageMask().host(plain) == plain


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
