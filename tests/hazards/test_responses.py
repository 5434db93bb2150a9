"""Hazards of the voice SDK in asking for responses: requests never sent, or in the way of others."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import turns
from omnirt.sessions.upstream import YIELD_EVERY
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.provider_events import created, done, error, event
from tests.support.talks import Heard, bare_talk, of, omnirt_talk

PUSH_TO_TALK: dict[str, Any] = {"turn_detection": None}
SPEECH = b"\0\0" * 2400


async def send_raw(session: Any, kind: str, **members: Any) -> None:
    """An event of one's own, the SDK's way."""
    from agents.realtime.model_inputs import RealtimeModelSendRawMessage

    message: Any = {"type": kind, "other_data": members}
    await session.model.send_event(RealtimeModelSendRawMessage(message=message))


class TestACommit:
    """`send_audio(commit=True)` ends the turn and asks for nothing: without turn detection nobody answers."""

    @driven
    async def test_bare_no_response_is_asked_for(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url, settings=PUSH_TO_TALK) as session:
            await session.send_audio(SPEECH, commit=True)
            await provider.expect("input_audio_buffer.commit")
            await provider.send(event("input_audio_buffer.committed", item_id="u1", previous_item_id=None))
            await send_raw(session, "input_audio_buffer.clear")  # what comes by now would be the answer to it
            await provider.expect("input_audio_buffer.clear")
            assert "response.create" not in provider.types()

    @driven
    async def test_omnirt_asks_for_one(self, tmp_path: Path) -> None:
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, realtime=PUSH_TO_TALK) as session,
        ):
            await session.send_audio(SPEECH, commit=True)
            await provider.expect("input_audio_buffer.commit")
            await provider.expect("response.create")
            assert len(provider.of("response.create")) == 1

    @driven
    async def test_omnirt_commits_without_an_empty_append(self, tmp_path: Path) -> None:
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, realtime=PUSH_TO_TALK) as session,
        ):
            await session.send_audio(SPEECH)
            await session.send_audio(b"", commit=True)
            await provider.expect("input_audio_buffer.commit")
            assert len(provider.of("input_audio_buffer.append")) == 1

    @driven
    async def test_bare_an_empty_commit_appends_nothing_as_audio(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url, settings=PUSH_TO_TALK) as session:
            await session.send_audio(b"", commit=True)
            await provider.expect("input_audio_buffer.commit")
            assert [append["audio"] for append in provider.of("input_audio_buffer.append")] == [""]


class TestTheGate:
    """One `response.create` with neither an answer nor an error of its own id blocks all that follow."""

    UNNAMED = error("It cannot be done now.", event_id=None)

    @driven
    async def test_bare_no_later_text_is_answered(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await session.send_message("One")
            await provider.expect("response.create")
            await provider.send(self.UNNAMED)
            await session.send_message("Two")
            await provider.expect("conversation.item.create")
            await send_raw(session, "input_audio_buffer.clear")  # what comes by now would be the request
            await provider.expect("input_audio_buffer.clear")
            assert len(provider.of("response.create")) == 1
            sequencer = session.model._response_control  # type: ignore[attr-defined] # nothing public tells
            assert sequencer == "create_requested"

    @driven
    async def test_omnirt_gives_it_up_and_asks_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turns, "CREATE_TIMEOUT_S", 0.3)  # twelve seconds for a host
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await session.send_text("One")
            await provider.expect("response.create")
            await provider.send(self.UNNAMED)
            await session.send_text("Two")
            await provider.expect("response.create")
            await provider.send(created("r1"), done("r1"))
            await events.first(of(ev.RealtimeResponseEnd))
            told = [e.message for e in events.events if isinstance(e, ev.RealtimeError)]
            assert "It cannot be done now." in told
            assert any("did not answer" in text for text in told)
            await events.stop()


class TestEventsOfOnesOwn:
    """A raw event costs a validator built anew, 10 ms of the loop; one that is wrong is dropped silently."""

    @driven
    async def test_bare_each_builds_a_validator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        built = _count_validators(monkeypatch)
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await provider.expect("session.update")
            before = len(built)
            for _ in range(3):
                await send_raw(session, "input_audio_buffer.clear")
            assert len(built) - before == 3

    @driven
    async def test_bare_a_wrong_one_is_dropped(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await send_raw(session, "input_audio_buffer.wipe")
            await send_raw(session, "input_audio_buffer.clear")
            await provider.expect("input_audio_buffer.clear")
            assert provider.types().count("input_audio_buffer.wipe") == 0

    @driven
    async def test_omnirt_builds_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        built = _count_validators(monkeypatch)
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            await provider.expect("session.update")
            before = len(built)
            for _ in range(3):
                session.put_clear()
            await session.send_text("Hello")
            await provider.expect("response.create")
            assert len(built) == before


def _count_validators(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Notes every validator that the SDK's module builds."""
    import pydantic
    from agents.realtime import openai_realtime

    built: list[object] = []

    def build(kind: Any) -> Any:
        built.append(kind)
        return pydantic.TypeAdapter(kind)

    monkeypatch.setattr(openai_realtime, "TypeAdapter", build)
    return built


class TestAMessageThatTheSdkDoesNotKnow:
    """A message of a shape that the SDK's types do not have is dropped, whatever the provider would say."""

    IMAGE: dict[str, Any] = {  # noqa: RUF012 - a constant
        "type": "message",
        "role": "system",
        "content": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}],
    }

    @driven
    async def test_bare_it_is_not_sent(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await send_raw(session, "conversation.item.create", item=self.IMAGE)
            await send_raw(session, "input_audio_buffer.clear")
            await provider.expect("input_audio_buffer.clear")
            assert "conversation.item.create" not in provider.types()

    @driven
    async def test_omnirt_leaves_it_to_the_provider(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            session.put_message("system", self.IMAGE["content"], respond=False)
            sent = await provider.expect("conversation.item.create")
            assert sent["item"]["content"] == self.IMAGE["content"]
            await provider.send(error("No images from the system.", event_id=None))
            problem = await events.first(of(ev.RealtimeError))
            assert isinstance(problem, ev.RealtimeError)
            assert problem.message == "No images from the system."
            await events.stop()


CHUNKS = 500
CHUNK_MS = 20


class TestALongSend:
    """`send_audio` does not yield while the socket has room: whoever sends much stops all else."""

    @driven
    async def test_bare_nothing_else_runs(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await provider.expect("session.update")
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0)

            ticking = asyncio.create_task(tick())
            for _ in range(CHUNKS):
                await session.send_audio(b"\0" * 96)
            ticking.cancel()
            assert ticks <= 2

    @driven
    async def test_omnirt_lets_others_run_between(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            for _ in range(CHUNKS):
                session.put_audio(b"\0" * 48 * CHUNK_MS, commit=False)
            queued = [CHUNKS * CHUNK_MS]
            async with asyncio.timeout(10):
                while queued[-1]:
                    await asyncio.sleep(0)
                    queued.append(session.life.inbox.queued_ms)
            at_once = max(before - after for before, after in itertools.pairwise(queued))
            assert at_once <= YIELD_EVERY * CHUNK_MS
