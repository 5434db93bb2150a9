"""Where a local session's answers come from: a chat service, or rules over what was heard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from omnirt.errors import OmnirtError
from omnirt.loopback.brain import ScriptedBrain
from omnirt.loopback.local.messages import chat_request
from omnirt.loopback.local.sentences import Sentences, sentences
from omnirt.loopback.parts import Context, Hearing, Job, Step, Turn, Written
from omnirt.loopback.reading import parse_script
from omnirt.loopback.script import Action, Call, Failure, Script
from omnirt.loopback.speech import Phrasebook
from omnirt.loopback.wire import Json, ResponseParams

_ANSWERS = Path(__file__).parent / "answers.yaml"
_MOST = 200_000  # characters of one answer


@cache
def answers() -> Script:
    """What is said where no rule fits, read once: it never changes."""
    return parse_script(_ANSWERS)


class ToolCall(msgspec.Struct):
    """A call that the model makes, piece by piece."""

    name: str = ""
    arguments: str = ""


class Chat(Job):
    """One answer of the chat service, as it comes.

    Args:
        request: For the service, but for the model.
    """

    def __init__(self, request: Json) -> None:
        super().__init__()
        self.request = request
        self.calls: dict[int, ToolCall] = {}
        self.cut_short: str | None = None
        self._text = ""
        self._length = 0

    @property
    def ready(self) -> bool:
        """Whether there is text that was not taken, or an end."""
        return self.over or bool(self._text)

    def write(self, text: str) -> None:
        """More text."""
        self._text += text
        self._count(text)

    def call(self, index: int, name: str, arguments: str) -> None:
        """More of a call."""
        call = self.calls.setdefault(index, ToolCall())
        call.name += name
        call.arguments += arguments
        self._count(arguments)

    def _count(self, text: str) -> None:
        self._length += len(text)
        if self._length > _MOST:
            raise OmnirtError("provider_error", "The chat service does not come to an end.")

    def take(self) -> str:
        """The text since the last call."""
        text, self._text = self._text, ""
        return text


class ChatBrain:
    """Asks the chat service, and speaks sentence by sentence while it writes."""

    def plan(self, turn: Turn, context: Context, params: ResponseParams) -> Iterator[Step]:
        """What the response to a turn does."""
        yield from _hear_out(turn)
        chat = Chat(chat_request(context, turn, params))
        spoken = (params.output_modalities or context.settings.output_modalities)[0] == "audio"
        cutter = Sentences()
        over = False
        while not over:
            yield chat
            over, text = chat.over, chat.take()  # more may come while this is spoken
            if spoken:
                yield from (Action(say=sentence) for sentence in cutter.feed(text))
            elif text:
                yield Written(text)
        yield from (Action(say=sentence) for sentence in cutter.flush())
        if chat.failure is not None:
            yield Action(fail=Failure(message=chat.failure))
        if chat.cut_short == "length":
            yield Action(fail="max_output_tokens")
        if chat.cut_short == "content_filter":
            yield Action(fail="content_filter")
        if calls := [Call(call.name, call.arguments or "{}") for call in chat.calls.values() if call.name]:
            yield Action(call=calls)


class HeardBrain:
    """Follows a script, in which what was heard is what the user really said.

    Args:
        script: Its rules; turns that none of them fits are repeated to the user.
        book: The texts of the recordings, which a script may say by their names.
    """

    def __init__(self, script: Script, book: Phrasebook) -> None:
        self._rules = ScriptedBrain(script, answers(), lambda _: True)
        self._texts = book.texts

    def plan(self, turn: Turn, context: Context, params: ResponseParams) -> Iterator[Step]:
        """What the response to a turn does."""
        yield from _hear_out(turn)
        heard = [hearing.words for hearing in turn.hearings]
        text = "\n".join(filter(None, [turn.text, *(words for words in heard if isinstance(words, str))]))
        for action in self._rules.actions(msgspec.structs.replace(turn, text=text)):
            if action.say is None:
                yield action
            else:
                said = self._texts.get(action.say, action.say)
                yield from (Action(say=sentence) for sentence in sentences(said))


def _hear_out(turn: Turn) -> Iterator[Job]:
    """Wait until it is known what the user said."""
    for hearing in turn.hearings:
        while (job := _unknown(hearing)) is not None:
            yield job


def _unknown(hearing: Hearing) -> Job | None:
    return next(iter(hearing.jobs), None) if hearing.words is None else None
