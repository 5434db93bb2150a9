"""Hazards of the voice SDK's tools: failures without words, without an end, or with the end of everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agents import FunctionTool, function_tool
from agents.realtime import RealtimeAgent

from omnirt.protocol import events as ev
from omnirt.protocol.calls import ToolCallParams
from omnirt.protocol.pending import CallFailed
from omnirt.protocol.types import ErrorInfo, Event
from tests.support.daemon import driven
from tests.support.hosts import answering
from tests.support.provider import Provider
from tests.support.provider_events import created, done, function_call
from tests.support.talks import Heard, bare_talk, of, of_type, omnirt_talk

HAS_LOOK: dict[str, Any] = {
    "name": "greeter",
    "instructions": "Be brief.",
    "tools": [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}, "run": "host"}],
}


def bare_agent(tool: Any) -> RealtimeAgent[Any]:
    return RealtimeAgent(name="greeter", instructions="Be brief.", tools=[tool])


def raising(error: BaseException) -> Callable[[object], Any]:
    """A tool, or a host, that raises this."""

    def look(_: object) -> Any:
        raise error

    return look


def raw_tool(error: BaseException) -> FunctionTool:
    """A tool made by hand that raises this."""

    async def look(_context: object, _arguments: str) -> str:
        raise error

    schema = {"type": "object", "properties": {}}
    return FunctionTool("look", "Looks.", schema, look, strict_json_schema=False)


async def call_look(provider: Provider) -> None:
    await provider.send(created("r1"), function_call("r1", "call_1", "look"), done("r1"))


def output_of(event: dict[str, Any]) -> str:
    """The output in a `conversation.item.create`."""
    assert event["item"]["type"] == "function_call_output"
    output: str = event["item"]["output"]
    return output


class TestAToolThatFails:
    """Its failure is a constant text, with nothing that says that it failed or how."""

    @driven
    async def test_bare_the_reason_is_lost(self) -> None:
        @function_tool
        def look() -> str:
            raise ValueError("the lens is dirty")

        async with Provider.open() as provider, bare_talk(provider.url, agent=bare_agent(look)) as session:
            events = Heard(session.__aiter__())
            await call_look(provider)
            end: Any = await events.first(of_type("tool_end"))
            assert end.output == "An error occurred while running the tool. Please try again."
            assert "dirty" not in repr({**vars(end), "info": None})
            await events.stop()

    @driven
    async def test_omnirt_tells_host_and_model(self, tmp_path: Path) -> None:
        failed = raising(CallFailed("error", "the lens is dirty"))
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=HAS_LOOK, call_host=answering(failed)) as session,
        ):
            events: Heard[Event] = Heard(session.stream_events())
            await call_look(provider)
            end = await events.first(of(ev.RealtimeToolEnd))
            assert isinstance(end, ev.RealtimeToolEnd)
            assert end.status == "failed"
            assert isinstance(end.error, ErrorInfo)
            assert "the lens is dirty" in end.error.message
            assert "the lens is dirty" in output_of(await provider.expect("conversation.item.create"))
            await provider.expect("response.create")
            await events.stop()


class TestAToolThatBreaks:
    """A tool without the SDK's own net ends the session; with `CancelledError` it says nothing."""

    @driven
    async def test_bare_an_exception_ends_the_session(self) -> None:
        agent = bare_agent(raw_tool(ValueError("broken")))
        async with Provider.open() as provider, bare_talk(provider.url, agent=agent) as session:
            events = Heard(session.__aiter__())
            await call_look(provider)
            assert isinstance(await events.end(), ValueError)
            assert not [e for e in events.events if e.type == "tool_end"]

    @driven
    async def test_bare_a_cancelled_error_leaves_the_model_waiting(self) -> None:
        agent = bare_agent(raw_tool(asyncio.CancelledError()))
        async with Provider.open() as provider, bare_talk(provider.url, agent=agent) as session:
            events = Heard(session.__aiter__())
            await call_look(provider)
            await events.first(of_type("tool_start"))
            await session.send_message("Well?")
            # the first item that comes is the text: there is no output, then or later
            assert (await provider.expect("conversation.item.create"))["item"]["type"] == "message"
            assert not [e for e in events.events if e.type in ("tool_end", "error")]
            await events.stop()

    @pytest.mark.parametrize(
        "broken",
        [raising(ValueError("broken")), raising(asyncio.CancelledError()), lambda _: object()],
        ids=["exception", "cancelled", "no JSON"],
    )
    def test_omnirt_tells_host_and_model(
        self, tmp_path: Path, broken: Callable[[ToolCallParams], Any]
    ) -> None:
        @driven
        async def talk() -> None:
            async with (
                Provider.open() as provider,
                omnirt_talk(tmp_path, provider.url, agent=HAS_LOOK, call_host=answering(broken)) as session,
            ):
                events: Heard[Event] = Heard(session.stream_events())
                await call_look(provider)
                end = await events.first(of(ev.RealtimeToolEnd))
                assert isinstance(end, ev.RealtimeToolEnd)
                assert end.status == "failed"
                assert "failed" in output_of(await provider.expect("conversation.item.create"))
                await provider.expect("response.create")
                await events.stop()

        talk()

    @driven
    async def test_omnirt_ends_when_the_sdk_does(self, tmp_path: Path) -> None:
        from agents.realtime.model_events import RealtimeModelExceptionEvent, RealtimeModelTurnStartedEvent

        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            inside = session.life.run._link._session  # as any exception of its own would
            await inside.on_event(RealtimeModelExceptionEvent(exception=ValueError("broken")))
            await inside.on_event(RealtimeModelTurnStartedEvent(response_id="r1"))
            await events.end()
            closed = events.events[-1]
            assert isinstance(closed, ev.RealtimeClosed)
            assert closed.reason == "error"


class TestAnUnknownTool:
    """The model that calls what is not there is told so, and asked for nothing: it goes silent."""

    @driven
    async def test_bare_no_response_is_asked_for(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await call_look(provider)
            await events.first(of_type("error"))
            assert "not found" in output_of(await provider.expect("conversation.item.create"))
            assert session.model._response_control == "free"  # type: ignore[attr-defined] # nothing is asked for
            assert "response.create" not in provider.types()
            await events.stop()

    @driven
    async def test_omnirt_lets_it_answer(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await call_look(provider)
            end = await events.first(of(ev.RealtimeToolEnd))
            assert isinstance(end, ev.RealtimeToolEnd)
            assert (end.tool_name, end.status) == ("look", "failed")
            assert "no tool named look" in output_of(await provider.expect("conversation.item.create"))
            await provider.expect("response.create")
            await events.stop()


class TestArgumentsThatCannotBeWrittenAgain:
    """Half a character, or nesting without end: the SDK breaks on it, and with it the session."""

    ODD = ('{"b": "\\ud800"}', '{"a": ' + "[" * 2000 + "]" * 2000 + "}")

    @pytest.mark.parametrize("arguments", ODD, ids=["half a character", "nesting"])
    def test_bare_the_session_dies(self, arguments: str) -> None:
        @function_tool
        def look() -> str:
            return "seen"

        @driven
        async def talk() -> None:
            async with (
                Provider.open() as provider,
                bare_talk(provider.url, agent=bare_agent(look)) as session,
            ):
                events = Heard(session.__aiter__())
                call = function_call("r1", "call_1", "look", arguments)
                await provider.send(created("r1"), call, done("r1"))
                assert isinstance(await events.end(), UnicodeEncodeError | RecursionError)

        talk()

    @driven
    async def test_omnirt_tells_host_and_model(self, tmp_path: Path) -> None:
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=HAS_LOOK, call_host=answering("seen")) as session,
        ):
            events: Heard[Event] = Heard(session.stream_events())
            for number, arguments in enumerate((*self.ODD, "{}")):
                response_id, call_id = f"r{number}", f"call_{number}"
                call = function_call(response_id, call_id, "look", arguments)
                await provider.send(created(response_id), call, done(response_id))
                output = output_of(await provider.expect("conversation.item.create"))
                assert ("failed" in output) == (arguments != "{}")
                await provider.expect("response.create")
            ends = [e for e in events.events if isinstance(e, ev.RealtimeToolEnd)]
            assert [e.status for e in ends[:2]] == ["failed", "failed"]
            await events.stop()


def incomplete_call() -> dict[str, Any]:
    """A call as some compatible servers tell it, without the position of the item."""
    call = function_call("r1", "call_1", "look")
    return {name: value for name, value in call.items() if name not in ("event_id", "output_index")}


class TestACallThatIsNotToldInFull:
    """A member that the SDK misses in the provider's event, needed or not, and the tool never runs."""

    @driven
    async def test_bare_the_tool_never_runs(self) -> None:
        @function_tool
        def look() -> str:
            raise AssertionError("it ran")

        async with Provider.open() as provider, bare_talk(provider.url, agent=bare_agent(look)) as session:
            events = Heard(session.__aiter__())
            await provider.send(created("r1"), incomplete_call(), done("r1"))
            await events.first(of_type("agent_end"))
            assert [e.type for e in events.events if e.type in ("error", "tool_start")] == ["error"]
            await events.stop()

    @driven
    async def test_omnirt_runs_it(self, tmp_path: Path) -> None:
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=HAS_LOOK, call_host=answering("seen")),
        ):
            await provider.send(created("r1"), incomplete_call(), done("r1"))
            assert output_of(await provider.expect("conversation.item.create")) == "seen"
            await provider.expect("response.create")


class TestACallIdThatComesAgain:
    """Servers that count the calls of each response anew give one id twice, which ends the session."""

    CALLS = (
        (created("r1"), function_call("r1", "call_0", "look", '{"at": 1}'), done("r1")),
        (created("r2"), function_call("r2", "call_0", "look", '{"at": 2}'), done("r2")),
    )

    @driven
    async def test_bare_the_session_dies(self) -> None:
        @function_tool
        def look(at: int) -> str:
            return f"seen {at}"

        async with Provider.open() as provider, bare_talk(provider.url, agent=bare_agent(look)) as session:
            events = Heard(session.__aiter__())
            await provider.send(*self.CALLS[0])
            await provider.expect("response.create")
            await provider.send(*self.CALLS[1])
            assert "reused" in str(await events.end())

    @driven
    async def test_omnirt_answers_both(self, tmp_path: Path) -> None:
        seen = answering(lambda params: f"seen {params.arguments['at']}")
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=HAS_LOOK, call_host=seen) as session,
        ):
            events: Heard[Event] = Heard(session.stream_events())
            for number, call in enumerate(self.CALLS, 1):
                await provider.send(*call)
                output = await provider.expect("conversation.item.create")
                assert output_of(output) == f"seen {number}"
                assert output["item"]["call_id"] == "call_0"
                await provider.expect("response.create")
            await session.send_text("mark", respond=False)
            await provider.expect("conversation.item.create")
            assert len(provider.of("response.create")) == 2  # neither asked for twice, by the SDK and by us
            ids = [e.tool_call_id for e in events.events if isinstance(e, ev.RealtimeToolEnd)]
            assert len(set(ids)) == 2
            await events.stop()
