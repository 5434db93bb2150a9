"""Hazards of the voice SDK when a connection ends or says something odd: silence, loss, a dead session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omnirt.protocol import events as ev
from omnirt.protocol.types import ErrorInfo, Event
from omnirt.sessions import quiet_model
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.provider_events import audio, created, done, event, item_added, message, words
from tests.support.talks import Heard, bare_talk, heard_all, of, of_type, omnirt_talk, simulated, simulator

HELLO = {"rules": [{"do": [{"say": "hello"}]}]}


def raw(kind: str) -> Callable[[Any], bool]:
    """Whether an SDK event is the provider's own of this type."""
    return lambda e: (
        e.type == "raw_model_event" and e.data.type == "raw_server_event" and e.data.data["type"] == kind
    )


class TestACleanClose:
    """A close with 1000 or 1001, which a provider also sends when its time is up, ends without a word."""

    @pytest.mark.parametrize("code", [1000, 1001])
    def test_bare_the_events_just_end(self, code: int) -> None:
        @driven
        async def talk() -> None:
            async with Provider.open() as provider, bare_talk(provider.url) as session:
                events = Heard(session.__aiter__())
                await events.first(raw("session.updated"))
                await provider.close(code, "the session is too old")
                assert await events.end() is None
                assert str(code) not in str(events.events)
                assert "too old" not in str(events.events)

        talk()

    @pytest.mark.parametrize("code", [1000, 1001])
    def test_omnirt_tells_the_end_and_why(self, tmp_path: Path, code: int) -> None:
        @driven
        async def talk() -> None:
            async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
                await provider.close(code, "going away")
                closed = (await heard_all(session))[-1]
                assert isinstance(closed, ev.RealtimeClosed)
                assert closed.reason == "connectionLost"
                assert isinstance(closed.error, ErrorInfo)
                assert f"code {code}" in closed.error.message
                assert "going away" in closed.error.message

        talk()

    @driven
    async def test_omnirt_tells_that_the_time_is_up(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            expired = {"type": "invalid_request_error", "code": "session_expired", "message": "60 minutes"}
            await provider.send(event("error", error=expired))
            await provider.close(1001)
            closed = (await heard_all(session))[-1]
            assert isinstance(closed, ev.RealtimeClosed)
            assert closed.reason == "expired"

    @driven
    async def test_omnirt_reads_it_from_the_words_of_the_close(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            await provider.close(1001, "Your session hit the maximum duration of 60 minutes.")
            closed = (await heard_all(session))[-1]
            assert isinstance(closed, ev.RealtimeClosed)
            assert closed.reason == "expired"


class TestADropWithEventsQueued:
    """Any other end of the connection is raised before the events that wait, which are lost."""

    @driven
    async def test_bare_what_was_received_is_not_delivered(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await provider.expect("session.update")
            await provider.send(created("r1"), *[audio("r1", "i1", 20) for _ in range(100)])
            await provider.close(1011, "overloaded")
            await (await provider.connected()).wait_closed()
            socket = session.model._websocket  # type: ignore[attr-defined] # nothing public tells
            await socket.wait_closed()
            await session.model._websocket_task  # type: ignore[attr-defined] # all was read then
            events = Heard(session.__aiter__())
            assert await events.end() is not None
            assert events.events == []

    @driven
    async def test_omnirt_delivers_all_then_the_end(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            await provider.send(created("r1"), *[audio("r1", "i1", 20) for _ in range(100)])
            await provider.close(1011, "overloaded")
            events = await heard_all(session)
            assert sum(e.delta_ms for e in events if isinstance(e, ev.RealtimeAudio)) == 2000
            assert isinstance(events[-1], ev.RealtimeClosed)


BROKEN = {
    "broken JSON": '{"type":"response.output_audio.delta","delta":',
    "no object": "17",
    "bad audio": event(
        "response.output_audio.delta",
        response_id="r0",
        item_id="i0",
        output_index=0,
        content_index=0,
        delta="not base64!",
    ),
}


class TestABrokenFrame:
    """One frame that cannot be read ends the whole session."""

    @pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN)
    def test_bare_the_session_dies(self, frame: str | dict[str, Any]) -> None:
        @driven
        async def talk() -> None:
            async with Provider.open() as provider, bare_talk(provider.url) as session:
                events = Heard(session.__aiter__())
                await provider.expect("session.update")
                await provider.send(frame, created("r1"))
                assert await events.end() is not None
                with pytest.raises(AssertionError, match="Not connected"):
                    await session.send_message("Are you there?")

        talk()

    @pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN)
    def test_omnirt_tells_it_and_goes_on(self, tmp_path: Path, frame: str | dict[str, Any]) -> None:
        @driven
        async def talk() -> None:
            async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
                events: Heard[Event] = Heard(session.stream_events())
                await provider.send(frame, created("r1"), words("r1", "i1", "Hello"), done("r1"))
                end = await events.first(of(ev.RealtimeResponseEnd))
                assert isinstance(end, ev.RealtimeResponseEnd)
                assert end.status == "completed"
                problem = await events.first(of(ev.RealtimeError))
                assert isinstance(problem, ev.RealtimeError)
                assert not problem.fatal
                await events.stop()

        talk()

    @driven
    async def test_omnirt_survives_the_simulators_faults(self, tmp_path: Path) -> None:
        faults = [
            {"at": {"audio_delta": 1}, "malformed": True},
            {"at": {"audio_delta": 2}, "bad_audio": True},
            {"at": {"audio_delta": 2}, "unknown_event": True},
        ]
        async with omnirt_talk(
            tmp_path, settings=simulated({**HELLO, "faults": faults}, reconnect=False)
        ) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await session.send_text("Hello")
            end = await events.first(of(ev.RealtimeResponseEnd))
            assert isinstance(end, ev.RealtimeResponseEnd)
            assert end.status == "completed"
            await events.stop()


class TestAnUnknownEvent:
    """Every kind of event that the provider adds is an error, once for each message."""

    @driven
    async def test_bare_it_is_an_error(self) -> None:
        script = {"faults": [{"at": {"type": "session.update"}, "unknown_event": True}]}
        async with simulator(script) as endpoint, bare_talk(endpoint.url, key=endpoint.token) as session:
            events = Heard(session.__aiter__())
            problem: Any = await events.first(of_type("error"))
            assert type(problem.error).__name__ == "ValidationError"
            await events.stop()

    @driven
    async def test_omnirt_passes_it_over(self, tmp_path: Path) -> None:
        script = {**HELLO, "faults": [{"at": {"type": "session.update"}, "unknown_event": True}]}
        async with omnirt_talk(tmp_path, settings=simulated(script, reconnect=False)) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await session.send_text("Hello")
            await events.first(of(ev.RealtimeResponseEnd))
            assert not any(isinstance(e, ev.RealtimeError) for e in events.events)
            await events.stop()


class TestALargeFrame:
    """A frame over 8 MiB, such as one long item with its audio, ends the session."""

    ITEM = item_added(message("i1", "user", {"type": "input_audio", "audio": "A" * (9 * 1024 * 1024)}))

    @driven
    async def test_bare_the_session_dies(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.expect("session.update")
            await provider.send(self.ITEM)
            assert "message too big" in str(await events.end())

    @driven
    async def test_omnirt_goes_on(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(self.ITEM)
            added = await events.first(of(ev.RealtimeItemAdded))
            assert isinstance(added, ev.RealtimeItemAdded)
            assert added.item.item_id == "i1"
            await events.stop()


class TestAHalfOpenPeer:
    """A peer that is gone without a word is noticed after 50 s: to the next ping, its timeout, the close."""

    @driven
    async def test_bare_it_takes_the_libraries_default(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            socket = session.model._websocket  # type: ignore[attr-defined] # nothing public tells
            assert (socket.ping_interval, socket.ping_timeout, socket.close_timeout) == (20, 20, 10)

    @driven
    async def test_omnirt_ends_the_session_as_its_pings_are_not_answered(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert 2 * quiet_model.PING_INTERVAL_S + quiet_model.CLOSE_TIMEOUT_S < 15
        monkeypatch.setattr(quiet_model, "PING_INTERVAL_S", 0.2)
        script = {"faults": [{"at": {"type": "conversation.item.create"}, "half_open": True}]}
        async with omnirt_talk(tmp_path, settings=simulated(script, reconnect=False)) as session:
            await session.send_text("Hello")
            closed = (await heard_all(session))[-1]
            assert isinstance(closed, ev.RealtimeClosed)
            assert closed.reason == "connectionLost"
