"""What a provider sends astray: told or passed over, and nothing waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.providers.endpoint import resolve
from omnirt.sessions import overdue, turns
from omnirt.sessions.link import refusal
from omnirt.sessions.losses import loss
from omnirt.sessions.resume import Seeds, seed_events
from tests.support import provider_events as pe
from tests.support.daemon import driven
from tests.support.talks import Heard, of, omnirt_talk, simulated
from tests.unit.sessions.helpers import Talk


def stray(response_id: str) -> dict[str, Any]:
    where = {"response_id": response_id, "item_id": f"i_{response_id}", "output_index": 0, "content_index": 0}
    return pe.event("response.output_text.delta", delta="x", **where)


def test_a_response_that_never_began_ends_when_another_begins() -> None:
    talk = Talk()
    talk.ask()
    talk.feed(stray("r1"), pe.created("r2"), pe.done("r2"))
    ends = {end.response_id: end.status for end in talk.of(ev.RealtimeResponseEnd)}
    assert ends == {"r1": "incomplete", "r2": "completed"}
    assert talk.core.turns.idle(talk.now + 10)


def test_one_of_a_provider_that_tells_no_beginnings_goes_on() -> None:
    talk = Talk()
    talk.feed(stray("r1"), stray("r1"), pe.done("r1"))
    assert [end.status for end in talk.of(ev.RealtimeResponseEnd)] == ["completed"]


def test_a_call_that_is_told_twice_is_waited_for_once() -> None:
    talk = Talk()
    call = pe.function_call("r1", "c1", "weather")
    talk.feed(pe.created("r1"), call, call, pe.done("r1"))
    talk.core.turns.tool_answered("c1", talk.now, respond=True)
    assert not talk.core.turns.tools


@driven
async def test_a_response_of_which_nothing_more_comes_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "SILENCE_S", 0.4)  # a minute for a host
    script = {"rules": [{"on": "text", "do": [{"say": "story"}]}]}
    silent = {**script, "faults": [{"at": {"audio_delta": 2}, "silent": True}]}
    async with omnirt_talk(tmp_path, settings=simulated(silent)) as session:
        events = Heard(session.stream_events())
        await session.send_text("Tell me a story")
        error = await events.first(of(ev.RealtimeError))
        assert isinstance(error, ev.RealtimeError)
        assert (error.kind, error.retryable, error.fatal) == ("provider_error", True, False), error.message
        ended = await events.first(of(ev.RealtimeResponseEnd))
        assert isinstance(ended, ev.RealtimeResponseEnd)
        assert ended.status == "cancelled"
        await session.stop(force=True)
        await events.end()


@driven
async def test_a_request_that_is_never_answered_may_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "CREATE_TIMEOUT_S", 0.3)  # twelve seconds for a host
    script = {"rules": [{"do": [{"say": "hello"}]}], "faults": [{"ignore": "response.create"}]}
    async with omnirt_talk(tmp_path, settings=simulated(script)) as session:
        events = Heard(session.stream_events())
        await session.send_text("Hello")
        error = await events.first(of(ev.RealtimeError))
        assert isinstance(error, ev.RealtimeError)
        assert (error.kind, error.retryable, error.fatal) == ("provider_error", True, False), error.message
        await session.stop(force=True)
        await events.end()


def test_one_that_goes_on_is_not() -> None:
    talk = Talk()
    talk.feed(pe.created("r1"), pe.done("r1"))
    overdue.cancel_silent(talk.core, talk.now, 60)
    talk.collect()
    assert talk.sent == []


def test_the_provider_on_this_machine_waits_for_its_services_itself() -> None:
    local = resolve({"provider": "local", "local": {"service_timeout_s": 300}}, None, {})
    assert overdue.silence_s(local) == 330
    assert overdue.silence_s(resolve({"provider": "simulator"}, None, {})) == overdue.SILENCE_S


def test_a_long_message_of_an_error_is_cut() -> None:
    talk = Talk()
    talk.feed(pe.error("m" * 200_000, event_id=None, code="internal"))
    (error,) = talk.of(ev.RealtimeError)
    assert len(error.message) == 2000


def test_seeds_that_are_refused_are_counted() -> None:
    from omnirt.protocol.stored_methods import StoredItem
    from omnirt.protocol.types import ContentPart

    content = [ContentPart(type="text", text="Hello")]
    made = [
        StoredItem(
            item_id=name,
            run_id="r",
            type="message",
            role="user",
            status="completed",
            content=content,
            at_ms=0,
        )
        for name in "abc"
    ]
    seeds, events = Seeds(), seed_events(made)
    seeds.sent(events)
    assert seeds.is_echo(events[0]["item"])
    seeds.refused(events[1]["event_id"])
    seeds.refused("another")
    assert (seeds.unanswered, seeds.lost) == (1, 1)
    seeds.sent([])
    assert (seeds.unanswered, seeds.lost) == (0, 0)


def refused(error: Mapping[str, Any]) -> OmnirtError:
    return refusal(error, resolve({"provider": "simulator"}, None, {}))


@pytest.mark.parametrize(
    ("code", "text", "error", "reason", "recoverable"),
    [
        (1006, "", {}, "connectionLost", True),
        (None, "", {"code": "rate_limit_exceeded"}, "connectionLost", True),
        (1001, "", {"code": "session_expired"}, "expired", True),
        (1001, "Your session hit the maximum duration of 60 minutes.", {}, "expired", True),
        (1008, "Invalid API key", {}, "error", False),
        (1000, "the api key of the door was found", {}, "connectionLost", True),
        (1011, "", {"type": "insufficient_quota"}, "error", False),
        (1011, "", {"code": "content_policy_violation"}, "content", False),
        (1007, "invalid_request_error.invalid_api_key", {}, "error", False),
        (1011, "insufficient_quota", {"code": "rate_limit_exceeded"}, "error", False),
        (1013, "content_policy_violation", {}, "content", False),
        (1000, "quota exceeded", {}, "error", False),
        (1000, "You exceeded your current quota, please check your plan.", {}, "error", False),
        (3003, "Forbidden", {}, "error", False),
        (4401, "Unauthorized", {}, "error", False),
        (4403, "Forbidden", {}, "error", False),
        (1008, "Access denied due to invalid subscription key or wrong API endpoint.", {}, "error", False),
        (1000, "Access denied due to invalid subscription key", {}, "error", False),
        (1000, "Goodbye, author", {}, "connectionLost", True),
        (1001, "going away: access denied to new clients while we restart", {}, "connectionLost", True),
        (1006, "Forbidden", {}, "connectionLost", True),
        (1011, "internal error in the authentication service", {}, "connectionLost", True),
        (1012, "service restart", {}, "connectionLost", True),
        (1013, "quota exceeded for now, try again later", {}, "connectionLost", True),
        (1008, "slow consumer", {}, "connectionLost", True),
        (4403, "", {}, "connectionLost", True),
    ],
)
def test_what_a_close_means(
    code: int | None, text: str, error: dict[str, Any], reason: str, recoverable: bool
) -> None:
    found = loss(code, text, error, refused)
    assert (found.reason, found.recoverable) == (reason, recoverable)
    if reason == "error":
        kind = "provider_error" if "quota" in f"{text} {error}" else "auth_failed"
        assert found.error.kind == kind, found.error.message
