"""The piped example: four lines into `omnirt serve`, without initialize, and all of it is answered."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.checker import check
from tests.support.programs import find_program

LINES = (
    '{"jsonrpc":"2.0","id":1,"method":"session.start","params":{"sessionId":"s1",'
    '"agent":{"name":"greeter","instructions":"Be brief."},"settings":{"provider":"simulator"}}}\n'
    '{"jsonrpc":"2.0","id":2,"method":"session.sendText","params":{"sessionId":"s1","text":"Hello"}}\n'
    '{"jsonrpc":"2.0","id":3,"method":"session.wait","params":{"sessionId":"s1"}}\n'
    '{"jsonrpc":"2.0","id":4,"method":"session.stop","params":{"sessionId":"s1"}}\n'
)
SPOKEN = Path(__file__).parents[2] / "omnirt" / "loopback" / "voice" / "index.json"
LIMIT_S = 60


class Piped(NamedTuple):
    """What came of the pipe."""

    returncode: int
    messages: list[dict[str, Any]]
    data_dir: Path

    def events(self, method: str) -> list[dict[str, Any]]:
        return [m["params"] for m in self.messages if m.get("method") == method]

    @property
    def replies(self) -> list[dict[str, Any]]:
        return [m for m in self.messages if "id" in m]


@pytest.fixture(scope="module")
def piped(tmp_path_factory: pytest.TempPathFactory) -> Piped:
    data_dir = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "omnirt", "serve", "--data-dir", str(data_dir)]
    done = subprocess.run(command, input=LINES.encode(), stdout=subprocess.PIPE, timeout=LIMIT_S, check=False)
    return Piped(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], data_dir)


def test_four_replies_come_in_order_and_none_is_an_error(piped: Piped) -> None:
    assert [reply["id"] for reply in piped.replies] == [1, 2, 3, 4]
    assert all("result" in reply for reply in piped.replies)
    assert piped.returncode == 0


def test_the_events_have_the_shape_of_one_spoken_answer(piped: Piped) -> None:
    methods = [m["method"] for m in piped.messages if "method" in m]
    assert methods[0] == "realtime.state"
    assert methods[-1] == "realtime.closed"
    assert methods.count("realtime.closed") == 1
    order = ["realtime.responseStart", "realtime.audio", "realtime.audioEnd", "realtime.responseEnd"]
    assert sorted(order, key=methods.index) == order
    seqs = [m["params"]["seq"] for m in piped.messages if "method" in m]
    assert seqs == list(range(1, len(seqs) + 1))


def test_the_transcript_keeps_every_rule(piped: Piped) -> None:
    requests = [json.loads(line) for line in LINES.splitlines()]
    check(piped.messages, {request["id"]: request for request in requests})


def test_the_reply_to_wait_has_the_transcript_of_the_answer(piped: Piped) -> None:
    (done,) = [e for e in piped.events("realtime.transcriptDone") if e["role"] == "assistant"]
    deltas = [e["delta"] for e in piped.events("realtime.transcriptDelta") if e["role"] == "assistant"]
    assert "".join(deltas) == done["text"]
    (answer,) = piped.replies[2]["result"]["responses"]
    assert (answer["status"], answer["text"]) == ("completed", done["text"])
    assert done["text"] in {phrase["text"] for phrase in json.loads(SPOKEN.read_text())["spoken"].values()}


def test_the_file_holds_exactly_the_audio_that_was_sent(piped: Piped) -> None:
    (file,) = piped.replies[3]["result"]["files"]
    assert Path(file["path"]).is_relative_to(piped.data_dir)
    with wave.open(file["path"], "rb") as wav:
        stored = wav.readframes(wav.getnframes())
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, 24_000)
    sent = [base64.b64decode(event["audio"]) for event in piped.events("realtime.audio")]
    assert stored == b"".join(sent)
    assert len(stored) > 24_000
    assert abs(file["durationMs"] - len(stored) / 48) <= 1


def test_sox_reads_the_file(piped: Piped) -> None:
    path = piped.replies[3]["result"]["files"][0]["path"]
    told = subprocess.run(
        [find_program("sox"), "--i", path], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    assert "24000" in told.stdout
    assert "16-bit Signed Integer PCM" in told.stdout
