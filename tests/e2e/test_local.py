"""The provider `local` behind the daemon, as a host meets it: heard, answered, cut off, told what fails."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import chat_service as say
from tests.support.chat_service import ChatService, chat_service
from tests.support.daemon import Message, driven
from tests.support.host import Host, Talk
from tests.support.local import need_models
from tests.support.speech import silence, utterance

TOOL = {"name": "get_weather", "run": "host", "parameters": {"type": "object"}}
SALES = {"name": "sales", "instructions": "You sell hats.", "description": "Sells."}
AGENT: dict[str, Any] = {"name": "desk", "instructions": "Be brief.", "tools": [TOOL], "handoffs": [SALES]}
QUESTION = "what is the weather like in lisbon today"


@pytest.fixture(autouse=True)
def _models() -> None:
    need_models()


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.casefold()))


@asynccontextmanager
async def host_of(tmp_path: Path, *, tools: bool = True) -> AsyncIterator[Host]:
    async with Host.spawn(tmp_path, tools=tools) as host:
        yield host


async def start(host: Host, agent: object = AGENT, **local: object) -> Talk:
    return await host.start(agent=agent, settings={"provider": "local", "local": local})


async def ask_aloud(talk: Talk) -> str:
    """Ask about the weather, and what was heard of it."""
    await talk.say(utterance("weather") + silence(700))
    heard = await talk.event("transcriptDone", role="user")
    return plain(heard["text"])


def with_chat(there: ChatService) -> dict[str, object]:
    return {"chat_base_url": there.url, "chat_model": "tiny", "service_timeout_s": 2}


def messages(host: Host) -> list[str]:
    return [m["params"]["message"] for m in host.seen if m.get("method") == "log.message"]


@driven
async def test_a_question_is_heard_and_a_tool_is_called_by_voice(tmp_path: Path) -> None:
    script = {
        "rules": [
            {"match": "weather", "do": [{"call": {"tool": "get_weather", "arguments": {"city": "Lisbon"}}}]},
            {"on": "tool_output", "do": [{"say": "It is {tool_output.sky} there."}]},
        ]
    }
    async with host_of(tmp_path) as host:
        talk = await start(host, script=script)
        assert talk.started["provider"] == "local"
        assert any("No chat service" in message for message in messages(host))
        assert any("voice is ready" in message for message in messages(host))
        assert await ask_aloud(talk) == QUESTION
        call = await host.call("tool.call")
        assert call["params"]["arguments"] == {"city": "Lisbon"}
        host.respond(call, result={"output": {"sky": "sunny"}})
        assert (await talk.event("transcriptDone", role="assistant"))["text"] == "It is sunny there."
        assert talk.of("audio")
        await talk.ask("stop")


@driven
async def test_a_chat_service_thinks_calls_tools_hands_over_and_fails(tmp_path: Path) -> None:
    async with chat_service() as there, host_of(tmp_path) as host:
        there.will(
            say.calls("get_weather", '{"city": "Lisbon"}'), say.writes("It is sunny ", "in Lisbon. Enjoy it!")
        )
        talk = await start(host, **with_chat(there))
        assert not any("No chat service" in message for message in messages(host))
        assert await ask_aloud(talk) == QUESTION
        host.respond(await host.call("tool.call"), result={"output": {"sky": "sunny"}})
        said = await talk.event("transcriptDone", role="assistant")
        assert said["text"] == "It is sunny in Lisbon. Enjoy it!"
        asked = there.asked[1].json
        assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
        assert plain(asked["messages"][1]["content"]) == QUESTION
        assert asked["messages"][3]["content"] == '{"sky": "sunny"}'
        assert {tool["function"]["name"] for tool in asked["tools"]} == {"get_weather", "transfer_to_sales"}

        there.will(say.calls("transfer_to_sales", "{}"), say.writes("You want a hat, I hear."))
        await talk.ask("sendText", text="I want a hat.")
        assert (await talk.event("handoff"))["toAgent"] == "sales"
        await talk.event("transcriptDone", text="You want a hat, I hear.")
        assert there.asked[-1].json["messages"][0] == {"role": "system", "content": "You sell hats."}

        for failure, words in (
            (say.fails_midway("One "), "out of memory"),
            (say.stalls_after("One "), "said nothing"),
            (say.drops_after("One "), "broke off"),
        ):
            there.will(failure)
            await talk.ask("sendText", text="Again.")
            failed = len(talk.of("responseEnd", status="failed")) + 1
            end = await talk.event("responseEnd", failed, status="failed")
            assert words in end["error"]["message"]
        there.will(say.writes("Here I am again."))
        await talk.ask("sendText", text="Are you there?")
        await talk.event("transcriptDone", text="Here I am again.")
        await talk.ask("stop")


@driven
async def test_who_speaks_into_an_answer_is_heard_and_the_service_knows_what_was_heard(
    tmp_path: Path,
) -> None:
    async with chat_service() as there, host_of(tmp_path) as host:
        long = "Once upon a time there was a king who had a very long name. " * 6
        there.will(say.writes(long), say.writes("All right."))
        talk = await start(host, **with_chat(there))
        await talk.ask("sendText", text="A story, please.")
        audio = await talk.event("audio")
        await talk.event("audio", 12)
        item = {"itemId": audio["itemId"], "contentIndex": audio["contentIndex"]}
        await talk.ask("playback", **item, playedMs=900)
        await talk.say(utterance("stop") + silence(700))
        cut = await talk.event("audioInterrupted")
        assert cut["heardMs"] <= 1_200
        await talk.event("transcriptDone", text="All right.")
        told = [m["content"] for m in there.asked[-1].json["messages"] if m["role"] == "assistant"]
        assert " ".join(told).startswith("Once upon")
        assert len(" ".join(told)) < 40
        await talk.ask("stop")


@driven
async def test_what_is_missing_or_wrong_refuses_the_start_and_shows_no_key(tmp_path: Path) -> None:
    def refused(error: Message, kind: str, *words: str) -> None:
        assert error["kind"] == kind
        assert all(word in error["message"] for word in words), error["message"]

    async with host_of(tmp_path) as host:
        for local, kind, words in (
            ({"model_dir": str(tmp_path)}, "endpoint_unresolved", "encoder_model.ort"),
            ({"script": {"hears": ["Hello"]}}, "invalid_params", "hears"),
            ({"script": {"rules": [{"do": [{"sya": "x"}]}]}}, "invalid_params", "sya"),
            ({"chat_api_key": "sk-canary-of-the-host"}, "invalid_params", "chat_base_url"),
        ):
            settings = {"provider": "local", "local": local}
            error = await host.refused("session.start", sessionId="s", agent={"name": "a"}, settings=settings)
            refused(error, kind, words)
        assert "sk-canary-of-the-host" not in str(host.seen)
    assert b"sk-canary-of-the-host" not in host.daemon.stderr
