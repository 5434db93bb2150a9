"""Hazards of the voice SDK with agents and their words: what a handoff undoes, what nobody heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.realtime import RealtimeAgent, realtime_handoff

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.provider_events import (
    audio,
    created,
    done,
    event,
    function_call,
    item_added,
    message,
    words,
)
from tests.support.talks import Heard, bare_talk, of, of_type, omnirt_talk


class TestAHandoffAfterAnUpdate:
    """A handoff sends the settings of the start again: what was changed since is undone."""

    @driven
    async def test_bare_it_is_undone(self) -> None:
        from agents.realtime.model_inputs import RealtimeModelSendSessionUpdate

        billing = RealtimeAgent(name="billing", instructions="Bill.")
        agent = RealtimeAgent(name="greeter", instructions="Be brief.", handoffs=[realtime_handoff(billing)])
        async with Provider.open() as provider, bare_talk(provider.url, agent=agent) as session:
            await provider.expect("session.update")
            await provider.expect("session.update")  # for tracing
            changed = RealtimeModelSendSessionUpdate(session_settings={"speed": 1.2})
            await session.model.send_event(changed)
            assert (await provider.expect("session.update"))["session"]["audio"]["output"]["speed"] == 1.2
            await provider.send(created("r1"), function_call("r1", "call_1", "transfer_to_billing"))
            assert "speed" not in (await provider.expect("session.update"))["session"]["audio"]["output"]

    @driven
    async def test_omnirt_keeps_it(self, tmp_path: Path) -> None:
        agent = {
            "name": "greeter",
            "instructions": "Be brief.",
            "handoffs": [{"name": "billing", "instructions": "Bill."}],
        }
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=agent) as session,
        ):
            events: Heard[Event] = Heard(session.stream_events())
            await provider.expect("session.update")
            session.put_update(None, None, {"speed": 1.2})
            assert (await provider.expect("session.update"))["session"]["audio"]["output"]["speed"] == 1.2
            await provider.send(
                created("r1"), function_call("r1", "call_1", "transfer_to_billing"), done("r1")
            )
            update = (await provider.expect("session.update"))["session"]
            assert (update["instructions"], update["audio"]["output"]["speed"]) == ("Bill.", 1.2)
            handoff = await events.first(of(ev.RealtimeHandoff))
            assert isinstance(handoff, ev.RealtimeHandoff)
            assert (handoff.from_agent, handoff.to_agent) == ("greeter", "billing")
            await provider.expect("response.create")
            await events.stop()


SPOKEN = (
    created("r1"),
    item_added(message("i1", "assistant")),
    words("r1", "i1", "Once upon a time"),
    audio("r1", "i1", 10_000),
)


class TestWordsThatNobodyHeard:
    """After a cut the history still has every word, and nothing that says where it was cut."""

    @driven
    async def test_bare_the_history_has_them_all(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.send(*SPOKEN)
            await events.first(of_type("audio"))
            await session.interrupt()
            cut = await provider.expect("conversation.item.truncate")
            await provider.send(event("conversation.item.truncated", **_position(cut)), done("r1"))
            await events.first(of_type("agent_end"))
            (item,) = session._history
            assert "Once upon a time" in repr(item)
            assert str(cut["audio_end_ms"]) not in repr({**item.model_dump(), "item_id": ""})
            await events.stop()

    @driven
    async def test_omnirt_says_where_it_was_cut(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(*SPOKEN)
            await events.first(of(ev.RealtimeAudio))
            session.playback("i1", 0, 700)
            await session.interrupt()
            updated = await events.first(of(ev.RealtimeItemUpdated))
            assert isinstance(updated, ev.RealtimeItemUpdated)
            assert (updated.item.interrupted, updated.item.heard_ms) == (True, 700)
            await events.stop()


def _position(cut: dict[str, Any]) -> dict[str, Any]:
    return {name: cut[name] for name in ("item_id", "content_index", "audio_end_ms")}
