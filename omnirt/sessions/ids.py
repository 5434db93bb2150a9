"""Ids of the provider's, unique in a session: some servers count anew on each connection or in each response.

No I/O. The names that all else here has for items, responses and calls are *ours*; a server has its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_MEMBERS = ("id", "item_id", "previous_item_id", "response_id", "call_id")
_OF_ONE_ITEM = ("conversation.item.truncate", "conversation.item.delete", "response.cancel")


class ConnectionIds:
    """The ids of one session over its connections; on the first one they are what the provider says."""

    def __init__(self) -> None:
        self._connection = 1
        self._earlier: Collection[str] = frozenset()
        self._ours: dict[str, str] = {}
        self._theirs: dict[str, str] = {}

    def next_connection(self, earlier: Collection[str]) -> None:
        """From here on there is another connection; `earlier` are the ids that the session used so far."""
        self._connection += 1
        self._earlier = earlier
        self._ours, self._theirs = {}, {}

    @property
    def differ(self) -> bool:
        """Whether an id may have to be another than the provider's."""
        return bool(self._earlier)

    def ours(self, theirs: str) -> str:
        """The id that all else here knows; the provider's own, unless an earlier connection used it."""
        if theirs not in self._earlier:
            return theirs
        known = self._ours.get(theirs)
        if known is None:
            known = f"{theirs}_{self._connection}"
            while known in self._earlier or known in self._theirs:
                known += "_"
            self._ours[theirs], self._theirs[known] = known, theirs
        return known

    def theirs(self, ours: str) -> str:
        """The provider's id; one of an earlier connection that is named to it, is known to it from now on."""
        if ours in self._earlier:
            self._ours.setdefault(ours, ours)
        return self._theirs.get(ours, ours)

    def event(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """An event of the provider's with our ids."""
        if not self._earlier:
            return event
        changes: dict[str, Any] = {}
        for name in _MEMBERS:
            value = event.get(name)
            if isinstance(value, str) and self.ours(value) != value:
                changes[name] = self.ours(value)
        for name in ("item", "response"):
            inner = event.get(name)
            if isinstance(inner, Mapping):
                changes[name] = self.event(inner)
        items = event.get("output")
        if isinstance(items, list):
            changes["output"] = [self.event(item) if isinstance(item, Mapping) else item for item in items]
        return {**event, **changes} if changes else event

    def upward(self, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """An event of ours with the provider's ids; None for one about what this connection never had."""
        if not self._earlier:
            return event
        if event.get("type") in _OF_ONE_ITEM:
            name = "response_id" if event["type"] == "response.cancel" else "item_id"
            about = event.get(name)
            if about is None:
                return event
            return None if about in self._earlier else {**event, name: self.theirs(about)}
        item = event.get("item")
        if isinstance(item, Mapping) and "call_id" in item:
            return {**event, "item": {**item, "call_id": self.theirs(item["call_id"])}}
        return event


class CallIds:
    """Ids of tool calls, made unique: the SDK ends the session when one comes again, or is empty.

    Some compatible servers count the calls of each response anew.
    """

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def unique(self, call_id: str) -> str:
        """An id that no call had before, the provider's own if it can be."""
        name, count = call_id or "call", 1
        while name in self._seen:
            count += 1
            name = f"{call_id or 'call'}_{count}"
        self._seen[name] = call_id
        return name

    def original(self, unique: str) -> str:
        """The provider's own id of a call."""
        return self._seen.get(unique, unique)
