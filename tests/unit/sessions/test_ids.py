"""Ids that a provider uses again on another connection: the host knows each for one thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import UNSET

from omnirt.protocol import events as ev
from omnirt.sessions.ids import CallIds, ConnectionIds
from tests.support import provider_events as pe
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.talks import KEY, Heard, of, omnirt_talk

TOOL = {"name": "look_up", "run": "host"}


def second(*earlier: str) -> ConnectionIds:
    ids = ConnectionIds()
    ids.next_connection(frozenset(earlier))
    return ids


def test_on_the_first_connection_an_event_is_as_it_came() -> None:
    ids, event = ConnectionIds(), pe.created("r1")
    assert ids.event(event) is event
    assert not ids.differ


def test_an_id_that_was_used_is_another_on_the_next_connection_wherever_it_stands() -> None:
    ids = second("r1", "item_c1_r1", "c1")
    told = ids.event(pe.function_call("r1", "c1", "look_up"))
    assert (told["response_id"], told["item"]["id"], told["item"]["call_id"]) == (
        "r1_2",
        "item_c1_r1_2",
        "c1_2",
    )
    done = pe.done("r1")
    done["response"]["output"] = [told["item"] | {"id": "item_c1_r1"}, "nonsense"]
    done = dict(ids.event(done))
    assert (done["response"]["id"], done["response"]["output"][0]["id"]) == ("r1_2", "item_c1_r1_2")
    fresh = pe.created("r7")
    assert ids.event(fresh) == fresh


def test_what_goes_up_has_the_providers_own_ids() -> None:
    ids = second("r1", "i1", "c1")
    ids.event(pe.function_call("r1", "c1", "look_up"))
    ids.event(pe.audio("r1", "i1", 10))
    assert ids.upward({"type": "response.cancel", "response_id": "r1_2"}) == {
        "type": "response.cancel",
        "response_id": "r1",
    }
    cut = {"type": "conversation.item.truncate", "item_id": "i1_2", "audio_end_ms": 5}
    assert ids.upward(cut) == {**cut, "item_id": "i1"}
    assert ids.theirs("c1_2") == "c1"


def test_what_is_about_an_earlier_connection_does_not_go_up() -> None:
    ids = second("i1")
    assert ids.upward({"type": "conversation.item.delete", "item_id": "i1"}) is None
    assert ids.upward({"type": "response.cancel"}) == {"type": "response.cancel"}
    text = {"type": "conversation.item.create", "item": {"type": "message"}}
    assert ids.upward(text) == text


def test_a_call_that_the_next_connection_is_told_of_keeps_its_id() -> None:
    ids = second("c1")
    output = {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c1"}}
    assert ids.upward(output) == output
    assert ids.ours("c1") == "c1"


def test_names_that_are_taken_are_not_given_twice() -> None:
    ids = second("i1", "i1_2")
    assert len({ids.ours("i1"), ids.ours("i1_2"), "i1", "i1_2"}) == 4


def test_a_call_without_an_id_gets_one() -> None:
    calls = CallIds()
    assert [calls.unique(name) for name in ("", "", "c", "c")] == ["call", "call_2", "c", "c_2"]
    assert calls.original("c_2") == "c"


@driven
async def test_a_host_sees_each_id_once_though_the_server_counts_anew(tmp_path: Path) -> None:
    async def answer(method: str, params: Any, timeout_s: float) -> Any:
        from omnirt.protocol.calls import ToolCallResult

        return ToolCallResult(output="sunny")

    async with Provider.open() as provider:
        settings = {"provider": "compatible", "openai_realtime_url": provider.url, "openai_api_key": KEY}
        agent = {"name": "clerk", "tools": [TOOL]}
        async with omnirt_talk(tmp_path, agent=agent, settings=settings, call_host=answer) as session:
            events: Heard[Any] = Heard(session.stream_events())
            for connection in (1, 2):
                await session.send_text(f"Look it up, {connection}")
                asked = await provider.expect("conversation.item.create")
                while asked["item"].get("role") != "user" or asked["item"].get("id"):
                    asked = await provider.expect("conversation.item.create")
                await provider.send(pe.item_added({**asked["item"], "id": "i0"}))
                await provider.expect("response.create")
                await provider.send(pe.created("r1"), pe.audio("r1", "i1", 100))
                await provider.send(pe.function_call("r1", "c1", "look_up"), pe.done("r1"))
                output = await provider.expect("conversation.item.create")
                while output["item"]["type"] != "function_call_output":
                    output = await provider.expect("conversation.item.create")
                assert output["item"]["call_id"] == "c1"
                await provider.send(pe.item_added({**output["item"], "id": "i3"}))
                await provider.expect("response.create")
                await provider.send(pe.created("r2"), pe.done("r2"))
                await events.count(of(ev.RealtimeResponseEnd), 2 * connection)
                if connection == 1:
                    provider.abort()
                    await events.count(lambda e: getattr(e, "state", "") == "connected", 2)
            await session.stop(force=True)
            await events.end()
    started = [event.response_id for event in events.events if isinstance(event, ev.RealtimeResponseStart)]
    assert started == ["r1", "r2", "r1_2", "r2_2"]
    tools = [event.tool_call_id for event in events.events if isinstance(event, ev.RealtimeToolEnd)]
    assert tools == ["c1", "c1_2"]
    added = [event.item for event in events.events if isinstance(event, ev.RealtimeItemAdded)]
    assert [(item.item_id, item.tool_call_id) for item in added] == [
        *(("i0", UNSET), ("item_c1_r1", "c1"), ("i3", "c1")),
        *(("i0_2", UNSET), ("item_c1_r1_2", "c1_2"), ("i3_2", "c1_2")),
    ]
    audio = {event.item_id for event in events.events if isinstance(event, ev.RealtimeAudio)}
    assert audio == {"i1", "i1_2"}
