"""An answer under output guardrails: its words so far, what of them has passed, and what is held for them.

No I/O and no clock. Positions count the characters of all words of the response, in the order in which they
came; the end of each content part counts as one more.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omnirt.specs.guardrails import Guardrails

MAX_TEXT = 100_000
"""Characters of one answer: more than an hour of speech, and checked again and again."""
MAX_HELD_BYTES = 32 * 1024 * 1024
"""Audio of one answer that is kept back: eleven minutes of PCM16."""
MAX_SENTENCE = 400
"""A sentence without an end counts as one after so many characters."""

_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+|\n")


@dataclass(frozen=True)
class HeldAudio:
    """Decoded audio, as it came."""

    response_id: str
    item_id: str
    content_index: int
    data: bytes


Held = HeldAudio | Mapping[str, Any]
"""Audio, or an event of the provider."""


@dataclass(eq=False)
class Answer:
    """One response of an agent. `key` is the provider's id of it, "" from a provider that has none."""

    key: str
    agent: str
    guards: Guardrails
    text: str = ""
    passed: int = 0
    """How much of the text was checked and found well."""
    closed: int = 0
    """Where the text stood at the last end of a part: nothing will be added before it."""
    checking: bool = False
    tripped: bool = False
    complete: bool = False
    """Whether the provider told the end."""
    items: set[str] = field(default_factory=set)
    held: deque[tuple[int, Held]] = field(default_factory=deque)
    """Each with the position that must be released before it."""
    held_bytes: int = 0
    _said: dict[tuple[str, int], str] = field(default_factory=dict)
    _ended: set[tuple[str, int]] = field(default_factory=set)
    _ends: deque[int] = field(default_factory=deque)
    """Where sentences end that have not passed."""
    _sentence: int = 0
    """Where the last of all sentences so far ended."""
    _released: int = 0

    # -- words -------------------------------------------------------------------------------------------

    def add(self, part: tuple[str, int], delta: str) -> None:
        """More words of a part."""
        self._said[part] = self._said.get(part, "") + delta
        self._append(delta)

    def finish(self, part: tuple[str, int], text: str | None) -> None:
        """The end of a part; where its authoritative text is another than its deltas, that is checked too."""
        if part not in self._ended:
            self._ended.add(part)
            self.also(text if text is not None and text != self._said.get(part) else "")
            self.close()

    def also(self, text: str) -> None:
        """Words that came in another way than as deltas."""
        if text and text not in self.text:
            self._append(("\n" if self.text else "") + text)
            self.close()

    def close(self) -> None:
        """What was said so far is whole."""
        if len(self.text) > self.closed:
            self._append("\n")
            self.closed = len(self.text)

    @property
    def due(self) -> str | None:
        """The text that is to be checked now."""
        new = len(self.text) - self.passed
        if self.checking or self.tripped or new <= 0:
            return None
        sentence = self.guards.holds and self._sentence > self.passed
        if self.closed > self.passed or new >= self.guards.debounce or sentence:
            return self.text
        return None

    # -- what is held ------------------------------------------------------------------------------------

    def after_words(self) -> int:
        """The position behind all words so far: what shows them needs it."""
        return len(self.text) if self.guards.holds else 0

    def after_audio(self, part: tuple[str, int]) -> int:
        """The position that audio needs: the words that it says may still be to come.

        So it waits for the end of the sentence whose words come next, or of its part.
        """
        if not self.guards.holds:
            return 0
        return len(self.text) + (part not in self._ended)

    def hold(self, need: int, event: Held) -> None:
        """Keep an event back; those before it come first in any case."""
        self.held.append((need, event))
        if isinstance(event, HeldAudio):
            self.held_bytes += len(event.data)

    def pass_to(self, position: int) -> None:
        """The text was checked up to here, and found well."""
        self.passed = position
        if not self.guards.holds:
            self._released = position
        while self._ends and self._ends[0] <= position:
            self._released = self._ends.popleft()

    def releasable(self) -> Held | None:
        """The next event that may go on, taken from what is held."""
        if self.held and self.held[0][0] <= self._released:
            event = self.held.popleft()[1]
            if isinstance(event, HeldAudio):
                self.held_bytes -= len(event.data)
            return event
        return None

    @property
    def unbounded(self) -> bool:
        """Whether it is longer than can be checked or held."""
        return len(self.text) > MAX_TEXT or self.held_bytes > MAX_HELD_BYTES

    @property
    def wordless(self) -> bool:
        """Whether its audio came without any words."""
        return self.complete and not self.text and self.held_bytes > 0

    def _append(self, text: str) -> None:
        self.text += text
        if not self.guards.holds:
            return
        for match in _END.finditer(self.text, self._sentence):
            self._end_sentence(match.end())
        if len(self.text) - self._sentence > MAX_SENTENCE:
            self._end_sentence(len(self.text))

    def _end_sentence(self, position: int) -> None:
        self._sentence = position
        self._ends.append(position)
        self.pass_to(self.passed)
