"""The provider `local` with somebody else's chat server: npm's aimock, which streams as OpenAI's API does."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.daemon import driven
from tests.support.host import Host
from tests.support.local import need_models
from tests.support.node_hosts import MODULES
from tests.support.programs import find_program, missing

SERVER = MODULES / "@copilotkit" / "aimock" / "dist" / "cli.js"
WAIT_S = 30.0
LONG = "One two three four five six seven eight nine ten."
FIXTURES = {
    "fixtures": [
        {
            "match": {"userMessage": "weather", "hasToolResult": False},
            "response": {"toolCalls": [{"name": "get_weather", "arguments": '{"city": "Lisbon"}'}]},
        },
        {
            "match": {"userMessage": "weather", "hasToolResult": True},
            "response": {"content": "It is sunny in Lisbon. Enjoy it!"},
        },
        {
            "match": {"userMessage": "Break off"},
            "response": {"content": LONG},
            "chunkSize": 4,
            "latency": 20,
            "truncateAfterChunks": 4,
        },
        {"match": {"userMessage": "Fall silent"}, "response": {"content": LONG}, "latency": 60_000},
        {
            "match": {"userMessage": "Refuse"},
            "response": {
                "error": {"message": "The model is overloaded.", "type": "server_error"},
                "status": 503,
            },
        },
        {"match": {"userMessage": "Are you there"}, "response": {"content": "Here I am again."}},
    ]
}
AGENT = {
    "name": "desk",
    "instructions": "Be brief.",
    "tools": [{"name": "get_weather", "run": "host", "parameters": {"type": "object"}}],
    "realtime_settings": {"modalities": ["text"]},
}


@asynccontextmanager
async def chat_server(folder: Path) -> AsyncIterator[str]:
    """The base URL of a running one."""
    if not SERVER.exists():
        missing("tests/hosts/js has no node_modules (npm ci)")
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps(FIXTURES))
    command = [find_program("node"), str(SERVER), "-p", "0", "-f", str(fixtures), "--strict"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_S):
            while not (found := re.search(rb"listening on (http\S+)", await process.stdout.readline())):
                assert not process.stdout.at_eof(), "it ended"
        yield f"{found[1].decode()}/v1"
    finally:
        process.kill()
        await process.communicate()


@driven
async def test_a_chat_server_that_is_not_ours_streams_calls_breaks_off_and_falls_silent(
    tmp_path: Path,
) -> None:
    need_models()
    async with chat_server(tmp_path) as url, Host.spawn(tmp_path / "data") as host:
        local = {"chat_base_url": url, "chat_model": "tiny", "service_timeout_s": 2}
        talk = await host.start(agent=AGENT, settings={"provider": "local", "local": local})
        await talk.ask("sendText", text="What is the weather like?")
        call = await host.call("tool.call")
        assert call["params"]["arguments"] == {"city": "Lisbon"}
        host.respond(call, result={"output": {"sky": "sunny"}})
        await talk.event("textDone", text="It is sunny in Lisbon. Enjoy it!")

        told = {"Break off": "broke off", "Fall silent": "said nothing", "Refuse": "The model is overloaded."}
        for number, (text, words) in enumerate(told.items(), 1):
            await talk.ask("sendText", text=text)
            end = await talk.event("responseEnd", number, status="failed")
            assert words in end["error"]["message"], end
        deltas = "".join(event["delta"] for event in talk.of("textDelta"))
        assert "One two" in deltas, "what came before it broke off was told"
        await talk.ask("sendText", text="Are you there?")
        await talk.event("textDone", text="Here I am again.")
        await talk.ask("stop")
