"""Calls of tools by a model that does as it likes: too early, too large, and without an end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import link
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.provider_events import event, function_call
from tests.support.talks import Heard, omnirt_talk


@pytest.mark.parametrize("told", [0, 1], ids=["first of all", "before the settings are answered"])
def test_a_call_before_the_session_holds_nothing_up_and_is_answered_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    monkeypatch.setattr(link, "HANDSHAKE_S", 3.0)

    @driven
    async def talk() -> None:
        async with Provider.open(answers=False) as provider:
            answers = [event("session.created", session={}), event("session.updated", session={})]
            answers.insert(told, function_call("r0", "call_0", "nope"))
            saying = asyncio.create_task(provider.send(*answers))
            async with omnirt_talk(tmp_path, provider.url) as session:
                events: Heard[Event] = Heard(session.stream_events())
                output = await provider.expect("conversation.item.create")
                assert output["item"]["call_id"] == "call_0"
                assert [e for e in events.events if isinstance(e, ev.RealtimeError)] == []
                await events.stop()
            await saying

    talk()
