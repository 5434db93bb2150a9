"""Going on with a stored session: what the model is told of it, and what nobody is told again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolCallResult
from omnirt.protocol.stored_methods import HistoryGetParams, StoredItem
from omnirt.protocol.types import ContentPart
from omnirt.sessions.resume import MAX_CHARS, MAX_ITEMS, MAX_TEXT, Seeds, seed_events
from omnirt.storage import AudioStorage
from tests.support import provider_events as pe
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.talks import AGENT, Heard, of, omnirt_talk, simulated
from tests.unit.sessions.test_session import CALLS_WEATHER, WITH_TOOL, idle


def message(role: Any, text: str, number: int = 1, **members: Any) -> StoredItem:
    if role == "assistant":
        members.setdefault("generated_text", text)
    return StoredItem(
        run_id="r1",
        item_id=f"i{number}",
        type="message",
        role=role,
        status="completed",
        content=[ContentPart(type="text", text=text)],
        at_ms=number,
        **members,
    )


def call(call_id: str, number: int, run_id: str = "r1", **members: Any) -> StoredItem:
    members.setdefault("arguments", {"city": "Rome"})
    return StoredItem(
        run_id=run_id,
        item_id=f"c{number}",
        type="functionCall",
        status="completed",
        tool_call_id=call_id,
        tool_name="weather",
        at_ms=number,
        **members,
    )


def output(call_id: str, number: int, value: object = "sunny", run_id: str = "r1") -> StoredItem:
    return StoredItem(
        run_id=run_id,
        item_id=f"o{number}",
        type="functionCallOutput",
        status="completed",
        tool_call_id=call_id,
        output=value,
        at_ms=number,
    )


def seeded(*items: StoredItem) -> list[dict[str, Any]]:
    """The items of the seeding, without their ids, which are checked here."""
    events = seed_events(items)
    assert [event["type"] for event in events] == ["conversation.item.create"] * len(events)
    seeds = [dict(event["item"]) for event in events]
    ids = [seed.pop("id") for seed in seeds]
    assert len(set(ids)) == len(ids)
    assert all(len(id_) <= 32 for id_ in ids)
    return seeds


def texts(seeds: list[dict[str, Any]]) -> list[str]:
    return [seed["content"][0]["text"] for seed in seeds]


def test_each_role_is_told_in_the_form_that_the_provider_takes() -> None:
    items = message("system", "Be kind.", 1), message("user", "Hello", 2), message("assistant", "Hi", 3)
    assert seeded(*items) == [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
    ]


def test_of_the_agent_the_model_is_told_what_was_heard() -> None:
    cut = message("assistant", "One two three", 1, heard_text="One two", interrupted=True)
    unheard = message("assistant", "Four", 2, heard_text="", interrupted=True)
    assert texts(seeded(cut, unheard)) == ["One two"]


def test_speech_of_the_user_is_told_by_its_transcript_and_left_out_without_one() -> None:
    heard = message("user", "", 1)
    heard.content = [ContentPart(type="audio", transcript="What is it?"), ContentPart(type="image")]
    unknown = message("user", "", 2)
    unknown.content = [ContentPart(type="audio")]
    assert texts(seeded(heard, unknown)) == ["What is it?"]


def test_calls_go_with_their_outputs_and_what_is_alone_is_left_out() -> None:
    seeds = seeded(
        output("lost", 1),
        call("a", 2),
        call("b", 3),
        call("open", 4),
        output("b", 5, {"sky": "blue"}),
        output("a", 6),
    )
    assert [(seed["type"], seed["call_id"]) for seed in seeds] == [
        ("function_call", "resumed_call_2"),
        ("function_call", "resumed_call_1"),
        ("function_call_output", "resumed_call_1"),
        ("function_call_output", "resumed_call_2"),
    ]
    assert json.loads(seeds[0]["arguments"]) == {"city": "Rome"}
    assert json.loads(seeds[2]["output"]) == {"sky": "blue"}
    assert seeds[3]["output"] == "sunny"


def test_calls_of_two_runs_with_one_id_are_two_calls() -> None:
    seeds = seeded(call("1", 1), output("1", 2, "x"), call("1", 3, "r2"), output("1", 4, "y", "r2"))
    assert [seed["call_id"] for seed in seeds] == ["resumed_call_1"] * 2 + ["resumed_call_2"] * 2


def test_the_last_items_are_told_up_to_the_bounds() -> None:
    many = [message("user", f"word {number}", number) for number in range(MAX_ITEMS + 50)]
    assert texts(seeded(*many))[0] == "word 50"
    long = [message("user", str(number) * (MAX_CHARS // 8), number) for number in range(10)]
    told = texts(seeded(*long))
    assert [text[0] for text in told] == ["3", "4", "5", "6", "7", "8", "9"]


def test_an_output_beyond_the_bounds_of_its_call_is_left_out() -> None:
    filler = [message("user", "x" * (MAX_CHARS // 8), number) for number in range(2, 9)]
    seeds = seeded(call("a", 1, arguments="y" * (MAX_CHARS // 4)), *filler[:4], output("a", 20), *filler[4:])
    assert [seed["type"] for seed in seeds] == ["message"] * len(seeds)


def test_a_long_text_is_cut_and_arguments_too_long_to_cut_are_left_out() -> None:
    huge = call("a", 1, arguments="y" * MAX_CHARS)
    seeds = seeded(message("user", "before"), huge, output("a", 2), message("user", "z" * MAX_CHARS, 3))
    assert [len(text) for text in texts(seeds)] == [len("before"), MAX_TEXT + 1]


def test_what_the_provider_says_of_the_seeds_is_known_by_their_ids() -> None:
    [event] = seed_events([message("user", "Hello")])
    seeds = Seeds()
    seeds.sent([event])
    assert seeds.is_echo({**event["item"], "status": "completed"})
    assert seeds.is_echo({**event["item"], "status": "completed"}), "added, then done"
    assert not seeds.is_echo({**event["item"], "id": "item_1"}), "the user says the same again"


def test_a_provider_with_ids_of_its_own_is_known_by_order_and_words() -> None:
    events = seed_events([message("user", "Hello"), message("assistant", "Hi", 2)])
    seeds = Seeds()
    seeds.sent(events)
    first, second = ({**event["item"], "id": f"own_{n}"} for n, event in enumerate(events))
    assert not seeds.is_echo(second)
    assert seeds.is_echo(first)
    assert seeds.is_echo(second)
    assert seeds.is_echo(second)
    assert not seeds.is_echo({**events[0]["item"], "id": "own_9"})


SUNNY = simulated({"rules": [{"do": [{"text": "It is sunny."}]}]})


@driven
async def test_a_session_goes_on_with_what_was_said(tmp_path: Path) -> None:
    async with omnirt_talk(tmp_path, settings=SUNNY, session_id="s1") as session:
        await session.send_text("Hello")
        await idle(session)
    async with (
        Provider.open() as provider,
        omnirt_talk(tmp_path, provider.url, session_id="s1", resume=True) as session,
    ):
        events = Heard(session.stream_events())
        assert (await session.connect()).resumed
        created = [await provider.expect("conversation.item.create") for _ in range(2)]
        assert texts([event["item"] for event in created]) == ["Hello", "It is sunny."]
        for event in created:
            await provider.send(
                pe.event("conversation.item.added", item={**event["item"], "status": "completed"})
            )
        await session.send_text("And now?")
        mine = await provider.expect("conversation.item.create")
        await provider.send(
            pe.event("conversation.item.added", item={**mine["item"], "id": "new", "status": "completed"})
        )
        added = await events.first(of(ev.RealtimeItemAdded))
        assert isinstance(added, ev.RealtimeItemAdded)
        assert added.item.item_id == "new", "what was said before is not told again"
        creates = provider.types().count("response.create")
        assert creates == 1, "nothing but the new text asks for a response"
        page = await session.services.storage.archive.get(HistoryGetParams(session_id="s1"))
        told = [item.generated_text or item.content for item in page.items if item.role]
        assert len({item.run_id for item in page.items}) <= 2
        assert len(told) <= 3, "nothing is stored twice"


@driven
async def test_an_unknown_session_begins_anew(tmp_path: Path) -> None:
    async with omnirt_talk(tmp_path, settings=simulated(), session_id="s1", resume=True) as session:
        assert not (await session.connect()).resumed


@driven
async def test_the_model_knows_what_was_said_before(tmp_path: Path) -> None:
    """The simulator tells all that is in its conversation."""
    async with omnirt_talk(tmp_path, settings=SUNNY, session_id="s1") as session:
        await session.send_text("How is the weather?")
        await idle(session)
    second = simulated({"rules": [{"do": [{"text": "So far: {conversation}"}]}]})
    async with omnirt_talk(tmp_path, settings=second, session_id="s1", resume=True) as session:
        await session.send_text("And now?")
        assert await idle(session) == ["So far: How is the weather? / It is sunny. / And now?"]


async def sunny(method: str, params: Struct, timeout_s: float) -> Struct:
    """A host's only tool."""
    return ToolCallResult(output="sunny")


@driven
async def test_tool_results_come_along(tmp_path: Path) -> None:
    async with omnirt_talk(
        tmp_path,
        agent=WITH_TOOL,
        settings=simulated(CALLS_WEATHER),
        session_id="s1",
        call_host=sunny,
    ) as session:
        await session.send_text("Weather?")
        await idle(session)
    async with (
        Provider.open() as provider,
        omnirt_talk(tmp_path, provider.url, session_id="s1", resume=True) as session,
    ):
        await session.connect()
        seeds = [(await provider.expect("conversation.item.create"))["item"] for _ in range(4)]
        assert [seed["type"] for seed in seeds] == [
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]
        assert seeds[2]["output"] == "sunny"


@driven
async def test_the_agent_that_was_handed_over_to_answers_on(tmp_path: Path) -> None:
    agent = {**AGENT, "handoffs": [{"name": "billing", "instructions": "You bill."}]}
    script = {"rules": [{"on": "text", "do": [{"call": {"tool": "transfer_to_billing", "arguments": {}}}]}]}
    async with omnirt_talk(tmp_path, agent=agent, settings=simulated(script), session_id="s1") as session:
        events = Heard(session.stream_events())
        await session.send_text("My bill, please")
        await events.first(of(ev.RealtimeHandoff))
    async with omnirt_talk(
        tmp_path, agent=agent, settings=simulated(), session_id="s1", resume=True
    ) as session:
        assert (await session.connect()).agent == "billing"
        assert session.info().agent == "billing"
    async with omnirt_talk(tmp_path, settings=simulated(), session_id="s1", resume=True) as session:
        assert (await session.connect()).agent == "greeter", "the spec has no billing any more"


@driven
async def test_a_session_that_is_live_elsewhere_is_not_resumed(tmp_path: Path) -> None:
    async with omnirt_talk(tmp_path, settings=simulated(), session_id="s1") as session:
        await session.connect()
        with pytest.raises(OmnirtError) as caught:
            async with omnirt_talk(tmp_path, settings=simulated(), session_id="s1", resume=True):
                pass
        assert caught.value.kind == "session_exists"


@driven
async def test_a_history_that_cannot_be_read_is_told_and_not_forgotten(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    await storage.close()
    (tmp_path / "omnirt.db").mkdir(parents=True)
    with pytest.raises(OmnirtError) as caught:
        async with omnirt_talk(tmp_path, settings=simulated(), session_id="s1", resume=True):
            pass
    assert caught.value.kind == "storage_failed"
