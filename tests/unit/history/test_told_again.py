"""A stored talk is told again as its host was told it, and what is kept for that holds no words."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from omnirt.history.tape import tape_of
from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolApproveResult, ToolCallParams, ToolCallResult
from omnirt.protocol.pending import CallFailed
from omnirt.protocol.types import ContentPart, Event, Item
from omnirt.sessions import RealtimeSession
from omnirt.storage import AudioStorage
from omnirt.storage.patience import Patience
from omnirt.storage.runs import told_of
from omnirt.storage.telling import bare
from tests.support.daemon import driven
from tests.support.talks import WAIT_S, Heard, of, omnirt_talk, simulated
from tests.unit.history.test_tape import played
from tests.unit.storage.archives import begin
from tests.unit.storage.helpers import query

BILLING = {"name": "billing", "instructions": "Bills."}
TOOLS = [
    {"name": "weather", "run": "host", "description": "It."},
    {"name": "broken", "run": "host", "description": "It."},
    {"name": "danger", "run": "host", "description": "It.", "needs_approval": True},
]
AGENT = {"name": "triage", "instructions": "Be brief.", "tools": TOOLS, "handoffs": [BILLING]}
CALLS = [
    {"tool": "weather", "arguments": {"city": "Oslo"}},
    {"tool": "broken", "arguments": {"part": "axle"}},
    {"tool": "danger", "arguments": {"much": 1}},
]
SCRIPT = {
    "rules": [
        {"on": "user", "match": "tools", "do": [{"say": "lookup"}, {"call": CALLS}]},
        {"on": "user", "match": "bill", "do": [{"hand_off": "billing"}]},
        {"on": "user", "match": "story", "do": [{"say": "story"}]},
        {"on": "tool_output", "do": [{"say": "done"}]},
        {"on": "user", "do": [{"text": "Yes."}]},
    ]
}


async def _answer(method: str, params: Struct) -> Struct:
    if method == "tool.approve":
        return ToolApproveResult(decision="reject", message="Not today.")
    assert isinstance(params, ToolCallParams)
    if params.tool_name == "broken":
        raise CallFailed("error", "It broke.", -32000)
    return ToolCallResult(output={"sky": "blue", "in": params.arguments["city"]})


def host(method: str, params: Struct, timeout_s: float) -> Awaitable[Struct]:
    return _answer(method, params)


async def idle(session: RealtimeSession) -> None:
    reply = session.put_wait(WAIT_S)
    assert isinstance(reply, asyncio.Future)
    await reply


async def rich_talk(folder: Path) -> list[Event]:
    """Tools that do, fail and may not; a handoff, an interrupt, and a stop in the middle of an answer."""
    settings = simulated(SCRIPT)
    settings["simulator"]["speed"] = 3
    async with omnirt_talk(
        folder, agent=AGENT, settings=settings, call_host=host, session_id="s1"
    ) as session:
        heard = Heard[Event](session.stream_events())
        for text in ("The tools", "My bill", "Hello"):
            await session.send_text(text)
            await idle(session)
        for stories in (1, 2):
            before = sum(map(of(ev.RealtimeAudio), heard.events))
            await session.send_text("A story")
            await heard.count(of(ev.RealtimeAudio), before + 3)
            if stories == 1:
                await session.interrupt()
                await idle(session)
        await session.stop(force=True)
        await heard.end()
    return heard.events


def plain(events: list[Any]) -> list[Any]:
    """What is to be the same: all but deltas, and how the sound is cut into chunks."""
    left = [e for e in events if not e["method"].endswith(("Delta", ".audio", ".closed"))]
    return [(e["method"], {**e["params"], "seq": 0}) for e in left]


def sound(events: list[Any]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for event in events:
        if event["method"] == "realtime.audio":
            part = event["params"]
            found[part["itemId"]] = found.get(part["itemId"], b"") + base64.b64decode(part["audio"])
    return found


@driven
async def test_a_rich_talk_is_told_again_as_it_was(tmp_path: Path) -> None:
    lived = await rich_talk(tmp_path)
    was = [{"method": e.METHOD, "params": json.loads(msgspec.json.encode(e))} for e in lived]
    lines = [json.loads(line) for line in tape_of(tmp_path, "s1", None, "inline")]
    again = [line["msg"] for line in lines if line.get("dir") == "daemon" and "method" in line["msg"]]
    ends = [e["params"]["status"] for e in was if e["method"] == "realtime.toolEnd"]
    assert sorted(ends) == ["completed", "failed", "rejected"], "the talk is rich"
    methods = [e["method"] for e in was]
    assert {"realtime.handoff", "realtime.audioInterrupted"} <= set(methods)
    assert [e["params"]["status"] for e in was if e["method"] == "realtime.responseEnd"][-1] == "cancelled"
    for old, new in zip(plain(was), plain(again), strict=True):
        assert new == old
    for item_id, heard in sound(was).items():  # of a cut answer the end was dropped before it left
        assert sound(again)[item_id].startswith(heard)
    assert [e["params"]["seq"] for e in again] == list(range(1, len(again) + 1))
    at = [e["params"]["atMs"] for e in again]
    assert at == sorted(at)
    assert again[-1]["method"] == "realtime.closed"
    stored = str(query(tmp_path, "SELECT json FROM told"))
    for word in ("Let me look", "Oslo", "axle", "blue", "My bill", "Yes."):
        assert word in str(was)
        assert word not in stored, "words are kept in one place"


def test_an_item_that_was_taken_out_is_told_without_its_words(tmp_path: Path) -> None:
    part = ContentPart(type="text", text="A slip of the tongue")
    item = Item(item_id="i1", type="message", role="user", status="completed", content=[part], at_ms=5)

    @driven
    async def make() -> None:
        storage = AudioStorage(tmp_path)
        run = await begin(storage, "s1", run_id="r1")
        common: dict[str, Any] = {"session_id": "s1", "run_id": "r1"}
        run.told(ev.RealtimeState(state="connected", at_ms=0, **common))
        run.item(item)
        run.told(ev.RealtimeItemAdded(item=item, at_ms=5, **common))
        run.remove_item("i1")
        run.told(ev.RealtimeItemRemoved(item_id="i1", at_ms=9, **common))
        await run.finish("stopped", "2025-01-01T00:01:00.000Z", 100)
        await storage.close()

    make()
    messages = [m for m in played(tmp_path) if "method" in m]
    told = [m["method"].removeprefix("realtime.") for m in messages]
    assert told == ["state", "itemAdded", "itemRemoved", "state", "closed"]
    assert "slip" not in str(messages)
    assert len(told_of(tmp_path, "r1", Patience())) == 3


def test_chunks_and_deltas_are_not_kept() -> None:
    common: dict[str, Any] = {
        "session_id": "s1",
        "run_id": "r1",
        "at_ms": 1,
        "item_id": "i",
        "content_index": 0,
    }
    chunk: dict[str, Any] = {"response_id": "r", "audio": b"1234", "delta_ms": 1, "audio_format": "pcm16"}
    first = bare(ev.RealtimeAudio(offset_ms=0, **chunk, **common))
    assert isinstance(first, ev.RealtimeAudio)
    assert first.audio == b""
    assert bare(ev.RealtimeAudio(offset_ms=100, **chunk, **common)) is None
    assert bare(ev.RealtimeTranscriptDelta(role="assistant", delta="x", **common)) is None
