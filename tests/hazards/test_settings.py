"""Hazards of the voice SDK with settings: dropped, overruled, warned about, and tracing that nobody chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.talks import AGENT, bare_talk, omnirt_talk

DROPPED: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 0.7}, "temperature"),
    ({"input_audio_format": {"type": "audio/pcm", "rate": 16000}}, "input_audio_format"),
    ({"output_audio_format": "opus"}, "output_audio_format"),
    ({"truncation": "disabled"}, "truncation"),
]


class TestDroppedSettings:
    """What the SDK does not know it drops: the session runs, with something else than was asked for."""

    @pytest.mark.parametrize(("settings", "member"), DROPPED, ids=[member for _, member in DROPPED])
    def test_bare_it_is_not_sent(self, settings: dict[str, Any], member: str) -> None:
        @driven
        async def talk() -> None:
            async with Provider.open() as provider, bare_talk(provider.url, settings=settings):
                update = await provider.expect("session.update")
                sent = str(update["session"])
                assert member not in sent
                assert "16000" not in sent
                assert "opus" not in sent

        talk()

    @pytest.mark.parametrize(("settings", "member"), DROPPED, ids=[member for _, member in DROPPED])
    def test_omnirt_refuses_it_by_name(self, tmp_path: Path, settings: dict[str, Any], member: str) -> None:
        @driven
        async def talk() -> None:
            async with Provider.open() as provider:
                with pytest.raises(OmnirtError) as refused:
                    async with omnirt_talk(tmp_path, provider.url, realtime=settings):
                        pass
                assert refused.value.kind == "invalid_params"
                assert str(refused.value.facts["path"]).startswith(f"$.realtime.{member}")
                assert provider.requests == []

        talk()


class TestTwoSpellings:
    """A nested setting beats a flat one whatever came last, so an override in the flat spelling is lost."""

    @driven
    async def test_bare_the_nested_name_wins(self) -> None:
        settings = {"audio": {"output": {"voice": "ash"}}} | {"voice": "marin"}
        async with Provider.open() as provider, bare_talk(provider.url, settings=settings):
            update = await provider.expect("session.update")
            assert update["session"]["audio"]["output"]["voice"] == "ash"

    @driven
    async def test_omnirt_the_override_wins(self, tmp_path: Path) -> None:
        agent = {**AGENT, "realtime_settings": {"audio": {"output": {"voice": "ash"}}}}
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=agent, realtime={"voice": "marin"}),
        ):
            update = await provider.expect("session.update")
            assert update["session"]["audio"]["output"]["voice"] == "marin"


class TestAToolChoiceByName:
    """A tool chosen by name goes out, with a page of warnings that quotes the whole session."""

    CHOICE: dict[str, Any] = {"tool_choice": {"type": "function", "name": "look"}}  # noqa: RUF012 - a constant

    @driven
    async def test_bare_it_warns(self) -> None:
        async with Provider.open() as provider:
            with pytest.warns(UserWarning, match="Pydantic serializer warnings"):
                async with bare_talk(provider.url, settings=self.CHOICE):
                    pass

    @driven
    async def test_omnirt_does_not(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url, realtime=self.CHOICE):
            update = await provider.expect("session.update")
            assert update["session"]["tool_choice"] == self.CHOICE["tool_choice"]


class TestTracing:
    """By default the provider is asked to store a trace of every session."""

    @driven
    async def test_bare_it_is_asked_for(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url):
            await provider.expect("session.update")
            update = await provider.expect("session.update")
            assert update["session"]["tracing"] == "auto"

    @driven
    async def test_omnirt_asks_only_when_told_to(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path / "off", provider.url) as session:
            await session.send_text("Hello")
            await provider.expect("response.create")  # whatever connecting sends came before
            assert "tracing" not in str(provider.of("session.update"))
        async with Provider.open() as provider:
            settings = {
                "provider": "compatible",
                "openai_realtime_url": provider.url,
                "tracing": {"workflow_name": "mine"},
            }
            async with omnirt_talk(tmp_path / "on", settings=settings):
                await provider.expect("session.update")
                update = await provider.expect("session.update")
                assert update["session"]["tracing"]["workflow_name"] == "mine"

    @driven
    async def test_bare_the_exporter_is_on(self) -> None:
        from agents import set_tracing_disabled, trace

        set_tracing_disabled(False)  # as it is in a process of its own
        try:
            async with Provider.open() as provider, bare_talk(provider.url):
                assert type(trace("a run in a tool")).__name__ != "NoOpTrace"
        finally:
            set_tracing_disabled(True)

    @driven
    async def test_omnirt_turns_it_off(self, tmp_path: Path) -> None:
        from agents import set_tracing_disabled, trace

        set_tracing_disabled(False)
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url):
            assert type(trace("a run in a tool")).__name__ == "NoOpTrace"
