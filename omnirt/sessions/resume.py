"""Going on with a stored session: what the model is told of the talk so far, and which echoes that brings.

The model gets texts: what the user wrote or was heard to say, what was *heard* of the agent, and calls with
their outputs. Nothing of it is stored or told to the host again: it is in the history under its own run.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from omnirt.protocol.stored_methods import StoredItem

if TYPE_CHECKING:
    from omnirt.sessions.link import ProviderLink
    from omnirt.sessions.outputs import Run
    from omnirt.storage.archive import Archive
    from omnirt.storage.history import EarlierRuns

MAX_ITEMS = 200
"""The last items of a talk that the model is told."""
MAX_CHARS = 64_000
"""Of them all: some 16,000 tokens, half of the context of a small realtime model."""
MAX_TEXT = 16_000
"""Of one of them: an output of a tool can be as long as all the rest."""

_EVENT = "omnirt_seed_"
_Key = tuple[str, str]


def seed_events(items: Sequence[StoredItem], open_calls: Collection[str] = ()) -> list[dict[str, Any]]:
    """The client events that tell the model of these items in order, without the oldest beyond the bounds.

    Args:
        items: The talk so far.
        open_calls: Calls whose outputs are still to come: they keep their ids.
    """
    return [event for _, event in _told(items, open_calls)]


def _told(items: Sequence[StoredItem], open_calls: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
    """The events, each with the id of its item."""
    paired = _paired(items, open_calls)
    told: deque[tuple[str, dict[str, Any]]] = deque()
    room = MAX_CHARS
    for item in reversed(items):
        content = _content(item, paired)
        size = len(json.dumps(content))
        if content is None:
            continue
        if size > MAX_CHARS // 2:
            continue  # arguments of a call; without it the talk before it can be told
        if size > room or len(told) == MAX_ITEMS:
            break
        room -= size
        told.appendleft((item.item_id, content))
    seeds = [
        (item_id, {"id": f"resumed_{number}", **content})
        for number, (item_id, content) in enumerate(_without_orphans(told), 1)
    ]
    create = "conversation.item.create"
    return [(of, {"type": create, "event_id": _event_id(item), "item": item}) for of, item in seeds]


class Resumption:
    """How a run goes on with what was stored before it: with nothing, unless `find` found it.

    Attributes:
        resumed: Whether there were earlier runs of the session.
    """

    def __init__(self, earlier: EarlierRuns | None = None) -> None:
        self.resumed = earlier is not None
        self._earlier = earlier

    @classmethod
    async def find(cls, archive: Archive, run: Run) -> Resumption:
        """What was stored of this session before this run.

        Raises:
            OmnirtError: `storage_failed`, `timed_out`: to begin anew instead would forget the talk silently.
        """
        return cls(await archive.earlier_runs(run.session_id, run.run_id, MAX_ITEMS))

    def agent(self, start: str, agents: Collection[str]) -> str:
        """Who answers: who was handed over to, if the talk began with this agent and both are still there."""
        earlier = self._earlier
        if earlier is not None and earlier.agent == start and earlier.active_agent in agents:
            return earlier.active_agent
        return start

    async def seed(
        self,
        link: ProviderLink,
        seeds: Seeds,
        items: Sequence[StoredItem] = (),
        open_calls: Collection[str] = (),
    ) -> None:
        """Tell the model, of this run too; nothing asks for a response to it.

        Args:
            link: Where to.
            seeds: Knows what is told when it comes back.
            items: Of this run, on a connection after the first.
            open_calls: Calls of tools whose outputs are still to come.
        """
        earlier = self._earlier.items if self._earlier is not None else []
        told = _told([*earlier, *items], open_calls)
        events = [event for _, event in told]
        seeds.sent(events)
        mine = {item.item_id for item in items}
        seeds.of = {item_id: event["item"]["id"] for item_id, event in told if item_id in mine}
        for event in events:
            await link.send_event(event, first=True)


class Seeds:
    """The items that the model was told at the start, to know what a provider says of them again.

    A provider that does not keep the ids that it is given is known by the order and the words.

    Attributes:
        of: Where items of earlier connections are told in this one: their ids, and those of what was told.
        lost: How many the provider refused, of those told last.
    """

    def __init__(self) -> None:
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._ids: set[str] = set()
        self.of: dict[str, str] = {}
        self.lost = 0

    def sent(self, events: Iterable[Mapping[str, Any]]) -> None:
        """These went upstream."""
        self._waiting = deque(event["item"] for event in events)
        self._ids = {item["id"] for item in self._waiting}  # what another connection called them is over
        self.lost = 0

    def shortened(self, item_id: str, text: str) -> tuple[str, dict[str, Any]]:
        """The item that takes the place of what was told of another, and the id of that."""
        before = self.of[item_id]
        self.of[item_id] = now = f"{before}_cut"
        self._ids.add(now)
        content = [{"type": "output_text", "text": _cut(text)}]
        return before, {"id": now, "type": "message", "role": "assistant", "content": content}

    @property
    def unanswered(self) -> int:
        """How many the provider has said nothing of yet."""
        return len(self._waiting)

    def refused(self, event_id: str) -> None:
        """An error for an event of this id."""
        if any(_event_id(item) == event_id for item in self._waiting):
            self._answered(event_id.removeprefix(_EVENT))
            self.lost += 1

    def _answered(self, item_id: object) -> None:
        self._waiting = deque(item for item in self._waiting if item["id"] != item_id)

    def is_echo(self, raw: Mapping[str, Any]) -> bool:
        """Whether an item of the provider's is one of them."""
        item_id = raw.get("id")
        if item_id in self._ids:
            self._answered(item_id)
            return True
        if self._waiting and isinstance(item_id, str) and _likeness(raw) == _likeness(self._waiting[0]):
            self._waiting.popleft()
            self._ids.add(item_id)
            return True
        return False


def _event_id(item: Mapping[str, Any]) -> str:
    """The id of the event that tells of a seed."""
    return f"{_EVENT}{item['id']}"


def _paired(items: Iterable[StoredItem], waiting: Collection[str]) -> dict[_Key, str]:
    """A new id for each call that has its output, and for that: those of two runs may be the same."""
    open_calls: dict[tuple[str, str], _Key] = {}
    paired: dict[_Key, str] = {}
    for item in items:
        call = (item.run_id, str(item.tool_call_id))
        if item.type == "functionCall" and item.tool_call_id and item.tool_name:
            open_calls[call] = _key(item)
        elif item.type == "functionCallOutput" and call in open_calls:
            paired[_key(item)] = paired[open_calls.pop(call)] = f"resumed_call_{len(paired) // 2 + 1}"
    return paired | {key: call_id for (_, call_id), key in open_calls.items() if call_id in waiting}


def _key(item: StoredItem) -> _Key:
    return item.run_id, item.item_id


def _content(item: StoredItem, paired: Mapping[_Key, str]) -> dict[str, Any] | None:
    """An item as the provider takes it; None for one of which there is nothing to tell."""
    if item.type == "message":
        kind = "output_text" if item.role == "assistant" else "input_text"
        texts = [text for text in _texts(item) if text]
        content = [{"type": kind, "text": _cut(text)} for text in texts]
        return {"type": "message", "role": item.role, "content": content} if content else None
    call_id = paired.get(_key(item))
    if call_id is None:
        return None
    if item.type == "functionCall":
        # Arguments that were cut would be no JSON.
        arguments = item.arguments if isinstance(item.arguments, str) else json.dumps(item.arguments)
        return {"type": "function_call", "call_id": call_id, "name": item.tool_name, "arguments": arguments}
    output = item.output if isinstance(item.output, str) else json.dumps(_or_none(item.output))
    return {"type": "function_call_output", "call_id": call_id, "output": _cut(output)}


def _texts(item: StoredItem) -> list[str]:
    if item.role == "assistant":
        heard = item.generated_text if item.heard_text is UNSET else item.heard_text
        return [heard] if isinstance(heard, str) else []
    content = item.content if isinstance(item.content, list) else []
    words = [part.text if part.type == "text" else part.transcript for part in content]
    return [word for word in words if isinstance(word, str)]


def _without_orphans(items: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """Without outputs whose call is beyond the bounds."""
    calls: set[str] = set()
    kept = []
    for item_id, item in items:
        if item["type"] == "function_call":
            calls.add(item["call_id"])
        if item["type"] != "function_call_output" or item["call_id"] in calls:
            kept.append((item_id, item))
    return kept


def _likeness(item: Mapping[str, Any]) -> tuple[object, ...]:
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return item.get("type"), item.get("role"), item.get("call_id"), texts


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _or_none(value: object) -> object:
    return None if value is UNSET else value
