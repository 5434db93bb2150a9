"""Hazards of the voice SDK before the first word: keys, models, unread answers, dropped settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import link
from tests.support.daemon import driven
from tests.support.network import front
from tests.support.provider import Provider
from tests.support.provider_events import error
from tests.support.talks import KEY, Heard, bare_talk, of, of_type, omnirt_talk, simulator


class TestHeadersHideTheKey:
    """With `headers`, even empty ones, the SDK sends no `Authorization`."""

    @driven
    async def test_bare_a_key_beside_headers_is_not_sent(self) -> None:
        from websockets.exceptions import InvalidStatus

        async with simulator() as endpoint:
            with pytest.raises(InvalidStatus) as refused:
                async with bare_talk(endpoint.url, key=endpoint.token, headers={"X-Trace": "1"}):
                    pass
            assert refused.value.response.status_code == 401

    @driven
    async def test_omnirt_sends_both(self, tmp_path: Path) -> None:
        async with Provider.open() as provider:
            settings = {
                "provider": "compatible",
                "openai_realtime_url": provider.url,
                "openai_api_key": KEY,
                "headers": {"X-Trace": "1"},
            }
            async with omnirt_talk(tmp_path, settings=settings):
                headers = provider.requests[0].headers
                assert headers["Authorization"] == f"Bearer {KEY}"
                assert headers["X-Trace"] == "1"


class TestAKeyWithALineBreak:
    """A key with a line break cannot be a header, and the WebSocket library logs it in full."""

    KEY = "sk-very-secret\n"

    @driven
    async def test_bare_the_log_has_the_key(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with Provider.open() as provider:
            with pytest.raises(Exception):  # noqa: B017 - which one depends on the library's version
                async with bare_talk(provider.url, key=self.KEY):
                    pass
        assert "sk-very-secret" in caplog.text

    @driven
    async def test_omnirt_refuses_it_and_says_nothing_of_it(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        settings = {"provider": "openai", "openai_api_key": self.KEY}
        with pytest.raises(OmnirtError) as refused:
            async with omnirt_talk(tmp_path, settings=settings):
                pass
        assert refused.value.kind == "invalid_params"
        assert "sk-very-secret" not in caplog.text + str(refused.value.data) + refused.value.message


class TestTheModelOfTheUrl:
    """The URL is used as it is, but the settings always carry a model, the SDK's own by default."""

    @driven
    async def test_bare_url_and_settings_disagree(self) -> None:
        async with Provider.open() as provider, bare_talk(f"{provider.url}?model=mine"):
            update = await provider.expect("session.update")
            assert provider.requests[0].path.endswith("?model=mine")
            assert update["session"]["model"] != "mine"

    @driven
    async def test_omnirt_says_the_same_in_both(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, f"{provider.url}?model=mine"):
            update = await provider.expect("session.update")
            assert update["session"]["model"] == "mine"


class TestARefusedSession:
    """The SDK is connected once it has sent the settings; the answer comes later, or never."""

    @driven
    async def test_bare_a_refusal_comes_after_the_success(self) -> None:
        async with Provider.open(answers=False) as provider, bare_talk(provider.url) as session:
            await provider.expect("session.update")
            events = Heard(session.__aiter__())
            await provider.send(error("no such voice", event_id=None))
            await events.first(of_type("error"))
            await events.stop()

    @driven
    async def test_bare_a_silent_provider_is_a_success_too(self) -> None:
        async with Provider.open(answers=False) as provider, bare_talk(provider.url):
            await provider.expect("session.update")

    @driven
    async def test_omnirt_fails_to_start_with_the_refusal(self, tmp_path: Path) -> None:
        refusal = error(f"no such voice for {KEY}", event_id=None, code="invalid_value")
        async with Provider.open(answers=False) as provider:
            await _refused(tmp_path, provider, refusal, "provider_error")

    @driven
    async def test_omnirt_tells_a_refused_key_as_such(self, tmp_path: Path) -> None:
        refusal = error(f"Incorrect API key provided: {KEY}", event_id=None, code="invalid_api_key")
        async with Provider.open(answers=False) as provider:
            await _refused(tmp_path, provider, refusal, "auth_failed")

    @driven
    async def test_omnirt_fails_to_start_on_silence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            link, "HANDSHAKE_S", 0.5
        )  # ten seconds for a host; the test needs not wait so long
        async with Provider.open(answers=False) as provider:
            with pytest.raises(OmnirtError) as failed:
                async with omnirt_talk(tmp_path, provider.url):
                    pass
        assert (failed.value.kind, failed.value.facts["reason"]) == ("provider_unreachable", "timeout")
        assert provider.url in failed.value.message

    @driven
    @pytest.mark.parametrize("words", ["", "not today"])
    async def test_omnirt_tells_a_close_with_its_code(self, tmp_path: Path, words: str) -> None:
        async with Provider.open(answers=False) as provider:
            closing = asyncio.create_task(provider.close(4401, words))
            with pytest.raises(OmnirtError) as failed:
                async with omnirt_talk(tmp_path, provider.url):
                    pass
            await closing
        error = failed.value
        assert (error.kind, error.retryable) == ("provider_unreachable", True)
        assert error.facts == {"reason": "closed", "closeCode": 4401}
        assert words in error.message


async def _refused(folder: Path, provider: Provider, refusal: dict[str, Any], kind: str) -> None:
    """A start that fails by this event of the provider, with this kind of error, and tells no key."""

    async def answer() -> None:
        await provider.expect("session.update")
        await provider.send(refusal)

    answering = asyncio.create_task(answer())
    with pytest.raises(OmnirtError) as failed:
        async with omnirt_talk(folder, provider.url):
            pass
    await answering
    assert failed.value.kind == kind
    assert KEY not in failed.value.message + str(failed.value.data)


class TestARefusedHandshake:
    """A refused WebSocket is the library's own exception, with the provider's whole answer in it."""

    @driven
    async def test_bare_the_librarys_exception_comes_through(self) -> None:
        from websockets.exceptions import InvalidStatus

        async with simulator() as endpoint:
            with pytest.raises(InvalidStatus):
                async with bare_talk(endpoint.url, key="sk-wrong"):
                    pass

    @driven
    async def test_omnirt_says_what_it_means(self, tmp_path: Path) -> None:
        async with simulator() as endpoint:
            with pytest.raises(OmnirtError) as refused:
                async with omnirt_talk(tmp_path, endpoint.url):
                    pass
        assert refused.value.kind == "auth_failed"


class TestAHangingHandshake:
    """A server that never answers the handshake is a `TimeoutError` without words."""

    SCRIPT: dict[str, Any] = {"faults": [{"hang": True}]}  # noqa: RUF012 - a constant

    @driven
    async def test_bare_it_is_a_timeout(self) -> None:
        from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel

        model = OpenAIRealtimeWebSocketModel(transport_config={"handshake_timeout": 0.3})  # ten by itself
        async with simulator(self.SCRIPT) as endpoint:
            with pytest.raises(TimeoutError) as failed:
                await model.connect({"url": endpoint.url, "api_key": endpoint.token})
            assert "127.0.0.1" not in str(failed.value)

    @driven
    async def test_omnirt_says_who_does_not_answer(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link, "HANDSHAKE_S", 0.3)  # ten seconds for a host
        async with simulator(self.SCRIPT) as endpoint:
            settings = {
                "provider": "compatible",
                "openai_realtime_url": endpoint.url,
                "openai_api_key": endpoint.token,
            }
            with pytest.raises(OmnirtError) as failed:
                async with omnirt_talk(tmp_path, settings=settings):
                    pass
        assert failed.value.kind == "provider_unreachable"
        assert endpoint.url in failed.value.message


class TestAUrlOfTheWeb:
    """A URL of http is refused in an exception that quotes it, with the key in its query."""

    URL = "http://127.0.0.1:9/v1/realtime?api-key=sk-in-the-query"

    @driven
    async def test_bare_the_exception_has_the_key(self) -> None:
        from websockets.exceptions import InvalidURI

        with pytest.raises(InvalidURI, match="sk-in-the-query"):
            async with bare_talk(self.URL):
                pass

    @driven
    async def test_omnirt_refuses_it_without_the_key(self, tmp_path: Path) -> None:
        settings = {"provider": "compatible", "openai_realtime_url": self.URL}
        with pytest.raises(OmnirtError) as failed:
            async with omnirt_talk(tmp_path, settings=settings):
                pass
        assert failed.value.kind == "invalid_params"
        assert failed.value.facts["path"] == "$.settings.openai_realtime_url"
        assert "sk-in-the-query" not in failed.value.message + str(failed.value.data)


class TestAnErrorThatQuotesTheKey:
    """Some servers echo the key in their errors, and the SDK passes them on."""

    QUOTING = error(f"The key {KEY} may not do this.", event_id=None)

    @driven
    async def test_bare_it_is_passed_on(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.send(self.QUOTING)
            told: Any = await events.first(of_type("error"))
            assert KEY in told.error.message
            await events.stop()

    @driven
    async def test_omnirt_masks_it(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(self.QUOTING)
            told = await events.first(of(ev.RealtimeError))
            assert isinstance(told, ev.RealtimeError)
            assert "may not do this" in told.message
            assert KEY not in repr(told)
            await events.stop()


class TestAKeyRefusedByAClose:
    """Some servers let everyone in and close at once when the key is wrong: connected, then an exception."""

    @driven
    async def test_bare_it_was_a_success_before(self) -> None:
        from websockets.exceptions import ConnectionClosedError

        async with Provider.open(answers=False) as provider, bare_talk(provider.url) as session:
            events = Heard(session.__aiter__())
            await provider.expect("session.update")
            await provider.close(1008, "invalid_api_key")
            assert isinstance(await events.end(), ConnectionClosedError)

    @driven
    async def test_omnirt_tells_it_as_such(self, tmp_path: Path) -> None:
        async with Provider.open(answers=False) as provider:

            async def refuse() -> None:
                await provider.expect("session.update")
                await provider.close(1008, "invalid_api_key")

            refusing = asyncio.create_task(refuse())
            with pytest.raises(OmnirtError) as failed:
                async with omnirt_talk(tmp_path, provider.url):
                    pass
            await refusing
        assert failed.value.kind == "auth_failed"


class TestCompression:
    """Compression is offered, and costs more than all else that is done to audio."""

    @driven
    async def test_bare_it_is_offered(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url):
            assert "permessage-deflate" in provider.requests[0].headers["Sec-WebSocket-Extensions"]

    @driven
    async def test_omnirt_offers_none(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url):
            assert "Sec-WebSocket-Extensions" not in provider.requests[0].headers


class TestARedirect:
    """A redirect is followed, and takes the key along to wherever it points."""

    @driven
    async def test_bare_the_key_goes_elsewhere(self) -> None:
        async with Provider.open() as elsewhere, redirecting(elsewhere.url) as url:
            async with bare_talk(url, headers={"api-key": KEY}):
                pass
            assert elsewhere.requests[0].headers["api-key"] == KEY

    @driven
    async def test_omnirt_stays_where_it_was_sent(self, tmp_path: Path) -> None:
        async with Provider.open() as elsewhere, redirecting(elsewhere.url) as url:
            settings = {"openai_realtime_url": url, "headers": {"api-key": KEY}}
            with pytest.raises(OmnirtError) as refused:
                async with omnirt_talk(tmp_path, settings=settings):
                    pass
            assert refused.value.facts["reason"] == "redirect"
            assert elsewhere.requests == []


@asynccontextmanager
async def redirecting(to: str) -> AsyncIterator[str]:
    """The URL of a server that sends everyone elsewhere."""
    async with front(0) as server:
        server.answer = f"HTTP/1.1 307 Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()
        yield f"ws://127.0.0.1:{server.port}/v1/realtime"
