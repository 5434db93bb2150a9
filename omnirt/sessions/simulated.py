"""Endpoints that a session opens for itself: the simulator of its daemon."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlencode

import msgspec

from omnirt.errors import OmnirtError
from omnirt.loopback import Script, SimulatorProfile, load_script
from omnirt.providers.endpoint import Endpoint
from omnirt.sessions.services import Simulators


async def open_simulator(endpoint: Endpoint, simulators: Simulators, stack: AsyncExitStack) -> Endpoint:
    """The endpoint with the URL and key of a simulated provider of its own, released with the stack.

    Raises:
        OmnirtError: The script is not one, with its path below `$.settings.simulator.script`.
    """
    wanted = endpoint.simulator
    # Reading and checking a script takes the disk, and a while.
    script = None if wanted.script is None else await asyncio.to_thread(_load_script, wanted.script)
    loopback = await simulators.open(SimulatorProfile(script, wanted.speed))
    stack.callback(simulators.release, loopback)
    return msgspec.structs.replace(
        endpoint,
        url=f"{loopback.url}?{urlencode({'model': endpoint.model})}",
        headers={"Authorization": f"Bearer {loopback.token}"},
        secrets=(loopback.token,),
    )


def _load_script(source: str | dict[str, Any]) -> Script:
    try:
        return load_script(source)
    except OmnirtError as error:
        path = error.facts.get("path")
        if isinstance(path, str):
            error.facts["path"] = f"$.settings.simulator.script{path.removeprefix('$')}"
        raise
