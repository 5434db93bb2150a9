"""The provider that some sessions of the soak talk to: a server that is restarted now and then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from omnirt.loopback import LoopbackServer, SimulatorProfile, load_script
from tests.soak.life import SCRIPT, Tally

SPEED = 20
UP_S = (3.0, 9.0)
DOWN_S = (0.0, 1.0)


@asynccontextmanager
async def restarted_provider(rng: random.Random, tally: Tally) -> AsyncIterator[dict[str, Any]]:
    """The settings with which a session finds it; it comes back at the same address after each restart."""
    server = LoopbackServer()
    async with server:
        endpoint = server.open(SimulatorProfile(script=load_script(SCRIPT), speed=SPEED))

    async def work() -> None:
        while True:
            async with server:
                await asyncio.sleep(rng.uniform(*UP_S))
            tally["restarts of the provider"] += 1
            await asyncio.sleep(rng.uniform(*DOWN_S))

    working = asyncio.create_task(work())
    try:
        yield {"provider": "compatible", "openai_realtime_url": endpoint.url, "api_key": endpoint.token}
    finally:
        working.cancel()
        await asyncio.wait([working])
        if not working.cancelled() and (failure := working.exception()) is not None:
            raise failure
