"""Handoffs and live updates over the simulator: who answers, and what the provider is told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.methods import SessionWaitResult
from omnirt.protocol.types import Event
from omnirt.sessions import RealtimeSession
from omnirt.sessions.services import Services
from omnirt.specs.load import AgentLibrary
from omnirt.storage import AudioStorage
from tests.support.talks import WAIT_S, Heard, omnirt_talk, simulated

BILLING: dict[str, Any] = {"name": "billing", "instructions": "Bills.", "handoffs": ["triage"]}
TRIAGE: dict[str, Any] = {"name": "triage", "instructions": "Ask {{ what }}.", "handoffs": [BILLING]}
SCRIPT = {
    "rules": [
        {"on": "user", "match": "bill", "do": [{"hand_off": "billing"}]},
        {"on": "user", "match": "back", "do": [{"hand_off": "triage"}]},
        {"on": "tool_output", "do": [{"text": "I am the next."}]},
        {"on": "user", "match": "story", "do": [{"say": "story"}]},
        {"on": "user", "match": "aloud", "do": [{"say": "hello"}]},
        {"on": "user", "do": [{"text": "Yes."}]},
    ]
}


class Talk:
    """A session, its events, and what the provider holds of its settings."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.heard = Heard[Event](session.stream_events())

    async def say(self, text: str) -> None:
        """Send a text and wait until all that it caused is over."""
        await self.session.send_text(text)
        await self.idle()

    async def update(self, **members: Any) -> None:
        """`session.update`, and wait until it is carried out."""
        names = ("agent", "variables", "realtime")
        self.session.put_update(*(members.get(name) for name in names))
        await self.idle()

    async def idle(self) -> None:
        reply = self.session.put_wait(WAIT_S)
        assert isinstance(reply, asyncio.Future)
        assert isinstance(await reply, SessionWaitResult)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.heard.events if isinstance(event, kind)]

    async def provider(self, updates: int) -> dict[str, Any]:
        """The settings as the provider told them the nth time."""
        await self.heard.count(_is_update, updates)
        event = [event for event in self.heard.events if _is_update(event)][updates - 1]
        assert isinstance(event, ev.RealtimeRaw)
        session: dict[str, Any] = event.event["session"]
        return session


def _is_update(event: Event) -> bool:
    return isinstance(event, ev.RealtimeRaw) and event.event.get("type") == "session.updated"


@asynccontextmanager
async def talking(folder: Path, agent: dict[str, Any] | None = None, **members: Any) -> AsyncIterator[Talk]:
    settings = simulated(SCRIPT)
    agent = TRIAGE if agent is None else agent
    members.setdefault("variables", {"what": "much"})
    async with omnirt_talk(folder, agent=agent, settings=settings, raw=True, **members) as session:
        talk = Talk(session)
        yield talk
        await session.stop()
        await talk.heard.end()


def test_agents_hand_over_in_a_cycle_and_each_brings_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            for _ in range(2):
                await talk.say("My bill")
                await talk.say("Go back")
            shown = [await talk.provider(number) for number in range(1, 6)]
            assert [s["instructions"].split("\n")[0] for s in shown] == ["Ask much.", "Bills."] * 2 + [
                "Ask much."
            ]
            tools = [[tool["name"] for tool in s["tools"]] for s in shown]
            assert tools == [["transfer_to_billing"], ["transfer_to_triage"]] * 2 + [["transfer_to_billing"]]
            turns = [("triage", "billing"), ("billing", "triage")] * 2
            assert [(e.from_agent, e.to_agent) for e in talk.of(ev.RealtimeHandoff)] == turns
            agents = [e.agent for e in talk.of(ev.RealtimeAgentStart)]
            assert agents == ["triage", "billing", "billing", "triage"] * 2
            kinds = [
                e.METHOD.removeprefix("realtime.")
                for e in talk.heard.events
                if isinstance(e, ev.RealtimeHandoff | ev.RealtimeAgentStart | ev.RealtimeAgentEnd)
            ]
            assert kinds == ["agentStart", "agentEnd", "handoff", "agentStart", "agentEnd"] * 4
            assert talk.session.info().agent == "triage"

    asyncio.run(main())


def test_the_next_agents_settings_lie_over_the_firsts_and_are_undone_on_the_way_back(tmp_path: Path) -> None:
    billing = {**BILLING, "realtime_settings": {"voice": "coral", "speed": 1.3}}
    triage = {
        **TRIAGE,
        "handoffs": [billing],
        "realtime_settings": {"turn_detection": None, "voice": "echo", "tool_choice": "required"},
    }

    async def main() -> None:
        async with talking(tmp_path, triage, realtime={"max_output_tokens": 1000}) as talk:
            await talk.say("My bill")
            await talk.say("Go back")
            first, second, third = [await talk.provider(number) for number in (1, 2, 3)]
            assert [s["audio"]["output"]["voice"] for s in (first, second, third)] == [
                "echo",
                "coral",
                "echo",
            ]
            assert [s["audio"]["output"]["speed"] for s in (first, second, third)] == [1.0, 1.3, 1.0]
            assert [s["audio"]["input"]["turn_detection"] for s in (first, second, third)] == [None] * 3
            assert [s["max_output_tokens"] for s in (first, second, third)] == [1000] * 3
            assert [s["tool_choice"] for s in (first, second, third)] == ["required", "auto", "required"]
            assert talk.of(ev.RealtimeError) == []

    asyncio.run(main())


def test_a_voice_that_was_heard_stays_and_that_is_told_once(tmp_path: Path) -> None:
    billing = {**BILLING, "realtime_settings": {"voice": "coral"}}

    async def main() -> None:
        async with talking(tmp_path, {**TRIAGE, "handoffs": [billing]}) as talk:
            await talk.say("Speak aloud")
            for _ in range(2):
                await talk.say("My bill")
                await talk.say("Go back")
            shown = [await talk.provider(number) for number in (1, 2, 3)]
            assert [s["audio"]["output"]["voice"] for s in shown] == ["ash"] * 3
            assert shown[1]["instructions"].startswith("Bills."), "all else of the agent holds"
            [error] = talk.of(ev.RealtimeError)
            assert (error.kind, error.fatal) == ("session_state", False)
            assert "`billing` goes on with the voice `ash`" in error.message

    asyncio.run(main())


def test_a_format_or_model_of_the_next_agents_own_is_told_and_changes_nothing(tmp_path: Path) -> None:
    own = {"output_audio_format": "g711_ulaw", "model_name": "gpt-other"}
    billing = {**BILLING, "realtime_settings": own}

    async def main() -> None:
        async with talking(tmp_path, {**TRIAGE, "handoffs": [billing]}) as talk:
            await talk.say("My bill")
            shown = await talk.provider(2)
            assert shown["audio"]["output"]["format"]["type"] == "audio/pcm"
            messages = [error.message for error in talk.of(ev.RealtimeError)]
            assert len(messages) == 2
            assert "the audio format `pcm16`" in messages[0]
            assert "the model `gpt-realtime`" in messages[1]

    asyncio.run(main())


def test_guardrails_are_those_of_the_agent_that_answers(tmp_path: Path) -> None:
    billing = {**BILLING, "output_guardrails": [{"name": "no_yes", "deny": ["Yes"]}]}

    async def main() -> None:
        async with talking(tmp_path, {**TRIAGE, "handoffs": [billing]}) as talk:
            await talk.say("Hello")
            assert talk.of(ev.RealtimeGuardrailTripped) == []
            await talk.say("My bill")
            await talk.say("Hello")
            assert len(talk.of(ev.RealtimeGuardrailTripped)) == 1
            await talk.say("Go back")
            await talk.say("Hello")
            assert len(talk.of(ev.RealtimeGuardrailTripped)) == 1

    asyncio.run(main())


def test_an_update_swaps_agents_of_the_graph_back_and_forth(tmp_path: Path) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            for number in range(50):
                name = ("billing", "triage")[number % 2]
                await talk.update(agent=name)
                assert talk.session.info().agent == name
            shown = await talk.provider(51)
            assert shown["instructions"].startswith("Ask much.")
            await talk.update(agent="billing")
            await talk.say("Go back")
            assert [(e.from_agent, e.to_agent) for e in talk.of(ev.RealtimeHandoff)] == [
                ("billing", "triage")
            ]
            assert talk.of(ev.RealtimeError) == []

    asyncio.run(main())


def test_variables_and_settings_change_without_moving_the_talk_to_another_agent(tmp_path: Path) -> None:
    billing = {**BILLING, "instructions": "Bills of {{ what }}."}

    async def main() -> None:
        async with talking(tmp_path, {**TRIAGE, "handoffs": [billing]}) as talk:
            await talk.say("My bill")
            await talk.update(variables={"what": "May"})
            await talk.update(realtime={"speed": 1.5})
            assert (await talk.provider(3))["instructions"].startswith("Bills of May.")
            last = await talk.provider(4)
            assert last["instructions"].startswith("Bills of May.")
            assert last["audio"]["output"]["speed"] == 1.5
            await talk.say("Hello")
            assert talk.of(ev.RealtimeAgentStart)[-1].agent == "billing"

    asyncio.run(main())


def test_another_agent_takes_over_with_its_own_spec_also_while_one_answers(tmp_path: Path) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            await talk.session.send_text("Tell me a story")
            await talk.heard.first(lambda event: isinstance(event, ev.RealtimeAudio))
            talk.session.put_update({"name": "poet", "instructions": "Rhyme."}, None, None)
            assert (await talk.provider(2))["instructions"] == "Rhyme."
            await talk.idle()
            await talk.say("Hello")
            assert [e.agent for e in talk.of(ev.RealtimeAgentStart)] == ["triage", "poet"]
            assert [e.agent for e in talk.of(ev.RealtimeAgentEnd)] == ["triage", "poet"]
            assert [e.status for e in talk.of(ev.RealtimeResponseEnd)] == ["completed"] * 2

    asyncio.run(main())


@pytest.mark.parametrize("agent", ["nobody", {"name": "x", "handoffs": ["nobody"]}, {"nam": "x"}])
def test_an_update_to_a_bad_agent_is_refused_and_changes_nothing(tmp_path: Path, agent: Any) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            with pytest.raises(OmnirtError) as caught:
                talk.session.put_update(agent, None, None)
            assert caught.value.kind in ("agent_invalid", "agent_not_found")
            await talk.update(variables={"what": "less"})
            assert (await talk.provider(2))["instructions"].startswith("Ask less.")

    asyncio.run(main())


def test_an_update_that_fails_when_it_is_carried_out_is_told_and_spoils_no_later_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            await talk.update(agent={"name": "x", "instructions": "{{ 1 / 0 }}"})
            [error] = talk.of(ev.RealtimeError)
            assert (error.kind, error.method, error.fatal) == ("agent_invalid", "session.update", False)
            await talk.update(variables={"what": "less"})
            assert (await talk.provider(2))["instructions"].startswith("Ask less.")
            assert talk.session.info().agent == "triage"

    asyncio.run(main())


def test_an_update_that_cannot_be_sent_is_told_and_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            # Its description can't be written.
            tool = {"run": "python:tests.support.python_tools:unsendable"}
            await talk.update(agent={"name": "x", "tools": [tool]})
            [error] = talk.of(ev.RealtimeError)
            assert (error.kind, error.method, error.fatal) == ("internal", "session.update", False)
            assert talk.session.info().agent == "triage"
            await talk.update(variables={"what": "less"})
            assert (await talk.provider(2))["instructions"].startswith("Ask less.")

    asyncio.run(main())


def test_a_name_that_an_update_leaves_undefined_is_told_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            for _ in range(2):
                await talk.update(agent={"name": "x", "instructions": "{{ nobody_gave }}"})
            [error] = talk.of(ev.RealtimeError)
            assert (error.kind, error.fatal) == ("agent_invalid", False)
            assert "`nobody_gave`, which is not defined" in error.message

    asyncio.run(main())


def test_a_format_or_model_is_fixed_for_an_update(tmp_path: Path) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            for realtime in ({"output_audio_format": "g711_ulaw"}, {"model_name": "gpt-other"}):
                with pytest.raises(OmnirtError) as caught:
                    talk.session.put_update(None, None, realtime)
                assert caught.value.kind == "invalid_params"

    asyncio.run(main())


def test_an_update_of_a_voice_that_was_heard_keeps_it_and_takes_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        async with talking(tmp_path) as talk:
            await talk.say("Speak aloud")
            await talk.update(realtime={"voice": "coral", "speed": 1.2})
            output = (await talk.provider(2))["audio"]["output"]
            assert (output["voice"], output["speed"]) == ("ash", 1.2)
            [error] = talk.of(ev.RealtimeError)
            assert error.kind == "session_state"

    asyncio.run(main())


def test_an_update_finds_agents_of_files_and_those_inside_them(tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "triage.json").write_text(json.dumps(TRIAGE))
    (agents / "poet.json").write_text(json.dumps({"name": "poet", "instructions": "Rhyme."}))

    async def main() -> None:
        services = Services(storage=AudioStorage(tmp_path / "data"), library=AgentLibrary([agents]))
        session = RealtimeSession("triage", services=services, settings=simulated(SCRIPT), raw=True)
        async with session.managed():
            talk = Talk(session)
            await talk.update(agent="billing")  # inside the file
            assert session.info().agent == "billing"
            await talk.update(agent="poet")
            assert session.info().agent == "poet"
            (agents / "poet.json").write_text(
                json.dumps({"name": "poet", "instructions": "Sing, do not rhyme."})
            )
            await talk.update(agent="poet")
            assert (await talk.provider(4))["instructions"] == "Sing, do not rhyme."
            with pytest.raises(OmnirtError) as caught:
                session.put_update("billing", None, None)
            assert caught.value.kind == "agent_not_found"
        await services.close()

    asyncio.run(main())
