"""What a host is told of a session, and how: form, order, totals, failed inputs (PROTOCOL section 4)."""

from __future__ import annotations

import asyncio
import base64
import itertools
import wave
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Message
from tests.support.host import Host, Talk, says
from tests.support.speech import b64, silence

pytestmark = pytest.mark.anyio


async def answered(host: Host, **params: Any) -> Talk:
    """A session that answered one text."""
    talk = await host.start(**{"script": says("heard"), **params})
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    return talk


async def test_one_answer_in_full(host: Host) -> None:
    talk = await answered(host)
    await talk.ask("stop")
    names = [name for name in talk.names() if name not in ("audio", "transcriptDelta", "itemUpdated")]
    assert names == [
        "state",
        "state",
        "state",
        "itemAdded",
        "responseStart",
        "agentStart",
        "itemAdded",
        "state",
        "audioEnd",
        "transcriptDone",
        "agentEnd",
        "responseEnd",
        "usage",
        "state",
        "state",
        "closed",
    ]
    assert talk.states() == ["connected", "listening", "thinking", "speaking", "listening", "closing"]


async def test_the_audio_events_are_the_file(host: Host) -> None:
    talk = await answered(host)
    (file,) = (await talk.ask("stop"))["files"]
    sent = b"".join(base64.b64decode(audio["audio"]) for audio in talk.of("audio"))
    with wave.open(file["path"], "rb") as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (24000, 1, 2)
        assert wav.readframes(wav.getnframes()) == sent
    (end,) = talk.of("audioEnd")
    assert (end["file"], end["totalMs"]) == (file["path"], len(sent) // 48)


async def test_deltas_add_up_to_what_is_done(host: Host) -> None:
    talk = await answered(host)
    (done,) = talk.of("transcriptDone")
    assert "".join(delta["delta"] for delta in talk.of("transcriptDelta")) == done["text"] == "I heard you."
    item = talk.of("itemUpdated")[-1]["item"]
    assert item["content"] == [{"type": "audio", "transcript": "I heard you."}]
    assert (item["generatedText"], item["status"]) == ("I heard you.", "completed")


async def test_usage_is_a_running_total_of_all_responses(host: Host) -> None:
    talk = await host.start(script=says("heard", "welcome"))
    for text in ("One", "Two"):
        await talk.ask("sendText", text=text)
        await talk.ask("wait")
    ends, totals = talk.of("responseEnd"), talk.of("usage")
    assert totals[0]["totalTokens"] == ends[0]["usage"]["totalTokens"]
    assert totals[1]["totalTokens"] == sum(end["usage"]["totalTokens"] for end in ends)
    for total in totals:
        assert total["totalTokens"] == total["inputTokens"] + total["outputTokens"]
        assert total["inputTokens"] == total["input"]["text"] + total["input"]["audio"]
        assert total["outputTokens"] == total["output"]["text"] + total["output"]["audio"]
        assert "cached" in total["input"]


async def test_times_count_from_the_start_of_the_run(host: Host) -> None:
    talk = await answered(host)
    result = await talk.ask("stop")
    assert 0 <= talk.of("state")[0]["atMs"] < result["durationMs"] <= talk.of("closed")[0]["atMs"]


async def test_methods_a_host_opted_out_of_never_come_and_leave_no_hole(tmp_path: Path) -> None:
    quiet = ("realtime.audio", "realtime.state", "realtime.usage", "realtime.agentStart", "log.message")
    async with Host.spawn(tmp_path, opt_out=quiet) as host:
        talk = await answered(host)
        host.notify("session.sendText", sessionId="nobody", text="Hello")
        await talk.ask("stop")
        assert talk.of("audioEnd")[0]["totalMs"] > 0
        assert [event["params"]["seq"] for event in talk.events] == list(range(1, len(talk.events) + 1))


async def test_inputs_may_be_notifications(host: Host) -> None:
    talk = await host.start(script=says("heard", "welcome"))
    talk.notify("sendText", text="One")
    await talk.event("responseEnd")
    talk.notify("sendAudio", audio=b64(silence(100)))
    talk.notify("clearAudio")
    talk.notify("sendMessage", content=[{"type": "input_text", "text": "Two"}], respond=False)
    talk.notify("respond")
    talk.notify("playback", itemId="x", contentIndex=0, playedMs=0)
    talk.notify("wait")
    talk.notify("interrupt")
    await talk.event("responseEnd", 2)
    assert talk.of("error") == []
    talk.notify("stop")
    assert (await talk.event("closed"))["reason"] == "stopped"


async def test_a_failed_notification_is_an_error_event_with_its_method(host: Host) -> None:
    talk = await host.start()
    talk.notify("sendAudio", audio=b64(bytes(3)))
    error = await talk.event("error", method="session.sendAudio")
    assert (error["kind"], error["retryable"], error["fatal"]) == ("audio_invalid", False, False)
    talk.notify("sendText", text=5)
    error = await talk.event("error", method="session.sendText")
    assert (error["kind"], error["path"]) == ("invalid_params", "$.text")


async def test_equal_errors_of_notifications_are_counted_and_not_repeated(host: Host) -> None:
    talk = await host.start()
    for _ in range(20):
        talk.notify("sendAudio", audio=b64(bytes(3)))
    talk.notify("sendAudio", audio="?")
    await host.until(lambda: sum(e.get("count", 1) for e in talk.of("error")) == 21 or None, "21 errors")
    errors = talk.of("error")
    assert [(e["kind"], e.get("count", 1)) for e in errors] == [
        ("audio_invalid", 1),
        ("invalid_params", 1),
        ("audio_invalid", 19),
    ]


async def test_notifications_to_a_session_that_is_not_live_are_told_once_per_id(host: Host) -> None:
    for _ in range(5):
        for name in ("nobody-1", "nobody-2"):
            host.notify("session.sendText", sessionId=name, text="Hello")
            host.notify("session.sendAudio", sessionId=name, audio="")
    await host.ask("ping")

    def told() -> list[Message] | None:
        found = [m["params"] for m in host.seen if m.get("method") == "log.message"]
        return found if len(found) >= 2 else None

    messages = await host.until(told, "log.message")
    assert len(messages) == 2
    assert {message["level"] for message in messages} == {"warning"}
    assert {name for name in ("nobody-1", "nobody-2") if name in str(messages)} == {"nobody-1", "nobody-2"}


async def test_a_flood_of_notifications_is_told_as_overloaded(host: Host) -> None:
    talk, start = host.begin(script={"faults": [{"slow_ms": 30_000}]})
    for _ in range(30):
        talk.notify("sendAudio", audio=b64(silence(6000)))
    assert "result" in await host.reply(start)
    error = await talk.event("error", method="session.sendAudio")
    assert (error["kind"], error["retryable"]) == ("overloaded", True)


async def test_replies_overtake_the_events_that_wait(host: Host) -> None:
    talk = await host.start(script=says("story"), speed=1000)
    await talk.ask("sendText", text="Tell me a story")
    pings = [host.tell("ping") for _ in range(50)]
    for ping in pings:
        assert (await host.reply(ping))["result"] == {}
    await talk.ask("wait")


async def test_fifty_sessions_at_once_keep_each_ones_order(host: Host) -> None:
    names = ["heard", "welcome", "more", "lookup", "stopped"]
    talks = await asyncio.gather(*(host.start(script=says(names[n % 5]), speed=4) for n in range(50)))
    for talk in talks:
        talk.tell("sendText", text="Hello")
    waits = [talk.tell("wait") for talk in talks]
    replies = [await host.reply(wait) for wait in waits]
    texts = [[r["text"] for r in reply["result"]["responses"]] for reply in replies]
    assert all(len(text) == 1 for text in texts)
    assert [text == texts[n % 5] for n, text in enumerate(texts)] == [True] * 50
    stops = await asyncio.gather(*(talk.ask("stop") for talk in talks))
    for talk, stop in zip(talks, stops, strict=True):
        sent = b"".join(base64.b64decode(audio["audio"]) for audio in talk.of("audio"))
        with wave.open(stop["files"][0]["path"], "rb") as wav:
            assert wav.readframes(wav.getnframes()) == sent
    order = [m["params"]["sessionId"] for m in host.seen if m.get("method") == "realtime.audio"]
    changes = sum(1 for one, other in itertools.pairwise(order) if one != other)
    assert changes > 200, "the audio of the sessions was not interleaved"


async def test_sessions_stream_audio_in_while_others_talk(host: Host) -> None:
    talks = await asyncio.gather(
        *(host.start(script=says("heard"), realtime={"turn_detection": None}) for _ in range(10))
    )
    for _ in range(20):
        for talk in talks:
            talk.tell("sendAudio", audio=b64(silence(20)))
    for talk in talks:
        talk.tell("sendAudio", audio="", commit=True)
    results = await asyncio.gather(*(talk.ask("wait") for talk in talks))
    assert [[r["text"] for r in result["responses"]] for result in results] == [["I heard you."]] * 10
