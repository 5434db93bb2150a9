"""A stored session as a tape: what a host would have been told of it, by the rules of every transcript."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.history.tape import tape_of
from omnirt.protocol.types import ContentPart, Item
from omnirt.replay.player import Later, Player
from omnirt.storage import AudioStorage, Heard
from omnirt.tapes.audio import AudioMode
from omnirt.tapes.lines import read_tape
from tests.support.checker import check
from tests.support.daemon import driven
from tests.unit.storage.archives import begin, said, tone


def played(
    data_dir: Path,
    run_id: str | None = None,
    audio: AudioMode = "inline",
    *,
    starts: int = 1,
    chosen: str = "s1",
) -> list[Any]:
    """What a host reads that starts the session so many times."""
    path = data_dir / "t.jsonl"
    path.write_bytes(b"".join(tape_of(data_dir, "s1", run_id, audio)))
    player = Player(read_tape(path), speed=0)
    messages: list[Any] = []
    for number in range(starts):
        params: Any = {"agent": {"name": "whoever"}, "sessionId": chosen}
        player.received({"id": f"a{number}", "method": "session.start", "params": params}, 0.0)
        player.received(
            {"id": f"b{number}", "method": "session.sendText", "params": {"sessionId": chosen}}, 0.0
        )
        while not isinstance(step := player.due(0.0), Later):
            messages.append(step)
    player.ended(0.0)
    return messages


def of(messages: list[Any], name: str) -> list[Any]:
    return [message["params"] for message in messages if message.get("method") == f"realtime.{name}"]


def tool(kind: Any, item_id: str, at_ms: int, call: str = "c1", **members: Any) -> Item:
    common = {"type": kind, "status": "completed", "tool_call_id": call}
    return Item(item_id=item_id, at_ms=at_ms, **common, **members)


SPEECH = [ContentPart(type="audio", transcript="It is sunny and")]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A talk with a question, a tool, an answer that was cut, and a run after it."""

    async def make() -> None:
        storage = AudioStorage(tmp_path)
        first = await begin(storage, "s1", run_id="r1")
        first.item(said("user", "How is the weather?", "i1", 100))
        first.item(tool("functionCall", "i2", 300, tool_name="get_weather", arguments={"city": "Oslo"}))
        first.item(tool("functionCallOutput", "i3", 500, output="sunny"))
        first.item(tool("functionCall", "i4", 510, "c2", tool_name="never", arguments={}))
        first.audio("i5", 0, tone(440, 1000), 700)
        first.audio_end("i5", 0, Heard(250, 700, interrupted=True))
        cut: dict[str, Any] = {"heard_text": "It is", "heard_ms": 250, "interrupted": True}
        words: dict[str, Any] = {"generated_text": "It is sunny and", "content": SPEECH}
        first.item(
            Item(
                item_id="i5", type="message", role="assistant", status="incomplete", at_ms=690, **words, **cut
            )
        )
        await first.finish("hostGone", "2025-01-01T00:01:00.000Z", 2000)
        second = await begin(storage, "s1", run_id="r2", started_at="2025-01-02T00:00:00.000Z")
        second.item(said("user", "Again", "i6", 5))
        second.item(said("assistant", "Sunny.", "i7", 10, heard_text="Sunny."))
        await second.finish("stopped", "2025-01-02T00:01:00.000Z", 100)
        await storage.close()

    driven(make)()
    return tmp_path


def test_a_host_is_told_the_whole_talk_by_all_the_rules(stored: Path) -> None:
    messages = played(stored, starts=2)
    check(messages)
    assert [m["id"] for m in messages if "id" in m] == ["a0", "b0", "a1", "b1"], "no input before its start"
    assert [c["reason"] for c in of(messages, "closed")] == ["hostGone", "stopped"]
    assert [t["text"] for t in of(messages, "textDone")] == ["Sunny."]
    assert of(messages, "toolStart") == [], (
        "of a run of which only items are stored nobody knows how tools fared"
    )
    assert [i["item"]["itemId"] for i in of(messages, "itemAdded")] == [
        "i1",
        "i2",
        "i3",
        "i4",
        "i5",
        "i6",
        "i7",
    ]
    states = [state["state"] for state in of(messages, "state")]
    assert states == [
        "connected",
        "listening",
        "speaking",
        "listening",
        "closing",
        "connected",
        "listening",
        "closing",
    ]


def test_the_audio_is_that_of_the_recording(stored: Path) -> None:
    messages = played(stored, "r1")
    sound = b"".join(base64.b64decode(chunk["audio"]) for chunk in of(messages, "audio"))
    assert sound == tone(440, 1000)
    [cut] = of(messages, "audioInterrupted")
    assert (cut["heardMs"], cut["generatedMs"], cut["atMs"]) == (250, 1000, 950)
    [done] = of(messages, "transcriptDone")
    assert (done["text"], done["heardText"]) == ("It is sunny and", "It is")
    silent = played(stored, "r1", "none")
    assert base64.b64decode(of(silent, "audio")[0]["audio"]) == bytes(4800)


def test_a_host_may_choose_another_id(stored: Path) -> None:
    assert {m["params"]["sessionId"] for m in played(stored, "r2", chosen="mine") if "method" in m} == {
        "mine"
    }


def test_a_recording_that_is_gone_is_left_out(stored: Path) -> None:
    for path in stored.rglob("*.wav"):
        path.unlink()
    messages = played(stored, "r1")
    check(messages)
    assert (of(messages, "audio"), len(of(messages, "transcriptDone"))) == ([], 1)


def test_what_is_not_stored_is_told(stored: Path) -> None:
    for session_id, run_id in (("s2", None), ("s1", "r9")):
        with pytest.raises(OmnirtError) as caught:
            list(tape_of(stored, session_id, run_id, "inline"))
        assert caught.value.kind == "not_found"
