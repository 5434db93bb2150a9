"""Limits of a session: warned of ahead of time, kept, and only the user's side counts against silence."""

from __future__ import annotations

import pytest

from omnirt.protocol import events as ev
from omnirt.protocol.methods import SessionLimits
from omnirt.sessions.limits import LimitWatch
from tests.support import provider_events as pe
from tests.unit.sessions.helpers import Talk


def watch(talk: Talk, **limits: float) -> LimitWatch:
    return LimitWatch(SessionLimits(**limits), talk.core)  # type: ignore[arg-type] # tokens are whole


def warnings(talk: Talk) -> list[str]:
    talk.collect()
    return [error.message for error in talk.of(ev.RealtimeError) if error.kind == "session_limit"]


def test_a_long_session_is_warned_of_its_end_a_minute_ahead() -> None:
    talk = Talk()
    limits = watch(talk, max_minutes=10)
    assert limits.look(talk.now + 539) is None
    assert not warnings(talk)
    assert limits.due() == talk.now + 540
    assert limits.look(talk.now + 540) is None
    assert warnings(talk) == ["The session ends in 60 s. (limits.maxMinutes)"]
    assert limits.due() == talk.now + 600
    assert "10 minutes" in (limits.look(talk.now + 600) or "")
    assert len(warnings(talk)) == 1


def test_a_short_one_at_half_its_time() -> None:
    talk = Talk()
    limits = watch(talk, max_minutes=0.5)
    assert limits.due() == talk.now + 15


def test_silence_ends_a_session_and_anything_of_the_host_keeps_it() -> None:
    talk = Talk()
    limits = watch(talk, idle_minutes=5)
    assert limits.look(talk.now + 250) is None
    assert len(warnings(talk)) == 1
    talk.core.turns.inputs += 1
    assert limits.look(talk.now + 299) is None
    assert limits.look(talk.now + 300) is None
    assert limits.look(talk.now + 545) is None
    assert len(warnings(talk)) == 2, "each silence is warned of"
    assert "5 minutes" in (limits.look(talk.now + 600) or "")


def test_a_user_who_speaks_and_the_answer_are_no_silence() -> None:
    talk = Talk()
    limits = watch(talk, idle_minutes=1)
    talk.feed(pe.speech_started("u1"))
    assert limits.look(talk.now + 59) is None
    assert limits.look(talk.now + 300) is None, "still speaking"
    talk.feed(pe.event("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=100))
    talk.feed(
        pe.event("input_audio_buffer.committed", item_id="u1"), pe.created("r1"), pe.audio("r1", "i1", 100)
    )
    assert limits.look(talk.now + 600) is None, "the answer is long"
    talk.feed(pe.done("r1"))
    assert limits.look(talk.now + 650) is None
    assert limits.look(talk.now + 709) is None
    assert limits.look(talk.now + 710) is not None


def test_speech_that_is_held_down_for_long_is_no_silence() -> None:
    """Without turn detection nobody tells of speech: what the host sends is all that there is of it."""
    talk = Talk()
    limits = watch(talk, idle_minutes=1)
    talk.core.turns.audio_sent(talk.now + 50)
    assert limits.look(talk.now + 50) is None
    assert limits.look(talk.now + 60) is not None, "with turn detection it may be noise"
    talk = Talk()
    talk.core.turns.server_vad = False
    limits = watch(talk, idle_minutes=1)
    for seconds in (50, 100, 150):
        talk.core.turns.audio_sent(talk.now + seconds)
        assert limits.look(talk.now + seconds) is None
    assert limits.look(talk.now + 151) is None, "it is let go"
    assert limits.look(talk.now + 210) is None
    assert limits.look(talk.now + 211) is not None


def test_what_the_provider_says_by_itself_does_not_end_the_silence() -> None:
    talk = Talk()
    limits = watch(talk, idle_minutes=1)
    assert limits.look(talk.now + 20) is None
    talk.feed(pe.created("r1"), pe.audio("r1", "i1", 100))
    assert limits.look(talk.now + 40) is None
    talk.feed(pe.done("r1"))
    assert limits.look(talk.now + 60) is not None


def test_tokens_are_warned_of_at_nine_tenths() -> None:
    talk = Talk()
    limits = watch(talk, max_total_tokens=60)
    talk.feed(pe.created("r1"), pe.done("r1"))
    assert limits.look(talk.now) is None
    assert not warnings(talk)
    talk.feed(pe.created("r2"), pe.done("r2"))
    assert "60 tokens" in (limits.look(talk.now) or "")


@pytest.mark.parametrize("total", [31, 33])
def test_the_warning_tells_how_many_are_used(total: int) -> None:
    talk = Talk()
    limits = watch(talk, max_total_tokens=total)
    talk.feed(pe.created("r1"), pe.done("r1"))
    assert limits.look(talk.now) is None
    assert warnings(talk) == [
        f"30 of {total} tokens are used; the session ends when all are. (limits.maxTotalTokens)"
    ]


def test_without_limits_nothing_is_due() -> None:
    assert watch(Talk()).due() is None
