"""A daemon from a tape: when it says what, which freedom a host has, and what it is told when it diverges."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from omnirt.replay.command import run
from omnirt.replay.player import Divergence, Later, Player
from omnirt.replay.telling import told
from omnirt.tapes.lines import read_tape
from omnirt.tapes.patterns import TapeError

Message = dict[str, Any]


def host(at_ms: int = 0, **message: Any) -> Message:
    return {"dir": "host", "atMs": at_ms, "msg": {"jsonrpc": "2.0", **message}}


def daemon(at_ms: int = 0, **message: Any) -> Message:
    return {"dir": "daemon", "atMs": at_ms, "msg": {"jsonrpc": "2.0", **message}}


END: Message = {"dir": "host", "end": True}
START = {"agent": {"name": "a"}, "sessionId": "s1"}
TALK = [
    host(id=1, method="session.start", params=START),
    daemon(100, id=1, result={"sessionId": "s1"}),
    host(200, id=2, method="session.sendText", params={"sessionId": "s1", "text": "Hi"}),
    daemon(210, method="realtime.state", params={"sessionId": "s1", "seq": 1}),
    daemon(210, id=2, result={}),
    END,
]


class Play:
    """A player, and a clock that stands still."""

    def __init__(self, folder: Path, lines: list[Message], **options: Any) -> None:
        self.path = folder / "t.jsonl"
        self.path.write_text("".join(json.dumps(line) + "\n" for line in [{"tape": 1}, *lines]))
        self.player = Player(read_tape(self.path), **{"speed": 0, **options})
        self.now = 0.0
        self.player.start(0.0)

    def hears(self, *messages: Any) -> list[Any]:
        """Give it messages; returns all that it says at once."""
        for message in messages:
            self.player.received(message, self.now)
        return self.says()

    def says(self) -> list[Any]:
        """What it says now."""
        said = []
        while not isinstance(step := self.player.due(self.now), Later):
            said.append(step)
        self.later = step.at
        return said

    def ends(self) -> list[Any]:
        """The host's end."""
        self.player.ended(self.now)
        return self.says()

    def diverges(self, *messages: Any) -> str:
        """What is told when these messages, or the end, are not on the tape."""
        try:
            self.hears(*messages) if messages else self.ends()
        except Divergence as divergence:
            return told(divergence, self.path)
        raise AssertionError("it was all the same to it")


def call(request_id: Any, method: str, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def test_ids_of_requests_and_sessions_may_differ(tmp_path: Path) -> None:
    play = Play(tmp_path, TALK)
    assert play.says() == []
    start = call("x", "session.start", sessionId="other", agent={"name": "a"}, resume=None)
    assert play.hears(start) == [{"jsonrpc": "2.0", "id": "x", "result": {"sessionId": "other"}}]
    state, reply = play.hears(call("y", "session.sendText", sessionId="other", text="Hi"))
    assert state["params"]["sessionId"] == "other"
    assert reply["id"] == "y"
    assert play.ends() == []
    assert play.player.finished


def test_a_host_need_not_wait(tmp_path: Path) -> None:
    play = Play(tmp_path, TALK)
    said = play.hears(
        call(1, "session.start", **START), call(2, "session.sendText", sessionId="s1", text="Hi")
    )
    assert [message.get("id") for message in said] == [1, None, 2]


def test_pauses_are_those_of_the_tape(tmp_path: Path) -> None:
    play = Play(tmp_path, TALK, speed=2.0)
    play.now = 5.0
    assert play.hears(call(1, "session.start", **START)) == []
    assert play.later == 5.05
    play.now = 5.05
    assert len(play.says()) == 1
    play.now = 7.0
    assert play.hears(call(2, "session.sendText", sessionId="s1", text="Hi")) == []
    assert play.later == 7.005


def test_what_is_sent_to_different_sessions_may_come_in_any_order(tmp_path: Path) -> None:
    def text(session: str, words: str) -> Message:
        return {"method": "session.sendText", "params": {"sessionId": session, "text": words}}

    lines = [
        host(**text("a", "1")),
        host(**text("b", "1")),
        host(**text("a", "2")),
        daemon(id=None, result={}),
    ]
    assert len(Play(tmp_path, lines).hears(text("b", "1"), text("a", "1"), text("a", "2"))) == 1
    assert "expected '1', got '2'" in Play(tmp_path, lines).diverges(text("a", "2"))


def test_playback_reports_and_pings_may_come_at_any_time(tmp_path: Path) -> None:
    played: Message = {"method": "session.playback", "params": {"sessionId": "s1", "playedMs": 7}}
    lines = [*TALK[:2], host(id=9, **played), daemon(id=9, result={}), *TALK[2:]]
    play = Play(tmp_path, lines)
    assert play.hears(call(0, "ping")) == [{"jsonrpc": "2.0", "id": 0, "result": {}}]
    said = play.hears(call(1, "session.start", **START), played, {**played, "id": 5})
    assert [message["id"] for message in said] == [1, 5]
    assert len(play.hears(call(2, "session.sendText", sessionId="s1", text="Hi"))) == 2


def test_who_the_host_is_does_not_matter(tmp_path: Path) -> None:
    asked = {"processId": 1, "clientInfo": {"name": "a"}, "capabilities": {"tools": True}}
    lines = [host(id=0, method="initialize", params=asked), daemon(id=0, result={"protocolVersion": 1})]
    now = {"processId": 2, "capabilities": {"tools": True}, "_meta": {}}
    assert len(Play(tmp_path, lines).hears(call(7, "initialize", **now))) == 1
    assert "$.params.capabilities" in Play(tmp_path, lines).diverges(call(7, "initialize"))
    [hello] = Play(tmp_path, TALK).hears(call(0, "initialize"))
    assert hello["result"]["serverInfo"]["name"] == "omnirt", "a tape may begin later"


def test_a_different_message_is_told_with_line_and_difference(tmp_path: Path) -> None:
    play = Play(tmp_path, TALK)
    play.hears(call(1, "session.start", **START))
    text = play.diverges(call(2, "session.sendText", sessionId="s1", text="Ho"))
    assert f"{play.path}:4: the host sent this differently: $.params.text: expected 'Hi', got 'Ho'" in text
    assert '-    "text": "Hi"\n+    "text": "Ho"' in text


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (call(2, "session.stop", sessionId="s1"), r":4: .*not on the tape here\nexpected: .*sendText"),
        ({"method": "session.sendText", "params": {"sessionId": "s1", "text": "Hi"}}, "expected a request"),
        (call(2, "session.sendText", sessionId="s1", text="Hi", respond=False), r"\$.params.respond"),
        (call(2, "session.sendText", sessionId="s2", text="Hi"), r"\$.params.sessionId"),
        ([call(2, "ping")], "not on the tape"),
    ],
)
def test_what_is_not_on_the_tape_fails(tmp_path: Path, message: Any, problem: str) -> None:
    play = Play(tmp_path, TALK)
    play.hears(call(1, "session.start", **START))
    assert re.search(problem, play.diverges(message))


def test_a_message_that_never_comes_fails(tmp_path: Path) -> None:
    play = Play(tmp_path, TALK)
    play.hears(call(1, "session.start", **START))
    assert play.player.awaited is not None
    assert ":4: the host ended without sending this" in play.diverges()


def test_calls_are_answered_as_on_the_tape(tmp_path: Path) -> None:
    lines = [
        daemon(id="omnirt-1", method="tool.call", params={}),
        daemon(id="omnirt-2", method="tool.call", params={}),
        host(id="omnirt-1", result={"output": "sunny"}),
        host(id="omnirt-2", error={"code": -32601, "message": "No."}),
        daemon(method="realtime.toolEnd", params={}),
    ]
    play = Play(tmp_path, lines)
    assert len(play.says()) == 2
    refusal = {"jsonrpc": "2.0", "id": "omnirt-2", "error": {"code": -32601, "message": "Unknown"}}
    assert len(play.hears(refusal, {"jsonrpc": "2.0", "id": "omnirt-1", "result": {"output": "sunny"}})) == 1
    wrong = Play(tmp_path, lines).diverges({"jsonrpc": "2.0", "id": "omnirt-1", "result": {"output": "rain"}})
    assert ":4: the host sent this differently: $.result.output: expected 'sunny', got 'rain'" in wrong


def test_a_cancellation_names_the_request_as_the_host_does(tmp_path: Path) -> None:
    cancel: Message = {"method": "$/cancelRequest", "params": {"id": 1}}
    play = Play(
        tmp_path, [host(id=1, method="session.start", params=START), host(**cancel), daemon(id=1, error={})]
    )
    [reply] = play.hears(call(70, "session.start", **START), {**cancel, "params": {"id": 70}})
    assert reply["id"] == 70
    play = Play(tmp_path, [host(id=1, method="session.start", params=START), host(**cancel)])
    play.hears(call(70, "session.start", **START))
    assert "expected 70, got 71" in play.diverges({**cancel, "params": {"id": 71}})


def test_batches_are_answered_with_the_ids_of_now(tmp_path: Path) -> None:
    asked: list[Message] = [{"id": 1, "method": "session.list"}, {"id": 2, "method": "agent.list"}]
    lines = [
        {"dir": "host", "msg": asked},
        {"dir": "daemon", "msg": [{"id": 1, "result": {}}, {"id": 2, "result": {}}]},
    ]
    [reply] = Play(tmp_path, lines).hears(
        [{"id": 8, "method": "session.list"}, {"id": 9, "method": "agent.list"}]
    )
    assert [element["id"] for element in reply] == [8, 9]
    assert "not on the tape" in Play(tmp_path, lines).diverges([asked[0]])


def test_audio_may_be_left_out_of_account(tmp_path: Path) -> None:
    def chunk(request_id: int, audio: str, **more: Any) -> Message:
        return call(request_id, "session.sendAudio", sessionId="s1", audio=audio, **more)

    lines = [
        host(**chunk(1, "AAA=")),
        daemon(id=1, result={"acceptedMs": 1}),
        host(**chunk(2, "AAA=")),
        daemon(id=2, result={"acceptedMs": 1}),
        daemon(method="realtime.inputSpeechStart", params={}),
        host(**chunk(3, "", commit=True)),
        daemon(id=3, result={"acceptedMs": 0}),
    ]
    assert "$.params.audio" in Play(tmp_path, lines).diverges(chunk(1, "BBA="))
    play = Play(tmp_path, lines, ignore_audio=True)
    said = play.hears(*(chunk(n, "BBA=") for n in range(10, 15)))
    assert sorted(message["id"] for message in said if "id" in message) == [10, 11, 12, 13, 14]
    assert [message["method"] for message in said if "method" in message] == ["realtime.inputSpeechStart"]
    assert play.hears(chunk(20, "BBA=", commit=True))[0]["id"] == 20


def test_broken_messages_are_part_of_the_tape(tmp_path: Path) -> None:
    lines = [
        {"dir": "host", "raw": "{"},
        {"dir": "host", "broken": "message_too_large"},
        daemon(id=None, error={}),
    ]
    play = Play(tmp_path, lines)
    with pytest.raises(Divergence) as caught:
        play.player.unreadable(b'[{"api_key": "CANARY", "', "", 0.0)
    text = told(caught.value, play.path)
    assert "something that is no message\nexpected: {\ngot:      24 bytes that are no JSON" in text
    assert "CANARY" not in text
    play.player.unreadable(b"{", "", 0.0)
    play.player.unreadable(b"", "message_too_large", 0.0)
    assert len(play.says()) == 1


def test_patterns_leave_room_and_give_back_what_the_host_chose(tmp_path: Path) -> None:
    lines = [
        host(id=1, method="session.sendText", params={"sessionId": "s1", "text": "<str:words>"}),
        daemon(method="realtime.textDone", params={"text": "<str:words>"}),
    ]
    assert Play(tmp_path, lines).hears(call(1, "session.sendText", sessionId="s1", text="!"))[0][
        "params"
    ] == {"text": "!"}
    with pytest.raises(TapeError, match="line 2: nothing says what <int>"):
        Play(tmp_path, [daemon(seq="<int>")]).says()
    with pytest.raises(TapeError, match="stall"):
        Play(tmp_path, [{"stall": 1}])


def test_what_may_come_anywhere_is_answered(tmp_path: Path) -> None:
    free = {"dir": "host", "anywhere": {"method": "session.stop", "<rest>": True}}
    play = Play(tmp_path, [free, *TALK])
    assert play.hears(call(4, "session.stop", sessionId="s1"))[0]["id"] == 4


def test_a_host_may_end_a_tape_that_has_no_end_in_order(tmp_path: Path) -> None:
    play = Play(tmp_path, TALK[:2])
    play.hears(call(1, "session.start", **START))
    assert "after its end" in play.diverges(call(2, "session.list"))
    assert play.hears(call(3, "shutdown"))[0]["id"] == 3
    assert not play.player.finished
    play.hears({"method": "exit"})
    assert play.player.finished


def test_exit_is_the_end(tmp_path: Path) -> None:
    play = Play(tmp_path, [host(id=1, method="shutdown"), daemon(id=1, result={}), host(method="exit"), END])
    play.hears(call(1, "shutdown"), {"method": "exit"})
    assert play.player.finished


def test_a_divergence_tells_no_secret_and_no_audio(tmp_path: Path) -> None:
    play = Play(tmp_path, TALK)
    given = {"openai_api_key": "sk-CANARY-123", "headers": {"Cookie": "sid=CANARY-456"}}
    text = play.diverges(call(1, "session.start", **START, settings=given))
    assert "CANARY" not in text
    assert "$.params.settings: not expected" in text
    long = play.diverges(call(1, "session.sendAudio", sessionId="s1", audio="A" * 4000))
    assert "A" * 100 not in long


@pytest.mark.parametrize("request_id", [True, {}, [1], 2.5, 1.0, 1000.0])
@pytest.mark.parametrize("method", ["session.list", "ping"])
def test_what_the_daemon_refuses_is_no_match(tmp_path: Path, request_id: Any, method: str) -> None:
    lines = [host(id=1, method="session.list"), daemon(id=1, result={})]
    for wrong in ({"id": request_id}, {"jsonrpc": "1.0", "id": 1}):
        Play(tmp_path, lines).diverges({"jsonrpc": "2.0", "method": method, **wrong})
    refused = host(id=request_id, method=method)
    play = Play(tmp_path, [refused, daemon(id=None, error={})])
    assert len(play.hears(refused["msg"])) == 1


@pytest.mark.parametrize("audio", ["no base64!", "AAA=AAA", "AA==", 5])
def test_audio_that_may_be_any_is_audio_all_the_same(tmp_path: Path, audio: Any) -> None:
    chunk = {"sessionId": "s1", "audio": "AAA="}
    lines = [host(id=1, method="session.start", params=START)]
    wrong = call(2, "session.sendAudio", **{**chunk, "audio": audio})
    for more in ([host(id=2, method="session.sendAudio", params=chunk)], []):
        play = Play(tmp_path, [*lines, *more], ignore_audio=True)
        play.hears(lines[0]["msg"])
        play.diverges(wrong)


def test_a_tape_without_its_audio_is_not_begun(tmp_path: Path) -> None:
    for reference in ("<audio:gone.audio#0+4>", "<audio:gone.wav>"):
        with pytest.raises(TapeError, match="line 2"):
            Play(tmp_path, [host(method="session.sendAudio", params={"audio": reference})])


@pytest.mark.parametrize("seconds", ["inf", "nan", "-1", "0", "x"])
def test_a_host_is_waited_for_within_bounds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["t.jsonl", f"--timeout={seconds}"])
    assert ended.value.code == 2
    assert "no number of seconds" in capsys.readouterr().err
