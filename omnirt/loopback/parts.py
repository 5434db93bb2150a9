"""What a conversation is made of: a script, a brain, ears and a voice, and the work it asks of others.

There are two sets of parts: the simulator's, which are scripted and know everything at once, and the local
provider's, which think, hear and speak for real, and take their time. What takes time is a `Job`: the core
asks for it (`Conversation.wanted`), whoever runs the core has it done, and tells the core (`tick`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from omnirt.loopback.audio import Format
from omnirt.loopback.config import SessionSettings
from omnirt.loopback.items import Items
from omnirt.loopback.script import Action, Script, Unheard
from omnirt.loopback.speech import Clip, Voice
from omnirt.loopback.wire import ResponseParams


class Job:
    """Work that takes time; `failure` says in words for the client why nothing came of it."""

    def __init__(self) -> None:
        self.over = False
        self.failure: str | None = None

    @property
    def ready(self) -> bool:
        """Whether whoever waits for it has something to do."""
        return self.over

    def fail(self, why: str) -> None:
        """Nothing comes of it."""
        self.failure, self.over = why, True


class Speak(Job):
    """Speech for a text that is not at hand."""

    def __init__(self, text: str, speed: float) -> None:
        super().__init__()
        self.text = text
        self.speed = speed
        self.clip: Clip | None = None

    def done(self, clip: Clip) -> None:
        """The speech."""
        self.clip, self.over = clip, True


class Written(msgspec.Struct, frozen=True):
    """A piece of written answer, as it stands."""

    text: str


Step = Action | Written | Job
"""What a plan consists of; at a job it goes on when there is something new."""


class Hearing(Protocol):
    """What is heard of one spoken turn, while it is spoken and after."""

    @property
    def words(self) -> str | Unheard | None:
        """The words; None until they are known."""

    @property
    def jobs(self) -> Sequence[Job]:
        """The work that is under way."""

    def follow(self, audio: bytes | bytearray, quiet_ms: int) -> None:
        """The turn goes on: all its audio so far, and for how long nobody has spoken."""

    def end(self, audio: bytes, quiet_ms: int, *, detected: bool) -> None:
        """The turn is over, with this silence at its end; `detected` when speech was found in it."""

    def deltas(self) -> list[str]:
        """The words that became certain since the last call, as they are written one after another."""


class Turn(msgspec.Struct, frozen=True):
    """What a response answers.

    Attributes:
        kind: Where it came from; `start` when nothing waits for an answer.
        text: What the user wrote or was heard to say; the instructions of a start; the output of a tool.
        number: Which turn of the user this is, from 1; 0 for what is no user's turn.
        tools: The names of the tools whose output this is.
        hearings: What the user said and is not known yet.
    """

    kind: Literal["text", "audio", "start", "tool_output", "idle"]
    text: str = ""
    number: int = 0
    tools: tuple[str, ...] = ()
    hearings: tuple[Hearing, ...] = ()


class Activity(Protocol):
    """Voice-activity detection over 20 ms frames of PCM16."""

    threshold: float
    speaking: bool
    quiet_frames: int

    def feed(self, frame: bytes) -> int:
        """Take a frame; how many frames ago speech began when it begins with this one, else 0."""

    def rest(self) -> None:
        """Begin anew after a turn."""


class Ears(Protocol):
    """Where turns and words are heard."""

    def activity(self, form: Format) -> Activity:
        """Detection for one format."""

    def begin(self, form: Format) -> Hearing:
        """A turn begins."""


class Context(Protocol):
    """What a brain may look at."""

    items: Items
    settings: SessionSettings


class Stage(Protocol):
    """What a response needs of its conversation."""

    now: float
    id: str
    items: Items

    def emit(self, type_: str, /, **members: object) -> None:
        """Send an event."""

    def new_id(self, prefix: str) -> str:
        """A fresh id."""

    def find_speech(self, text: str) -> Clip | None:
        """Speech that is at hand."""


class Brain(Protocol):
    """Where answers come from."""

    def plan(self, turn: Turn, context: Context, params: ResponseParams) -> Iterable[Step]:
        """What the response to a turn does."""


@dataclass(frozen=True)
class Parts:
    """One set of parts, for one conversation.

    Attributes:
        script: Its latency, and what a response answers when several turns wait.
        brain: Where answers come from.
        ears: Where turns and words are heard.
        find_speech: Speech that is at hand.
        perform: Does a job, and calls back after each thing that was put into it.
    """

    script: Script
    brain: Brain
    ears: Ears
    find_speech: Callable[[str], Clip | None]
    perform: Performer


class Performer(Protocol):
    """Whoever does the jobs of a conversation."""

    async def __call__(self, job: Job, wake: Callable[[], None], /) -> None:
        """Do a job; cancelled when it is wanted no more."""


class Profile(Protocol):
    """What plays behind an endpoint."""

    @property
    def script(self) -> Script | None:
        """What it says and what goes wrong, as far as that is scripted."""

    @property
    def speed(self) -> float:
        """How much faster than life."""

    def parts(self, voice: Voice) -> AbstractAsyncContextManager[Parts]:
        """The parts for one connection; `voice` has the recordings and espeak-ng."""
