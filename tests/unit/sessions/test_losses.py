"""What an error of the provider's means for the session: the end, the reason of an end, or neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.providers.endpoint import resolve
from omnirt.sessions import engine
from omnirt.sessions.link import refusal
from omnirt.sessions.losses import unusable
from tests.support import provider_events as pe
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.talks import KEY, Heard, of, omnirt_talk


def refused(error: Any) -> OmnirtError:
    return refusal(error, resolve({"provider": "simulator"}, None, {}))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "invalid_api_key"}, "auth_failed"),
        ({"code": "invalid_api_key", "event_id": "omnirt_create_1"}, "auth_failed"),
        ({"type": "authentication_error", "code": None}, "auth_failed"),
        ({"code": "account_deactivated"}, "auth_failed"),
        ({"code": 401}, "auth_failed"),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, "provider_error"),
        ({"code": "insufficient_quota", "event_id": "omnirt_create_1"}, None),
        ({"type": "permission_error"}, None),
        ({"code": "rate_limit_exceeded"}, None),
        ({"code": "content_policy_violation"}, None),
        ({"code": ["odd"], "type": {}}, None),
        ({}, None),
    ],
)
def test_an_error_event_ends_the_session_when_nothing_works_any_more(error: Any, kind: str | None) -> None:
    end = unusable(error, refused)
    assert (end.kind if end is not None else None) == kind


async def causes(provider: Provider, tmp_path: Path) -> list[str]:
    """Why a session connects again, or how it ends, when it is closed behind an error about content."""
    settings = {"provider": "compatible", "openai_realtime_url": provider.url, "openai_api_key": KEY}
    async with omnirt_talk(tmp_path, settings=settings) as session:
        events: Heard[Any] = Heard(session.stream_events())
        await provider.send(pe.error("Mind your words.", event_id=None, code="content_policy_violation"))
        await events.first(of(ev.RealtimeError))
        await provider.close(1000)
        await events.first(lambda e: getattr(e, "state", "") in ("reconnecting", "closing"))
    return [str(e.cause) for e in events.events if getattr(e, "state", "") == "reconnecting"]


@driven
async def test_an_error_is_the_reason_of_a_close_that_follows_it(tmp_path: Path) -> None:
    async with Provider.open() as provider:
        assert await causes(provider, tmp_path) == []


@driven
async def test_but_not_of_one_long_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "EXPLAINS_S", 0.0)
    async with Provider.open() as provider:
        assert await causes(provider, tmp_path) == ["connectionLost"]
