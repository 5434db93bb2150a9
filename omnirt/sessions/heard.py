"""What of the agent's words was heard: known part by part, when it was cut or has played, else at the end.

No I/O and no clock. Words are placed by when their deltas came; where that and the plain share of the audio
differ, the smaller counts, cut at the end of a word: no word is taken for heard that was not.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from omnirt.protocol import events as ev
from omnirt.protocol.types import Item
from omnirt.sessions.outputs import PartHeard
from omnirt.sessions.playback import MAX_PARTS, Part

if TYPE_CHECKING:
    from omnirt.sessions.conversation import Conversation

E = TypeVar("E", bound=ev.TranscriptEvent)

MAX_MARKS = 2048
"""Deltas of a part whose places are kept; those after them count by their share."""
FASTEST_CHARS_PER_S = 25
"""Nobody speaks faster: the bound for text that ran ahead of audio which was never generated."""
# A word, or one sign of a script that puts no spaces between words.
_WORD = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]|[^\s\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]+")


class Spoken:
    """The deltas of a part's transcript: how much audio was there when each came."""

    def __init__(self) -> None:
        self.text = ""
        self._marks: list[tuple[int, int, int]] = []
        """(audio in ms, characters before the delta, and after it)"""

    def said(self, delta: str, audio_ms: int) -> None:
        """A delta came."""
        before = len(self.text)
        self.text += delta
        if len(self._marks) < MAX_MARKS:
            self._marks.append((audio_ms, before, len(self.text)))

    def chars_at(self, heard_ms: int, total_ms: int, *, complete: bool = True) -> float:
        """How many characters had been said there, by the deltas' times."""
        leads = bool(self._marks) and self._marks[0][0] == 0
        points: dict[int, int] = {0: 0}
        for audio_ms, before, after in self._marks:
            if leads:
                points.setdefault(audio_ms, before)  # what comes now is said from here on
            else:
                points[audio_ms] = after  # what came now was said up to here
        places = sorted(points)
        at = bisect_right(places, heard_ms) - 1
        begin = places[at]
        end, chars = (
            (places[at + 1], points[places[at + 1]]) if at + 1 < len(places) else (total_ms, len(self.text))
        )
        # Words that run ahead of audio that never came were not said; those that follow it were.
        share = (heard_ms - begin) / (end - begin) if end > begin else float(complete or not leads)
        return points[begin] + (chars - points[begin]) * share


class HeardWords:
    """The transcripts of a session's parts that may still be cut."""

    def __init__(self) -> None:
        self._spoken: OrderedDict[tuple[str, int], Spoken] = OrderedDict()
        self.heard: OrderedDict[tuple[str, int], Part] = OrderedDict()
        """Parts of which it is known how much was heard."""
        self.unheard: dict[str, str] = {}
        """Items of which nothing was heard, to be taken out of the model's context: their responses."""
        self.taken_out: deque[str] = deque(maxlen=MAX_PARTS)

    def said(self, item_id: str, content_index: int, delta: str, audio_ms: int) -> None:
        """A delta of the agent's transcript came, when so much audio of its part was there."""
        self._spoken.setdefault((item_id, content_index), Spoken()).said(delta, audio_ms)
        while len(self._spoken) > MAX_PARTS:
            self._spoken.popitem(last=False)

    def said_of(self, key: tuple[str, int]) -> str:
        """The words of a part so far, by its deltas."""
        spoken = self._spoken.get(key)
        return spoken.text if spoken is not None else ""

    def final(self, key: tuple[str, int], text: str | None) -> str | None:
        """The final words of a part: what is cut keeps those that it was cut in, whatever comes late."""
        part = self.heard.get(key)
        said = self.said_of(key)
        return said if part is not None and part.cut and said and not (text or "").startswith(said) else text

    def settle(self, part: Part) -> None:
        """It is known how much of a part was heard."""
        self.heard[part.key] = part
        while len(self.heard) > MAX_PARTS:
            self.heard.popitem(last=False)

    def part_text(self, part: Part, text: str | None) -> str:
        """The words of a part that were heard; `text` is the final transcript, if there is one."""
        assert part.heard_ms is not None, "it is settled"
        spoken = self._spoken.get(part.key) or Spoken()
        text = spoken.text if text is None else text
        if part.heard_ms >= part.generated_ms and part.complete:
            return text
        return cut_words(text, spoken, part)


def cut_words(text: str, spoken: Spoken, part: Part) -> str:
    """The words of `text` that end where the part was cut, or before."""
    heard_ms, total_ms = part.heard_ms or 0, max(1, part.generated_ms)
    chars = len(text) * heard_ms / total_ms
    if spoken.text:
        said = spoken.chars_at(heard_ms, total_ms, complete=part.complete)
        chars = min(chars, said * len(text) / len(spoken.text))
    if not part.complete:
        chars = min(chars, heard_ms * FASTEST_CHARS_PER_S / 1000)
    end = 0
    for word in _WORD.finditer(text):
        if word.end() > chars:
            break
        end = word.end()
    return text[:end]


def settle(talk: Conversation, part: Part, heard_ms: int, now: float, *, interrupted: bool) -> None:
    """Say once and for all how much of a part was heard, to the host and to the storage."""
    part.heard_ms = heard_ms
    talk.heard.settle(part)
    if interrupted and (said := talk.heard.said_of(part.key)):
        talk.items.transcribed(part.item_id, part.content_index, said)
    played_s = part.played_s if heard_ms > 0 else None
    played_at_ms = None if played_s is None else talk.at_ms(played_s)
    talk.push(PartHeard(part.item_id, part.content_index, heard_ms, played_at_ms, interrupted))
    fields: dict[str, Any] = {"interrupted": True} if interrupted else {}
    changed = talk.items.change(part.item_id, **heard_fields(talk, part.item_id), **fields)
    if changed is not None:
        talk.item_changed(changed, now, new=False)


def settle_played(talk: Conversation, now: float) -> None:
    """Settle what has played to its end."""
    for part in talk.playback.unsettled():
        if part.ended and talk.playback.heard_ms(part, now) >= part.generated_ms:
            settle(talk, part, part.generated_ms, now, interrupted=False)


def settle_all(talk: Conversation, now: float) -> None:
    """The end of the session: what is not heard by now will not be."""
    for part in talk.playback.unsettled():
        settle(talk, part, talk.playback.heard_ms(part, now), now, interrupted=False)


def reported(talk: Conversation, item_id: str, content_index: int, played_ms: int, now: float) -> None:
    """The host said how far its player is; at its first word what only the clock said is open again."""
    part = talk.playback.get(item_id, content_index)
    if part is not None and not talk.playback.reporting:
        for later in talk.playback.parts()[talk.playback.parts().index(part) :]:
            if not later.cut:
                later.heard_ms = None
                talk.heard.heard.pop(later.key, None)
    talk.playback.report(item_id, content_index, played_ms, now)
    settle_played(talk, now)


def heard_fields(talk: Conversation, item_id: str) -> dict[str, Any]:
    """The members of an item that tell what was heard of it; none while nothing is known."""
    parts = {key[1]: part for key, part in talk.heard.heard.items() if key[0] == item_id}
    if not parts:
        return {}
    heard_ms = sum(part.heard_ms or 0 for part in parts.values())
    return {"heard_ms": heard_ms, "heard_text": _words(talk, talk.items.get(item_id), parts)}


def received_text(talk: Conversation, item: Item) -> str:
    """The words of an item's audio as far as that was received: the host still plays what it has."""
    mine = [part for part in talk.playback.unsettled() if part.item_id == item.item_id]
    if not mine:
        return item.generated_text or ""
    return _words(
        talk, item, {part.content_index: replace(part, heard_ms=part.generated_ms) for part in mine}
    )


def _words(talk: Conversation, item: Item | None, parts: Mapping[int, Part]) -> str:
    words: list[str] = []
    content = item.content if item is not None and isinstance(item.content, list) else []
    for index in sorted({*parts, *range(len(content))}):
        known = content[index] if index < len(content) else None
        if index in parts:
            transcript = known.transcript if known is not None and known.transcript else None
            words.append(talk.heard.part_text(parts[index], transcript))
        elif known is not None and known.type == "text" and known.text:
            words.append(known.text)  # what is written is read
    return " ".join(word for word in words if word)


def words_known(talk: Conversation, item: Item, now: float) -> None:
    """The final words of an item's part came: tell them with what was heard, if that is known already."""
    fields = heard_fields(talk, item.item_id)
    if fields:
        changed = talk.items.change(item.item_id, **fields)
        talk.item_changed(changed or item, now, new=False)
    elif item.content and all(part.type == "text" for part in item.content):
        talk.items.change(item.item_id, heard_text=item.generated_text)


def take_out_unheard(talk: Conversation, item_id: str, response_id: str) -> None:
    """Nothing of an item was heard: the model is to forget that it said it, once its response is over."""
    item = talk.items.get(item_id)
    if item is None or any(part.type != "audio" for part in item.content or ()):
        return
    if any(part.heard_ms for key, part in talk.heard.heard.items() if key[0] == item_id):
        return
    talk.heard.unheard[item_id] = response_id
    if response_id not in talk.responses.running:
        response_over(talk, response_id)


def response_over(talk: Conversation, response_id: str) -> None:
    """The items of a response that nobody heard leave the model's context."""
    unheard = [item_id for item_id, of in talk.heard.unheard.items() if of == response_id]
    for item_id in unheard:
        del talk.heard.unheard[item_id]
        talk.heard.taken_out.append(item_id)
        event_id = talk.turns.event_id("delete")
        told_as = talk.items.seeds.of.get(item_id, item_id)
        talk.send({"type": "conversation.item.delete", "event_id": event_id, "item_id": told_as})


def with_heard(talk: Conversation, done: E) -> E:
    """Add to the final words of a part what was heard of them, if it is known already."""
    if isinstance(done, ev.RealtimeTranscriptDone):
        part = talk.heard.heard.get((done.item_id, done.content_index))
        if part is not None:
            done.heard_text = talk.heard.part_text(part, done.text)
    return done
