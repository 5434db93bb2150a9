"""Hazards of the voice SDK with agents and their words: what a handoff undoes, what nobody heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from agents import GuardrailFunctionOutput, OutputGuardrail
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
from tests.support.talks import Heard, bare_talk, of, of_type, omnirt_talk, simulated, simulator


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


class TestAShortAnswerUnderAGuardrail:
    """Output guardrails don't run on an answer that is shorter than their debounce length."""

    ANSWER = (
        created("r1"),
        words("r1", "i1", "It costs $5."),
        event(
            "response.output_audio_transcript.done",
            response_id="r1",
            item_id="i1",
            output_index=0,
            content_index=0,
            transcript="It costs $5.",
        ),
        done("r1"),
    )

    @driven
    async def test_bare_it_is_never_checked(self) -> None:
        checked: list[str] = []

        def no_prices(_context: object, _agent: object, output: str) -> GuardrailFunctionOutput:
            checked.append(output)
            return GuardrailFunctionOutput(output_info=None, tripwire_triggered="$" in output)

        agent = RealtimeAgent(
            name="greeter", output_guardrails=[OutputGuardrail(guardrail_function=no_prices)]
        )
        async with Provider.open() as provider, bare_talk(provider.url, agent=agent) as session:
            events = Heard(session.__aiter__())
            await provider.send(*self.ANSWER)
            await events.first(of_type("agent_end"))
            assert checked == []
            await events.stop()

    @driven
    async def test_omnirt_checks_it(self, tmp_path: Path) -> None:
        agent = {"name": "greeter", "output_guardrails": [{"name": "no_prices", "deny": [r"\$\d"]}]}
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url, agent=agent) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(*self.ANSWER)
            tripped = await events.first(of(ev.RealtimeGuardrailTripped))
            assert isinstance(tripped, ev.RealtimeGuardrailTripped)
            assert tripped.guardrails == ["no_prices"]
            await provider.expect("response.create")
            await events.stop()


class TestAVoiceThatWasHeard:
    """The provider refuses an update with another voice whole, so that a handoff changes nothing at all."""

    SCRIPT: ClassVar = {
        "rules": [
            {"on": "user", "match": "bill", "do": [{"hand_off": "billing"}]},
            {"on": "any", "do": [{"say": "hello"}]},
        ]
    }

    @driven
    async def test_bare_the_update_is_refused(self) -> None:
        from agents.realtime.model_inputs import RealtimeModelSendSessionUpdate

        async with simulator(self.SCRIPT) as endpoint, bare_talk(endpoint.url, key=endpoint.token) as session:
            events = Heard(session.__aiter__())
            await session.send_message("Hello")
            await events.first(of_type("agent_end"))
            changed = RealtimeModelSendSessionUpdate(
                session_settings={"voice": "coral", "instructions": "Bill."}
            )
            await session.model.send_event(changed)
            refused = await events.first(of_type("error"))
            assert "voice" in repr(refused)
            await events.stop()

    @driven
    async def test_omnirt_keeps_the_voice_and_takes_the_rest(self, tmp_path: Path) -> None:
        billing = {"name": "billing", "instructions": "Bill.", "realtime_settings": {"voice": "coral"}}
        agent = {"name": "greeter", "handoffs": [billing]}
        settings = simulated(self.SCRIPT)
        async with omnirt_talk(tmp_path, agent=agent, settings=settings, raw=True) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await session.send_text("Hello")
            await events.first(of(ev.RealtimeResponseEnd))
            await session.send_text("My bill")

            def holds(event: Event) -> bool:
                shown = event.event.get("session", {}) if isinstance(event, ev.RealtimeRaw) else {}
                return shown.get("instructions") == "Bill." and shown["audio"]["output"]["voice"] == "ash"

            await events.first(holds)
            kept = await events.first(of(ev.RealtimeError))
            assert isinstance(kept, ev.RealtimeError)
            assert kept.kind == "session_state"
            await events.stop()
