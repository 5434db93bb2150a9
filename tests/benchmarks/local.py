"""The provider `local` as a host meets it: words it gets wrong, time to the first sound, barge-in, pings.

What is recognised is human speech: clips of LibriVox recordings, which the source package of pocketsphinx
has with their transcripts. They are fetched with pip when the benchmark runs, and are in no package of ours.
"""

from __future__ import annotations

import asyncio
import audioop
import importlib.util
import re
import subprocess
import tarfile
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from omnirt.client import Client, Session
from omnirt.protocol import events as e
from omnirt.protocol.methods import SessionStartParams
from tests.benchmarks.child import LIMIT_S, PYTHON, unpin
from tests.benchmarks.table import Row, Target, plain
from tests.support.local import PACKAGES

SOURCE = "pocketsphinx==5.1.1"
CLIPS = "test/data/librivox"
EXAMPLES = Path(__file__).parents[2] / "examples" / "audio"
ROUNDS = 2
FRAME = 960  # bytes: 20 ms
EDGE_DB = 30.0
"""Speech is what is louder than its peak less this."""
LONG = "Once upon a time there was a lighthouse keeper, who wrote down the names of all the ships. " * 4
SCRIPT = {"rules": [{"on": "text", "do": [{"say": LONG}]}, {"do": [{"say": "I heard you."}]}]}


class Clip(NamedTuple):
    """Speech as PCM16 at 24 kHz, with the words of it where they are known."""

    pcm: bytes
    words: list[str]

    @property
    def spoken(self) -> tuple[int, int]:
        """The first and the last frame in which somebody speaks."""
        loud = [
            audioop.rms(self.pcm[at : at + FRAME], 2) for at in range(0, len(self.pcm) - FRAME + 1, FRAME)
        ]
        least = max(loud) / 10 ** (EDGE_DB / 20)
        frames = [index for index, level in enumerate(loud) if level > least]
        return frames[0], frames[-1]


class Heard(NamedTuple):
    """What came of one clip."""

    words: list[str]
    latency_ms: float


def read(path: Path, words: Sequence[str] = ()) -> Clip:
    """A WAV file, PCM16 mono."""
    with wave.open(str(path), "rb") as file:
        pcm, _ = audioop.ratecv(file.readframes(file.getnframes()), 2, 1, file.getframerate(), 24_000, None)
    return Clip(pcm, list(words))


def librivox(folder: Path) -> list[Clip]:
    """The clips with their transcripts; none where pip cannot fetch them."""
    command = [PYTHON, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pocketsphinx"]
    try:
        subprocess.run([*command, "--dest", folder, SOURCE], check=True, capture_output=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return []
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    [clips] = folder.glob(f"*/{CLIPS}")
    lines = (clips / "transcription").read_text(encoding="utf-8").splitlines()
    spoken = [re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip()) for line in lines]
    return [read(clips / f"{found[2]}.wav", found[1].split()) for found in spoken if found]


def plain_words(text: str) -> list[str]:
    """The words of a transcript as the references are written."""
    text = re.sub(r"\bmr\b\.?", "mister", text.casefold()).replace("-", " ")
    return re.findall(r"[a-z']+", text)


def mistakes(heard: Sequence[str], said: Sequence[str]) -> int:
    """Words to be inserted, deleted or replaced (Levenshtein)."""
    row = list(range(len(said) + 1))
    for i, word in enumerate(heard, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


class Talk:
    """A session with a microphone that never stops."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent: list[float] = []
        """When each frame of the present clip went out."""
        self.events: list[tuple[float, object]] = []
        self._changed = asyncio.Event()

    def say(self, clip: Clip) -> None:
        """Speak."""
        self.sent.clear()
        self.events.clear()
        for at in range(0, len(clip.pcm), FRAME):
            self._frames.put_nowait(clip.pcm[at : at + FRAME])

    async def stream(self) -> None:
        """20 ms every 20 ms."""
        due = time.perf_counter()
        while True:
            speaks = not self._frames.empty()
            await self._session.send_audio(self._frames.get_nowait() if speaks else bytes(FRAME))
            if speaks:
                self.sent.append(time.perf_counter())
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def listen(self) -> None:
        """Keep the events with their times."""
        async for event in self._session.events:
            self.events.append((time.perf_counter(), event))
            self._changed.set()

    async def first(self, kind: type[object], role: str | None = None) -> tuple[float, Any]:
        """The first event of a kind since the clip began."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for at, event in self.events:
                    if isinstance(event, kind) and role in (None, getattr(event, "role", None)):
                        return at, event
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def talking(client: Client, silence_ms: int) -> AsyncIterator[Talk]:
    """A session, with this hang-over."""
    params = SessionStartParams(
        agent={"name": "a"},
        settings={"provider": "local", "local": {"script": SCRIPT}},
        realtime={"turn_detection": {"type": "server_vad", "silence_duration_ms": silence_ms}},
        record="none",
    )
    session = await client.start_session(params)
    talk = Talk(session)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(talk.stream()), tasks.create_task(talk.listen())]
        yield talk
        for task in running:
            task.cancel()
    await session.stop()


async def hear(talk: Talk, clip: Clip) -> Heard:
    """Say a clip, and take the answer."""
    talk.say(clip)
    _, transcript = await talk.first(e.RealtimeTranscriptDone, "user")
    at, _ = await talk.first(e.RealtimeAudio)
    ended = talk.sent[clip.spoken[1]]
    await talk.first(e.RealtimeResponseEnd)
    return Heard(plain_words(transcript.text), (at - ended) * 1000)


async def barge_in(talk: Talk, clip: Clip) -> float:
    """Speak while a long answer is spoken: ms from the first sound to `realtime.audioInterrupted`."""
    talk.events.clear()
    await talk._session.send_text("A story, please.")
    await talk.first(e.RealtimeAudio)
    await asyncio.sleep(1.0)
    talk.say(clip)
    at, _ = await talk.first(e.RealtimeAudioInterrupted)
    began = talk.sent[clip.spoken[0]]
    talk.events.clear()
    await talk.first(e.RealtimeTranscriptDone, "user")
    await talk.first(e.RealtimeResponseEnd)
    return (at - began) * 1000


async def slowest_ping(client: Client, talk: Talk, clip: Clip) -> float:
    """The longest that `ping` takes while speech is recognised and answered, in ms."""
    hearing = asyncio.ensure_future(hear(talk, clip))
    slowest = 0.0
    while not hearing.done():
        began = time.perf_counter()
        await client.ping()
        slowest = max(slowest, time.perf_counter() - began)
        await asyncio.sleep(0.005)
    await hearing
    return slowest * 1000


async def measure(human: Sequence[Clip], examples: Sequence[Clip]) -> list[Row]:
    """All of it, with one daemon."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        async with Client(
            args=["--data-dir", folder, "--log-level", "warning"], stderr=subprocess.DEVNULL
        ) as client:
            async with talking(client, 500) as talk:
                heard = [await hear(talk, clip) for clip in human]
                waits = [h.latency_ms for h in heard]
                waits += [(await hear(talk, clip)).latency_ms for clip in [*examples] * ROUNDS]
                cuts = [await barge_in(talk, clip) for clip in examples]
                pings = [await slowest_ping(client, talk, clip) for clip in examples]
            async with talking(client, 300) as talk:
                quick = [(await hear(talk, clip)).latency_ms for clip in [*examples] * ROUNDS]
    if human:
        said = sum(len(clip.words) for clip in human)
        wrong = sum(mistakes(h.words, clip.words) for h, clip in zip(heard, human, strict=True))
        what = f"local: words wrong, of {said} of human speech"
        found.append(plain(what, [100 * wrong / said], "%", Target(10, "%")))
    return [
        *found,
        plain("local: end of speech → first audio, 500 ms hang-over", waits, "ms", Target(700, "ms")),
        plain("local: end of speech → first audio, 300 ms hang-over", quick, "ms", Target(500, "ms")),
        plain("local: barge-in → audioInterrupted", cuts, "ms", Target(150, "ms")),
        plain("local: slowest ping while it hears and speaks", pings, "ms"),
    ]


def rows() -> list[Row]:
    """Measure."""
    if any(importlib.util.find_spec(name) is None for name in PACKAGES):
        return [Row("local: not measured, as the extra `local` is not installed", "")]
    unpin()
    examples = [read(path) for path in sorted(EXAMPLES.glob("*.wav"))]
    with tempfile.TemporaryDirectory() as folder:
        human = librivox(Path(folder))
        return asyncio.run(measure(human, examples))
