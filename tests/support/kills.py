"""Kills a daemon that records, at a random moment under load, and looks at what is left.

python -m tests.support.kills 50

Eight sessions record both sides. A round counts when each of them had over a second of its host's audio on
disk. It fails when anything is missing that was accepted, or heard of, more than 200 ms before the kill; when
a recording does not open after the next start; or when the database is not whole.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import sys
import tempfile
import time
import wave
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from omnirt.storage import AudioStorage
from tests.support.daemon import WAIT_S
from tests.support.host import start_params
from tests.unit.storage.helpers import query, run_info

SESSIONS = 8
CHUNK_MS = 20
BYTES_PER_MS = 48
ALLOWED_S = 0.2
"""What was accepted so short before a kill may be lost."""
COUNTS_MS = 1000
KILL_AFTER_S = (1.5, 4.0)
STORY = {"say": "story"}

Message = dict[str, Any]


class Arrival(NamedTuple):
    """So much of something was there at that time."""

    at: float
    size: int


@dataclass
class Stream:
    """Audio as the host knows it: what it is, and when how much of it was there."""

    audio: bytearray = field(default_factory=bytearray)
    arrivals: list[Arrival] = field(default_factory=list)

    def grew(self, data: bytes) -> None:
        """More of it came."""
        self.audio += data
        self.arrivals.append(Arrival(time.monotonic(), len(self.audio)))

    def size_at(self, moment: float) -> int:
        """How much was there by then."""
        return max((size for at, size in self.arrivals if at <= moment), default=0)


class Outcome(NamedTuple):
    """What one round found, in ms of audio of all sessions and both sides."""

    accepted_ms: int
    on_disk_ms: int
    lost_ms: int
    counts: bool


class Load:
    """A daemon with its sessions, fed and listened to until it is killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.host: dict[str, Stream] = defaultdict(Stream)
        self.agent: dict[tuple[str, str], Stream] = defaultdict(Stream)
        self._started = 0
        self.ready = asyncio.Event()
        self._asked: dict[int, tuple[str, bytes]] = {}
        self._count = 0

    def begin(self) -> None:
        """Start the sessions; each has its agent talk without end."""
        script = {"rules": [{"on": "any", "do": [STORY] * 40}]}
        for number in range(SESSIONS):
            params = start_params(script, speed=1, record="both", realtime={"turn_detection": None})
            self._send("session.start", id=f"start{number}", params={"sessionId": f"s{number}", **params})
            self._send("session.respond", params={"sessionId": f"s{number}"})

    async def feed(self) -> None:
        """Send audio at the pace of speech, each chunk other bytes, until cancelled."""
        begin = time.monotonic()
        for number in range(sys.maxsize):
            while (early_s := begin + number * CHUNK_MS / 1000 - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            for session in range(SESSIONS):
                self._count += 1
                data = (number * SESSIONS + session).to_bytes(4, "little") * (BYTES_PER_MS * CHUNK_MS // 4)
                self._asked[self._count] = (f"s{session}", data)
                params = {"sessionId": f"s{session}", "audio": base64.b64encode(data).decode()}
                self._send("session.sendAudio", id=self._count, params=params)

    async def listen(self) -> None:
        """Note what comes and when, up to the end of stdout."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.endswith(b"\n"):  # what a kill cut short was not told
                self._heard(json.loads(line))

    def _heard(self, message: Message) -> None:
        assert "error" not in message, message
        asked = message.get("id")
        if isinstance(asked, int) and asked in self._asked:
            session, data = self._asked.pop(asked)
            self.host[session].grew(data)
        elif isinstance(asked, str) and asked.startswith("start"):
            self._started += 1
            if self._started == SESSIONS:
                self.ready.set()
        elif message.get("method") == "realtime.audio":
            params = message["params"]
            part = (params["sessionId"], params["itemId"])
            self.agent[part].grew(base64.b64decode(params["audio"]))
        elif message.get("method") in ("realtime.error", "realtime.flow"):
            raise AssertionError(message)

    def _send(self, method: str, **members: Any) -> None:
        assert self._process.stdin is not None
        message = {"jsonrpc": "2.0", "method": method, **members}
        self._process.stdin.write(json.dumps(message).encode() + b"\n")


async def one_round(data_dir: Path, after_s: float) -> Outcome:
    """Load a daemon, kill it so long after its sessions are live, and check what it left."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "omnirt", "serve", "--data-dir", str(data_dir)]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 26)
    load = Load(process)
    load.begin()
    listening = asyncio.create_task(load.listen())
    try:
        await asyncio.wait_for(load.ready.wait(), WAIT_S)
        feeding = asyncio.create_task(load.feed())
        await asyncio.wait({feeding, listening}, timeout=after_s, return_when=asyncio.FIRST_COMPLETED)
        feeding.cancel()
    finally:
        killed = time.monotonic()
        process.kill()
    await asyncio.wait_for(process.wait(), WAIT_S)
    await asyncio.wait_for(listening, WAIT_S)
    await reopen(data_dir)
    return judge(data_dir, load, killed)


async def reopen(data_dir: Path) -> None:
    """What a daemon that starts anew does; returns when nothing is open any more."""
    storage = AudioStorage(data_dir)
    recorder = await storage.start_run(run_info("after", "after"))
    async with asyncio.timeout(WAIT_S):
        while query(data_dir, "SELECT 1 FROM runs WHERE ended_at IS NULL AND run_id <> 'after'"):
            await storage.flush()
    await recorder.finish("stopped", "2025-01-01T00:00:01Z", 1000)
    await storage.close()


def judge(data_dir: Path, load: Load, killed: float) -> Outcome:
    """Compare what is on disk with what the host knows."""
    assert query(data_dir, "PRAGMA integrity_check") == [("ok",)]
    assert query(data_dir, "PRAGMA foreign_key_check") == []
    assert query(data_dir, "SELECT count(*) FROM audio WHERE NOT final") == [(0,)]
    said: dict[tuple[str, str], bytes] = defaultdict(bytes)
    rows = query(
        data_dir,
        """SELECT session_id, side, item_id, path FROM audio JOIN runs USING (run_id)
            ORDER BY session_id, side, at_ms""",
    )
    for session, side, item, path in rows:
        said[str(session), str(item) if side == "assistant" else ""] += frames(data_dir / str(path))
    for path in (data_dir / "audio").rglob("*.wav"):
        frames(path)  # it opens, whether or not a row tells of it
    sent = {(session, ""): stream for session, stream in load.host.items()}
    accepted = on_disk = lost = 0
    for part, stream in {**sent, **load.agent}.items():
        there, known = said.get(part, b""), bytes(stream.audio)
        assert there.startswith(known[: len(there)]), f"{part}: other audio than was accepted"
        least = stream.size_at(killed - ALLOWED_S)
        assert len(there) >= least, f"{part}: {(least - len(there)) // BYTES_PER_MS} ms too much are missing"
        accepted += len(known)
        on_disk += min(len(there), len(known))
        lost += max(0, len(known) - len(there))
    least_host = min((len(said.get(part, b"")) for part in sent), default=0)
    counts = len(sent) == SESSIONS and least_host > COUNTS_MS * BYTES_PER_MS
    return Outcome(accepted // BYTES_PER_MS, on_disk // BYTES_PER_MS, lost // BYTES_PER_MS, counts)


def frames(path: Path) -> bytes:
    """The samples of a recording, read by a library that knows nothing of us."""
    with wave.open(str(path)) as wav:
        return bytes(wav.readframes(wav.getnframes()))


def run(rounds: int) -> list[Outcome]:
    """So many rounds that count, each told in a line."""
    chance = random.Random()
    found: list[Outcome] = []
    for number in range(1, 2 * rounds + 1):
        with tempfile.TemporaryDirectory(prefix="omnirt-kill-") as folder:
            after_s = chance.uniform(*KILL_AFTER_S)
            outcome = asyncio.run(asyncio.wait_for(one_round(Path(folder), after_s), 3 * WAIT_S))
        words = "" if outcome.counts else "  (does not count: too short)"
        sys.stdout.write(
            f"round {number:3}: killed after {after_s:.2f} s, accepted {outcome.accepted_ms:7,} ms, "
            f"on disk {outcome.on_disk_ms:7,} ms, lost {outcome.lost_ms:5,} ms{words}\n"
        )
        sys.stdout.flush()
        found += [outcome] if outcome.counts else []
        if len(found) == rounds:
            break
    assert len(found) == rounds, f"only {len(found)} rounds of {2 * rounds} had written enough to count"
    return found


def main(argv: Sequence[str]) -> int:
    """The command."""
    rounds = int(argv[0]) if argv else 50
    found = run(rounds)
    worst = max(outcome.lost_ms for outcome in found) / SESSIONS / 2
    sys.stdout.write(
        f"{rounds} kills: nothing that was accepted more than {ALLOWED_S * 1000:.0f} ms before is missing, "
        "every recording opens, every database is whole; at worst "
        f"{worst:.0f} ms of each side of a session were lost\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
