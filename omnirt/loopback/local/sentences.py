"""Cuts what a model writes into sentences as it comes, and leaves out what nobody would say aloud."""

from __future__ import annotations

import re

_END = re.compile(r"""(?<=[.!?…:])["”’)\]]*\s+|\n+""")
_TITLE = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|e\.g|i\.e)|\b[A-Z]|(?:^|\s)\d+)\.$")
_MARKUP = re.compile(r"[*_`#~>|]+|^\s*[-•]\s+", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]*\)")
_LEAST = 12  # characters: "Oh! Well." is better said in one breath
_MOST = 400


class Sentences:
    """What was fed and is not said yet."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """More text; the sentences that are complete with it."""
        self._rest += text
        found: list[str] = []
        begin = 0
        for end in _END.finditer(self._rest):
            sentence = self._rest[begin : end.start()]
            if len(sentence.strip()) < _LEAST or _TITLE.search(sentence):
                continue
            found.append(sentence)
            begin = end.end()
        self._rest = self._rest[begin:]
        while len(self._rest) > _MOST:
            cut = self._rest.rfind(" ", 0, _MOST) + 1 or _MOST
            found.append(self._rest[:cut])
            self._rest = self._rest[cut:]
        return [spoken for sentence in found if (spoken := speakable(sentence))]

    def flush(self) -> list[str]:
        """What is left at the end."""
        rest, self._rest = speakable(self._rest), ""
        return [rest] if rest else []


def sentences(text: str) -> list[str]:
    """All sentences of a text."""
    cutter = Sentences()
    return [*cutter.feed(text), *cutter.flush()]


def speakable(text: str) -> str:
    """A text without its markup."""
    return " ".join(_MARKUP.sub("", _LINK.sub(r"\1", text)).split())
