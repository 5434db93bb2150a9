"""The simulator's voice: shipped recordings, and espeak-ng for any other text when it is installed.

What is said and its transcript are one: a `Clip` carries both, with the end of each word. A text for
which there is no recording and no synthesiser is refused, never replaced.
"""

from __future__ import annotations

import asyncio
import audioop
import re
import shutil
import wave
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import msgspec

from omnirt.errors import OmnirtError
from omnirt.loopback.audio import RATE

_VOICE = Path(__file__).parent / "voice"
_CACHED = 64  # clips of synthesised speech kept: 3 s each are 9 MB
_LONGEST = 2_000  # characters of one text: about two minutes
_SYNTHESIS_S = 15.0  # espeak-ng speaks two minutes of text in under a second
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class Clip(msgspec.Struct, frozen=True):
    """Recorded speech: its words, where each ends, and PCM16 at 24 kHz."""

    text: str
    ends_ms: tuple[int, ...]
    pcm: bytes

    def __repr__(self) -> str:
        return f"Clip({len(self.pcm) // 48} ms)"  # never the audio

    @property
    def words(self) -> list[str]:
        """The words as they stand in the transcript."""
        return self.text.split()

    def __add__(self, other: Clip) -> Clip:
        start = len(self.pcm) * 1000 // (RATE * 2)
        ends = (*self.ends_ms, *(start + end for end in other.ends_ms))
        return Clip(f"{self.text} {other.text}", ends, self.pcm + other.pcm)


class _Recording(msgspec.Struct):
    text: str
    ends_ms: list[int]


class Utterance(msgspec.Struct):
    """Speech that the simulator knows when it hears it: its words, and its loudness every 20 ms in dB."""

    text: str
    envelope: list[int]


class _Index(msgspec.Struct):
    spoken: dict[str, _Recording]
    heard: list[Utterance]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.casefold()))


class Phrasebook:
    """What the shipped recordings say, by name and by text."""

    def __init__(self) -> None:
        self._index = msgspec.json.decode((_VOICE / "index.json").read_bytes(), type=_Index)
        self._names = {_plain(entry.text): name for name, entry in self._index.spoken.items()}

    @property
    def texts(self) -> Mapping[str, str]:
        """The text of each recording by its name."""
        return {name: entry.text for name, entry in self._index.spoken.items()}

    @property
    def known_utterances(self) -> list[Utterance]:
        """Speech of a user that is recognised (examples/audio)."""
        return self._index.heard

    def names(self, text: str) -> list[str] | None:
        """The recordings which say a text one after another, or None; a name stands for its text."""
        if text in self._index.spoken:
            return [text]
        if name := self._names.get(_plain(text)):
            return [name]
        sentences = _SENTENCE.split(text.strip())
        for count in range(len(sentences) - 1, 0, -1):
            head = self._names.get(_plain(" ".join(sentences[:count])))
            if head and (rest := self.names(" ".join(sentences[count:]))):
                return [head, *rest]
        return None

    def read(self, name: str) -> Clip:
        """One recording."""
        entry = self._index.spoken[name]
        with wave.open(str(_VOICE / f"{name}.wav"), "rb") as file:
            return Clip(entry.text, tuple(entry.ends_ms), file.readframes(file.getnframes()))


class Voice:
    """Speech for texts: `find` is quick and knows what is at hand, `speak` may synthesise."""

    def __init__(self, synthesiser: str | None = None) -> None:
        self.book = Phrasebook()
        self._synthesiser = synthesiser
        self._recordings: dict[str, Clip] = {}
        self._made: OrderedDict[str, Clip] = OrderedDict()

    def find(self, text: str) -> Clip | None:
        """The speech of a text if it was recorded, or synthesised lately."""
        if text in self._made:
            self._made.move_to_end(text)
            return self._made[text]
        if (names := self.book.names(text)) is None:
            return None
        clips = [self._recording(name) for name in names]
        return sum(clips[1:], clips[0])

    def _recording(self, name: str) -> Clip:
        if name not in self._recordings:
            self._recordings[name] = self.book.read(name)
        return self._recordings[name]

    async def speak(self, text: str) -> Clip:
        """The speech of any text.

        Raises:
            OmnirtError: There is neither a recording nor a synthesiser, or the synthesiser failed.
        """
        if (clip := self.find(text)) is not None:
            return clip
        if self._synthesiser is None:
            raise OmnirtError("invalid_params", no_recording(text, self.book))
        words = " ".join(text.split())[:_LONGEST]
        clip = with_word_ends(words, await synthesise(self._synthesiser, words))
        self._made[text] = clip
        if len(self._made) > _CACHED:
            self._made.popitem(last=False)
        return clip


def find_synthesiser() -> str | None:
    """The path of espeak-ng, when it is installed."""
    return shutil.which("espeak-ng")


def no_recording(text: str, book: Phrasebook) -> str:
    """The refusal of a text that nobody can speak."""
    shipped = "; ".join(f"{name}: {spoken}" for name, spoken in book.texts.items())
    return (
        f"There is no recording of {text[:80]!r}. Install espeak-ng, say it with `text`, "
        f"or use what is shipped: {shipped}"
    )


async def synthesise(program: str, text: str) -> bytes:
    """PCM16 at 24 kHz from espeak-ng. The text goes through stdin: it is never an option or a file name."""
    child = await asyncio.create_subprocess_exec(
        program,
        "--stdin",
        "--stdout",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_SYNTHESIS_S):
            spoken, _ = await child.communicate(text.encode())
    except TimeoutError:
        raise OmnirtError("timed_out", "The speech synthesiser took too long") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    # a streamed WAV: 44 bytes of header whose lengths are unknown, then the samples
    if child.returncode or spoken[:4] != b"RIFF" or len(spoken) < 46:
        raise OmnirtError("internal", "The speech synthesiser made no speech")
    rate = int.from_bytes(spoken[24:28], "little")
    samples = spoken[44 : len(spoken) - len(spoken) % 2]
    pcm, _ = audioop.ratecv(samples, 2, 1, rate, RATE, None)
    return pcm


def with_word_ends(text: str, pcm: bytes) -> Clip:
    """Share the length out among the words by their letters: espeak-ng does not tell where they end."""
    words = text.split()
    total = sum(len(word) + 1 for word in words)
    length = len(pcm) * 1000 // (RATE * 2)
    ends, done = [], 0
    for word in words:
        done += len(word) + 1
        ends.append(length * done // total)
    return Clip(" ".join(words), tuple(ends), pcm)
