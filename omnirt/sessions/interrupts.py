"""Interrupts and barge-in: cut what is unheard, tell the host first, tell the provider what was heard."""

from __future__ import annotations

from collections.abc import Sequence

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import heard
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.outputs import Interruption
from omnirt.sessions.part_ends import part_end
from omnirt.sessions.playback import Cut, Part


def interrupt(
    talk: Conversation, now: float, item_id: str | None, content_index: int | None, played_ms: int | None
) -> tuple[bool, Cut | None]:
    """The host's interrupt: cancels what is generated, cuts what is unheard.

    Returns:
        Whether anything was interrupted, and the cut of the item that was playing.
    """
    part = _interrupted_part(talk, now, item_id, content_index)
    if part is not None and played_ms is not None:
        heard.reported(talk, part.item_id, part.content_index, played_ms, now)
    if item_id is not None and not _interruptible(talk, now, item_id, part):
        return False, None
    was_asked = talk.turns.in_flight is not None and not talk.turns.in_flight.cancelled
    cancelled = talk.cancel_response(now) or was_asked
    cuts = cut(talk, now)
    talk.sync_state(now)
    return cancelled or bool(cuts), cuts[0] if cuts else None


def barge_in(talk: Conversation, now: float) -> None:
    """The user began to speak, and the provider cancels its response by itself: the rest is not played."""
    if talk.interrupts_on_speech:
        for response in talk.responses.running.values():
            response.muted = True
        cut(talk, now)


def cut(talk: Conversation, now: float, first: Sequence[Event] = ()) -> list[Cut]:
    """Cut all that is unheard; `first` is told before it."""
    heard.settle_played(talk, now)
    cuts = talk.playback.cut(now)
    told: list[Event] = [*first, *(_event(talk, entry, now) for entry in cuts)]
    told += [part_end(talk, entry.part, now) for entry in cuts if not entry.part.ended]
    if told:
        talk.push(Interruption(frozenset(c.part.item_id for c in cuts), told))
    for entry in cuts:
        _truncate(talk, entry, now)
    return cuts


def _event(talk: Conversation, entry: Cut, now: float) -> ev.RealtimeAudioInterrupted:
    return talk.make(
        ev.RealtimeAudioInterrupted,
        now,
        item_id=entry.part.item_id,
        content_index=entry.part.content_index,
        was_playing=entry.was_playing,
        heard_ms=entry.heard_ms,
        generated_ms=entry.part.generated_ms,
    )


def _truncate(talk: Conversation, entry: Cut, now: float) -> None:
    told_anew = entry.part.item_id in talk.items.seeds.of
    if entry.heard_ms > 0 and not told_anew:
        # At 0 ms some servers answer with an error that they never get over: such an item is taken out.
        talk.send(
            {
                "type": "conversation.item.truncate",
                "event_id": talk.turns.event_id("truncate"),
                "item_id": entry.part.item_id,
                "content_index": entry.part.content_index,
                "audio_end_ms": entry.heard_ms,
            }
        )
    heard.settle(talk, entry.part, entry.heard_ms, now, interrupted=True)
    if entry.heard_ms == 0:
        heard.take_out_unheard(talk, entry.part.item_id, entry.part.response_id)
    elif told_anew:
        _shorten(talk, entry.part.item_id)


def _shorten(talk: Conversation, item_id: str) -> None:
    """Of an item of an earlier connection the model was told all that was received: now, what was heard."""
    item = talk.items.get(item_id)
    if item is None or not isinstance(item.heard_text, str):
        return
    before, shorter = talk.items.seeds.shortened(item_id, item.heard_text)
    event_id = talk.turns.event_id("truncate")
    create = {"type": "conversation.item.create", "event_id": event_id, "previous_item_id": before}
    talk.send({**create, "item": shorter})
    event_id = talk.turns.event_id("delete")
    talk.send({"type": "conversation.item.delete", "event_id": event_id, "item_id": before})


def _interrupted_part(
    talk: Conversation, now: float, item_id: str | None, content_index: int | None
) -> Part | None:
    if item_id is not None and content_index is not None:
        return talk.playback.get(item_id, content_index)
    parts = [part for part in talk.playback.parts() if item_id in (None, part.item_id)]
    playing = next((part for part in parts if talk.playback.is_open(part, now)), None)
    return parts[-1] if playing is None and item_id is not None and parts else playing


def _interruptible(talk: Conversation, now: float, item_id: str, part: Part | None) -> bool:
    if part is None:
        return talk.responses.of_item(item_id) is not None
    return talk.playback.is_open(part, now)
