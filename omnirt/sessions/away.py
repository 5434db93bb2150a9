"""A conversation whose connection was lost: what ends with it, and what the model is told on the next one.

No I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import UNSET

from omnirt.protocol import events as ev
from omnirt.protocol.stored_methods import StoredItem
from omnirt.protocol.types import ErrorInfo, Item
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.heard import received_text
from omnirt.sessions.turns import Ask, Turns

Cause = Literal["connectionLost", "expired", "expiring"]
LOST = "connection_lost"
"""The reason of a response that ended with its connection."""


def leave(talk: Conversation, now: float) -> list[Ask]:
    """End what ran on the lost connection; returns what was asked for and never answered whole."""
    talk.away, talk.state = True, "reconnecting"  # told with the first attempt
    if talk.turns.user_speaking:
        talk.emit(ev.RealtimeInputSpeechEnd, now)
    turns = talk.turns
    unanswered = turns.unanswered(now)
    talk.turns = Turns(turns.server_vad, turns.creates_response, inputs=turns.inputs, tools=turns.tools)
    error = ErrorInfo(kind="provider_unreachable", message="The connection was lost during the response.")
    for response_id in list(talk.responses.running):
        if response_id in turns.cancel_sent:
            talk.give_up(response_id, now, "cancelled", reason="client_cancelled")
        else:
            talk.give_up(response_id, now, "failed", reason=LOST, error=error)
    for series in talk.responses.open_series():
        talk.words_done(series.item_id, series.content_index, series.kind, None, now)
    return unanswered


def tell_attempt(talk: Conversation, now: float, attempt: int, delay_s: float, cause: Cause) -> None:
    """The next attempt, and when it is made."""
    talk.state = "reconnecting"
    delay_ms = round(delay_s * 1000)
    talk.emit(ev.RealtimeState, now, state="reconnecting", attempt=attempt, delay_ms=delay_ms, cause=cause)


def come_back(talk: Conversation, now: float, attempt: int, gap_s: float, *, restored: bool) -> None:
    """There is a connection again."""
    talk.away = False
    talk.reconnects += 1
    talk.state = "connected"
    gap_ms = round(gap_s * 1000)
    talk.emit(ev.RealtimeState, now, state="connected", attempt=attempt, gap_ms=gap_ms, restored=restored)
    talk.sync_state(now)


def forget_items(talk: Conversation, item_ids: Iterable[str], now: float) -> None:
    """Items whose audio goes upstream again come back as new ones."""
    for item_id in item_ids:
        if talk.items.removed(item_id):
            talk.emit(ev.RealtimeItemRemoved, now, item_id=item_id)


def used_ids(talk: Conversation) -> frozenset[str]:
    """The ids of items, responses and calls that the host knows."""
    items = talk.items.all()
    calls = [item.tool_call_id for item in items if item.tool_call_id]
    parts = [part.item_id for part in talk.playback.parts()]
    return frozenset([*(item.item_id for item in items), *calls, *parts, *talk.responses.known_ids()])


def told_items(talk: Conversation) -> list[StoredItem]:
    """The items of the talk as the model is to know them: of what is still playing, all that was received."""
    run_id = talk.run.run_id
    return [
        StoredItem(run_id=run_id, **_members(talk, item))
        for item in talk.items.all()
        if item.item_id not in talk.heard.taken_out
    ]


def is_whole(items: Iterable[StoredItem]) -> bool:
    """Whether there are words for each message: speech that nobody transcribed can't be told."""
    return all(item.type != "message" or _has_words(item) for item in items)


def _members(talk: Conversation, item: Item) -> dict[str, Any]:
    members: dict[str, Any] = {name: getattr(item, name) for name in Item.__struct_fields__}
    if item.role == "assistant" and item.heard_text is UNSET:
        members["heard_text"] = received_text(talk, item)
    return members


def _has_words(item: StoredItem) -> bool:
    if item.role == "assistant":
        return True  # what was not heard is not told, on purpose
    content = item.content if isinstance(item.content, list) else []
    return any(part.type == "image" or part.text or part.transcript for part in content)
