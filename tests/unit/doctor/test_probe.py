"""The doctor's connection to servers that are silent, refuse, or end it."""

from __future__ import annotations

import asyncio

import pytest

from omnirt.doctor import probe as probing
from omnirt.doctor.findings import Findings
from omnirt.providers.endpoint import resolve
from tests.support import provider_events as events
from tests.support.daemon import driven
from tests.support.provider import Provider

KEY = "sk-canary-0815"


async def found(provider: Provider) -> dict[str, tuple[str, str]]:
    """What the doctor finds of each step."""
    settings = {"provider": "openai", "openai_realtime_url": provider.url, "api_key": KEY}
    findings = Findings()
    await probing.probe(resolve(settings, {}, {}), findings)
    assert "canary" not in str(findings.document())
    return {check.name: (check.status, check.detail) for check in findings.checks}


@driven
async def test_a_silent_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "ANSWER_S", 0.05)
    async with Provider.open(answers=False) as provider:
        steps = await found(provider)
    assert steps["handshake"][0] == "ok"
    assert steps["session"] == ("fail", "no answer within 0.05 s")
    assert "settings" not in steps


@pytest.mark.parametrize(
    ("code", "says"), [("invalid_api_key", "refuses the key"), ("invalid_value", "error: No *** here")]
)
def test_an_error_is_told_in_the_servers_words(code: str, says: str) -> None:
    @driven
    async def run() -> None:
        refusal = events.error(f"No {KEY} here", event_id=None, code=code)
        async with Provider.open(answers=False) as provider:
            steps, _ = await asyncio.gather(found(provider), provider.send("[]", refusal))
        status, detail = steps["session"]
        assert status == "fail"
        assert says in detail

    run()


@driven
async def test_a_frame_that_is_no_json_fails_without_its_words() -> None:
    async with Provider.open(answers=False) as provider:
        steps, _ = await asyncio.gather(found(provider), provider.send(f"not json {KEY}"))
    assert steps["session"][0] == "fail"
