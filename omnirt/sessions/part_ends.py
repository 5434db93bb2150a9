"""The end of an audio part: told once, with all of its audio told before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omnirt.protocol import events as ev
from omnirt.sessions import heard
from omnirt.sessions.playback import Part

if TYPE_CHECKING:
    from omnirt.sessions.conversation import Conversation


def audio_ended(talk: Conversation, item_id: str, content_index: int, now: float) -> None:
    """`response.output_audio.done`."""
    part = talk.playback.get(item_id, content_index)
    if part is not None and not part.ended:
        _end(talk, part, now, complete=True)
        heard.settle_played(talk, now)


def close_parts(
    talk: Conversation, now: float, response_id: str | None = None, *, complete: bool = False
) -> None:
    """End the open audio parts of one response, or of all."""
    for part in talk.playback.parts():
        if not part.ended and response_id in (None, part.response_id):
            _end(talk, part, now, complete=complete)


def part_end(talk: Conversation, part: Part, now: float) -> ev.RealtimeAudioEnd:
    """The one end of an audio part."""
    part.ended = True
    if talk.outgoing is not None:
        talk.outgoing.drop(part.key)
    return talk.make(
        ev.RealtimeAudioEnd,
        now,
        item_id=part.item_id,
        content_index=part.content_index,
        total_ms=part.generated_ms,
    )


def _end(talk: Conversation, part: Part, now: float, *, complete: bool) -> None:
    part.complete = complete
    response = talk.responses.running.get(part.response_id)
    if talk.outgoing is not None and not part.cut and not (response is not None and response.muted):
        talk.more_audio(part, talk.outgoing.rest(part.key), now)
    talk.push(part_end(talk, part, now))
