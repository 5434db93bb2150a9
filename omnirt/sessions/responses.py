"""The responses of a session: what is open in each, its words and latencies, and which ended lately."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Literal

from omnirt.protocol.events import Latency
from omnirt.protocol.methods import EndedResponse
from omnirt.protocol.types import ResponseStatus

MAX_ENDED = 1024
"""Ended responses that no `session.wait` asked for are kept up to this number."""
MAX_SERIES = 256
"""Open delta series; a provider that ends none of so many has the oldest ended for it."""
MAX_RUNNING = 16
"""Responses at once; the same."""
OWN_ID = "omnirt_response_"

SeriesKind = Literal["transcript", "text"]


@dataclass
class Series:
    """The deltas of one content part, open until its `done`."""

    item_id: str
    content_index: int
    kind: SeriesKind
    role: Literal["user", "assistant"]
    response_id: str = ""
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All deltas so far."""
        return "".join(self.pieces)


@dataclass
class Response:
    """One generation. Times are seconds of the session's monotonic clock."""

    response_id: str
    agent: str
    requested_at: float | None
    speech_ended_at: float | None
    first_audio_at: float | None = None
    muted: bool = False
    """Cancelled or interrupted: none of its audio may reach the host any more."""
    stopped: str = ""
    """Why we cancelled it ourselves: the `reason` of its end, whatever the provider says of that."""
    told: bool = False
    """Whether the provider said that it began; else an event of its was the first sign."""
    items: set[str] = field(default_factory=set)
    calls: set[tuple[str, str, str]] = field(default_factory=set)
    """Calls of tools so far: item id, call id, name."""
    words: OrderedDict[tuple[str, int], str] = field(default_factory=OrderedDict)

    @property
    def own_item(self) -> str:
        """The item of its output, from a provider that names none."""
        return f"{self.response_id}_item"

    @property
    def text(self) -> str:
        """The final words of all its parts, in order."""
        return " ".join(text for text in self.words.values() if text)

    def latency(self) -> Latency:
        """From the end of speech, and from the request, to the first audio."""
        latency = Latency()
        if self.first_audio_at is not None and self.speech_ended_at is not None:
            latency.speech_end_to_first_audio_ms = _ms(self.first_audio_at - self.speech_ended_at)
        if self.first_audio_at is not None and self.requested_at is not None:
            latency.request_to_first_audio_ms = _ms(self.first_audio_at - self.requested_at)
        return latency


class ResponseLedger:
    """Running responses by id, open delta series, and the list of ended ones."""

    def __init__(self) -> None:
        self.running: dict[str, Response] = {}
        self.series: dict[tuple[str, int, SeriesKind], Series] = {}
        self._ended: deque[EndedResponse] = deque(maxlen=MAX_ENDED)
        self._over: deque[str] = deque(maxlen=MAX_ENDED)
        self._said: deque[tuple[str, int, SeriesKind]] = deque(maxlen=MAX_SERIES)
        self._own = 0
        self.fresh: set[str] = set()
        """Items that got words since the storage had them last."""

    def start(self, response: Response) -> None:
        """A response began."""
        self.running[response.response_id] = response

    def find(self, response_id: str) -> Response | None:
        """The running response of this id; without an id, the latest."""
        if response_id:
            return self.running.get(response_id)
        return next(reversed(self.running.values()), None)

    def own_id(self) -> str:
        """An id for a response whose provider has none."""
        self._own += 1
        return f"{OWN_ID}{self._own}"

    def ending(self, response_id: str) -> str:
        """Which response an end is for: one that we named ends with whatever unknown id comes."""
        known = response_id in self.running or self.is_over(response_id)
        if known or not self.running:
            return response_id
        named = next(reversed(self.running))
        return named if not response_id or named.startswith(OWN_ID) else response_id

    def is_over(self, response_id: str) -> bool:
        """Whether this response ended already, so that what comes late for it is dropped."""
        return response_id not in self.running and response_id in self._over

    def known_ids(self) -> list[str]:
        """The ids of those that run, and of those that ended lately."""
        return [*self.running, *self._over]

    def end(self, response_id: str, status: ResponseStatus) -> Response | None:
        """Take a response off the running ones; None when it was not running."""
        response = self.running.pop(response_id, None)
        if response is not None:
            self._over.append(response_id)
            self._ended.append(EndedResponse(response_id=response_id, status=status, text=response.text))
        return response

    def put_back(self, ended: list[EndedResponse]) -> None:
        """Nobody was told after all: the next call gets them."""
        self._ended.extendleft(reversed(ended))

    def take_ended(self) -> list[EndedResponse]:
        """The responses that ended since the last call."""
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def of_item(self, item_id: str) -> Response | None:
        """The running response that an item belongs to."""
        return next((r for r in self.running.values() if item_id in r.items), None)

    def delta(self, series: Series, delta: str) -> Series:
        """Add a delta to its series, which is opened when it is new."""
        known = self.series.setdefault((series.item_id, series.content_index, series.kind), series)
        known.pieces.append(delta)
        self.fresh.add(series.item_id)
        return known

    def close_series(self, item_id: str, content_index: int, kind: SeriesKind, text: str | None) -> str:
        """End a series with its authoritative text, or with the sum of its deltas."""
        series = self.series.pop((item_id, content_index, kind), None)
        self._said.append((item_id, content_index, kind))
        self.fresh.add(item_id)
        final = text if text is not None else (series.text if series else "")
        response = self.running.get(series.response_id) if series else None
        response = response or self.of_item(item_id)
        if response is not None:
            response.words[item_id, content_index] = final
        return final

    def was_said(self, item_id: str, content_index: int, kind: SeriesKind) -> bool:
        """Whether the words of this part were ended already, and none came since."""
        part = (item_id, content_index, kind)
        return part in self._said and part not in self.series

    def open_series(self, response_id: str | None = None) -> list[Series]:
        """The open series of one response, or all of them."""
        return [s for s in self.series.values() if response_id is None or s.response_id == response_id]


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
