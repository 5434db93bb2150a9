"""A tape is written beside the daemon: in order, as the wire was, and never at its cost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omnirt.daemon.taping import Taping
from omnirt.protocol.framing import FramingChoice, encode_frame
from omnirt.tapes.audio import AudioMode
from omnirt.tapes.lines import DaemonLine, HostLine, read_tape
from tests.support.daemon import driven

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
REPLY = b'{"jsonrpc":"2.0","id":1,"result":{}}'


def taping(path: Path, audio: AudioMode = "files", framing: FramingChoice = "auto", **more: Any) -> Taping:
    return Taping(path, audio, (), framing=framing, max_message_bytes=1000, **more)


class Frames:
    """A source of frames."""

    def __init__(self, *frames: bytes) -> None:
        self.frames = list(frames)

    def take(self, limit: int) -> list[bytes]:
        return self.frames[:2]

    def sent(self, count: int) -> None:
        del self.frames[:count]

    def abandon(self) -> None:
        self.frames.clear()


@pytest.mark.parametrize("framing", ["lines", "headers"])
@driven
async def test_messages_are_written_down_as_they_cross_the_wire(tmp_path: Path, framing: Any) -> None:
    path = tmp_path / "t.jsonl"
    tape = taping(path)
    asked = encode_frame(framing, PING) + encode_frame(framing, b"{broken")
    tape.received(asked[:10])
    tape.received(asked[10:] + encode_frame(framing, b'"' + b"x" * 2000 + b'"'))
    source = tape.source(Frames(*(encode_frame(framing, REPLY) for _ in range(3))))
    assert len(source.take(1)) == 2
    source.sent(1)  # the other one did not fit, and comes again
    assert len(source.take(1)) == 2
    source.sent(2)
    tape.received(b"")
    tape.close()
    read = read_tape(path)
    assert read.header["framing"] == framing
    host = [(x.message, x.raw, x.broken, x.ends) for x in read.lines if isinstance(x, HostLine)]
    assert host == [
        (json.loads(PING), None, None, False),
        (None, None, "parse_error", False),
        (None, None, "message_too_large", False),
        (None, None, None, True),
    ]
    assert [x.patterns for x in read.lines if isinstance(x, DaemonLine)] == [[json.loads(REPLY)]] * 3
    assert path.stat().st_mode & 0o77 == 0
    times = [x.at_ms for x in read.lines if isinstance(x, HostLine | DaemonLine)]
    assert times == sorted(times)


@driven
async def test_what_leaves_is_on_a_synchronous_tape_before(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    tape = taping(path, sync=True)
    tape.received(PING + b"\n")
    source = tape.source(Frames(*(b'{"id":%d}\n' % number for number in (0, 1, 1))))
    for count, told in ((1, 2), (0, 3), (2, 3), (0, 3)):  # two at once, maybe alike, maybe again
        source.take(1)
        assert path.read_bytes().count(b'"dir":"daemon"') == told
        source.sent(count)
    tape.close()


@driven
async def test_a_tape_belongs_to_one_daemon_and_to_its_owner(tmp_path: Path) -> None:
    path, audio = tmp_path / "t.jsonl", tmp_path / "t.jsonl.audio"
    for old in (path, audio):
        old.write_text("old")
        old.chmod(0o666)
    tape = taping(path, "none")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not audio.exists()
    tape.received(PING + b"\n")
    with pytest.raises(OSError, match="another daemon writes it"):
        taping(path)
    tape.close()
    assert len(read_tape(path).lines) == 1
    taping(path).close()


@driven
async def test_a_pipe_is_no_place_to_wait_and_has_no_file_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(OSError, match="nobody reads this pipe"):
        taping(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    tape = taping(path)
    tape.received(b'{"method":"session.sendAudio","params":{"audio":"AAAA"}}\n')
    tape.close()
    assert b'"audio":"AAAA"' in os.read(reader, 10_000)
    os.close(reader)
    assert [each.name for each in tmp_path.iterdir()] == ["fifo"]


@driven
async def test_a_tape_without_its_end_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    tape = taping(path)
    tape.received(PING + b"\n")
    tape.close()
    path.write_bytes(path.read_bytes()[:-9])
    assert read_tape(path).cut


@driven
async def test_a_full_disk_ends_the_tape_and_nothing_else() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    tape = taping(full)
    told: asyncio.Queue[str] = asyncio.Queue()
    tape.failed = told.put_nowait
    tape.received(PING + b"\n")
    message = await asyncio.wait_for(told.get(), 10)
    assert message == "The tape /dev/full ends here, and the daemon goes on: No space left on device."
    tape.received(PING + b"\n")
    tape.close()
    assert told.empty()


@driven
async def test_a_disk_that_is_too_slow_ends_the_tape_without_a_wait(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    tape = taping(path, max_waiting=500_000)
    told: list[str] = []
    tape.failed = told.append
    message = b'{"method":"x","params":{"text":"%b"}}\n' % (b"y" * 900)
    for _ in range(2000):  # nobody reads: the pipe is full long before
        tape.received(message)
    assert told == [f"The tape {path} ends here, and the daemon goes on: the disk is too slow."]
    os.close(reader)  # lets the thread go


@driven
async def test_secrets_stay_off_the_tape_and_are_hidden_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    tape = taping(path)
    tape.received(b'{"method":"session.start","params":{"settings":{"api_key":"CANARY-12345"}}}\n')
    tape.received(
        b'{"method":"session.sendText","params":{"text":"it is CANARY-12345"}}\n{"api_key":"CANARY-9\n'
    )
    tape.sent([b'{"method":"log.message","params":{"message":"CANARY-12345"}}\n'])
    tape.close()
    text = path.read_text()
    assert "CANARY" not in text
    assert text.count("***") == 3
    assert '"broken":"parse_error","bytes":20}' in text


def test_a_daemon_without_a_tape_knows_nothing_of_tapes() -> None:
    code = (
        "import sys, omnirt.daemon.process; print([m for m in sys.modules if 'tap' in m or 'masking' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "[]\n"
