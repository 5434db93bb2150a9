"""The limits of a session, as a host meets them."""

from __future__ import annotations

from pathlib import Path

from tests.support.daemon import driven
from tests.support.host import Host, says


@driven
async def test_each_limit_warns_and_then_ends_its_session_and_no_other(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        long = await host.start()
        timed = await host.start(limits={"maxMinutes": 0.01})
        idle = await host.start(limits={"idleMinutes": 0.01, "maxMinutes": 60})
        spent = await host.start(limits={"maxTotalTokens": 1}, script=says("heard"))
        await spent.ask("sendText", text="Hello")
        for talk, name in ((timed, "maxMinutes"), (idle, "idleMinutes"), (spent, "maxTotalTokens")):
            closed = await talk.event("closed")
            assert closed["reason"] == "limit"
            assert closed["error"]["kind"] == "session_limit"
            assert name in closed["error"]["message"]
            errors = talk.of("error", kind="session_limit")
            assert errors[-1]["fatal"] is True
            if talk is not spent:  # one token is past nine tenths and all at once
                assert errors[0]["fatal"] is False
                assert name in errors[0]["message"]
        assert (await long.ask("get"))["state"] == "listening"


@driven
async def test_limits_that_are_none_are_refused(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        for limits, path in (
            ({"maxMinutes": 0}, "$.limits.maxMinutes"),
            ({"idleMinutes": -1}, "$.limits.idleMinutes"),
            ({"maxTotalTokens": 1.5}, "$.limits.maxTotalTokens"),
            ({"maxSeconds": 3}, "$.limits.maxSeconds"),
        ):
            _, request_id = host.begin(limits=limits)
            error = (await host.reply(request_id))["error"]
            assert (error["data"]["kind"], error["data"]["path"]) == ("invalid_params", path)
