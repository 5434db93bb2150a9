"""The private names of the voice SDK that the wrap uses: there, and done without when they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import quiet_model
from omnirt.sessions.session import RealtimeSession
from tests.support.daemon import driven
from tests.support.hosts import answering
from tests.support.talks import Heard, of, omnirt_talk, simulated

AGENT: dict[str, Any] = {
    "name": "greeter",
    "instructions": "Be brief.",
    "tools": [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}, "run": "host"}],
}
SCRIPT: dict[str, Any] = {
    "rules": [
        {"on": "text", "match": "look", "do": [{"call": {"tool": "look"}}]},
        {"on": "tool_output", "do": [{"say": "done"}]},
        {"do": [{"say": "story"}]},
    ]
}


class Without:
    """An object that has everything of another but one name."""

    def __init__(self, whole: object, missing: str) -> None:
        self._whole = whole
        self._missing = missing

    def __getattr__(self, name: str) -> Any:
        if name == self._missing:
            raise AttributeError(name)
        return getattr(self._whole, name)


@pytest.mark.parametrize("name", quiet_model.QUIET_NAMES)
def test_the_stock_model_has_this_name(name: str) -> None:
    assert callable(getattr(OpenAIRealtimeWebSocketModel, name))


def test_the_stock_model_keeps_its_socket_under_this_name() -> None:
    assert vars(OpenAIRealtimeWebSocketModel())["_websocket"] is None


async def hold_a_conversation(session: RealtimeSession) -> None:
    """A tool, an answer, an interruption, a commit: all that the wrap has a hand in."""
    events: Heard[Event] = Heard(session.stream_events())
    await session.send_text("look")
    await events.count(of(ev.RealtimeResponseEnd), 2)
    (tool,) = [e for e in events.events if isinstance(e, ev.RealtimeToolEnd)]
    assert tool.status == "completed"
    heard = sum(isinstance(e, ev.RealtimeAudio) for e in events.events)
    assert heard
    await session.send_text("Tell me a story.")
    await events.count(of(ev.RealtimeAudio), heard + 1)
    assert (await session.interrupt()).interrupted
    await events.count(of(ev.RealtimeResponseEnd), 3)
    kinds = [type(e) for e in events.events]
    assert ev.RealtimeAudio not in kinds[kinds.index(ev.RealtimeAudioInterrupted) :]
    ends = [e.status for e in events.events if isinstance(e, ev.RealtimeResponseEnd)]
    assert ends == ["completed", "completed", "cancelled"]
    await session.stop(force=True)
    await events.end()
    assert not [e for e in events.events if isinstance(e, ev.RealtimeError)]


@driven
async def test_a_conversation_with_all_of_them(tmp_path: Path) -> None:
    async with talk(tmp_path) as session:
        assert type(inner(session)) is quiet_model.QuietModel
        await hold_a_conversation(session)


@pytest.mark.parametrize("name", quiet_model.QUIET_NAMES)
def test_without_a_name_of_the_quiet_model_the_stock_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(quiet_model, "QUIET_NAMES", (f"{name}_as_it_is_called_next_year",))

    @driven
    async def hold() -> None:
        async with talk(tmp_path) as session:
            assert type(inner(session)) is OpenAIRealtimeWebSocketModel
            await hold_a_conversation(session)

    hold()


@driven
async def test_without_the_socket_the_public_ways_serve(tmp_path: Path) -> None:
    async with talk(tmp_path) as session:
        model = session.life.run._link._model
        model._inner = Without(model._inner, "_websocket")
        await hold_a_conversation(session)


def talk(folder: Path) -> Any:
    """A session with the simulator, whose host answers the tool."""
    return omnirt_talk(folder, agent=AGENT, settings=simulated(SCRIPT), call_host=answering("seen"))


def inner(session: RealtimeSession) -> object:
    """The model of the SDK under the wrap."""
    return session.life.run._link._model._inner
