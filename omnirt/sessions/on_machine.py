"""Endpoints that a session opens for itself on this machine: the simulator and the local provider."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from omnirt.errors import OmnirtError
from omnirt.importing import make_ready
from omnirt.providers.endpoint import Endpoint
from omnirt.providers.local import LocalSettings
from omnirt.sessions.services import Services

if TYPE_CHECKING:
    from omnirt.loopback import LoopbackEndpoint, Script
    from omnirt.loopback.local.options import LocalOptions, Service

_log = logging.getLogger("omnirt.sessions")
_NO_CHAT = (
    "No chat service is set (`settings.local.chat_base_url`): the agent follows its script, "
    "or repeats what it hears."
)


async def open_here(endpoint: Endpoint, services: Services, stack: AsyncExitStack) -> Endpoint:
    """The endpoint with the URL and key of a provider of its own, released with the stack.

    Raises:
        OmnirtError: The script is none, with its path below `$.settings`; or something has to be installed.
    """
    await make_ready("omnirt.loopback")
    if endpoint.provider == "simulator":
        from omnirt.loopback import SimulatorProfile

        wanted = endpoint.simulator
        script = await _script(wanted.script, "simulator")
        loopback = await services.simulators.open(SimulatorProfile(script, wanted.speed))
        stack.callback(services.simulators.release, loopback)
    else:
        loopback = await _open_local(endpoint.local, services)
        stack.callback(services.local.release, loopback)
    return msgspec.structs.replace(
        endpoint,
        url=f"{loopback.url}?{urlencode({'model': endpoint.model})}",
        headers={"Authorization": f"Bearer {loopback.token}"},
        secrets=(*endpoint.secrets, loopback.token),
    )


async def _open_local(settings: LocalSettings, services: Services) -> LoopbackEndpoint:
    def tell(level: str, words: str) -> None:
        _log.log(logging.getLevelNamesMapping()[level.upper()], "%s", words)
        services.tell_user(level, words)

    if settings.chat_base_url is None:
        tell("info", _NO_CHAT)
    return await services.local.open(_options(settings, await _script(settings.script, "local")), tell)


def _options(settings: LocalSettings, script: Script | None) -> LocalOptions:
    from omnirt.loopback.local.options import LocalOptions, Service

    def service(url: str | None, model: str | None, key: str | None) -> Service | None:
        return None if url is None or model is None else Service(url.strip(), model, key)

    s = settings
    return LocalOptions(
        script=script,
        chat=service(s.chat_base_url, s.chat_model, s.chat_api_key),
        transcription=service(s.transcription_base_url, s.transcription_model, s.transcription_api_key),
        speech=service(s.speech_base_url, s.speech_model, s.speech_api_key),
        voice=s.voice,
        timeout_s=s.service_timeout_s,
        detector=s.detector,
        synthesiser=s.synthesiser,
        model_dir=s.model_dir,
        model_size=s.model_size,
        download=s.download,
    )


async def _script(source: str | dict[str, Any] | None, group: str) -> Script | None:
    """The script of a group of settings; reading and checking one takes the disk, and a while."""
    from omnirt.loopback import load_script

    if source is None:
        return None
    try:
        script = await asyncio.to_thread(load_script, source, speaks_all=group == "local")
    except OmnirtError as error:
        path = error.facts.get("path")
        if isinstance(path, str):
            error.facts["path"] = f"$.settings.{group}.script{path.removeprefix('$')}"
        raise
    if group == "local" and script.hears:
        words = "The provider `local` hears what is said: leave `hears` out."
        raise OmnirtError("invalid_params", words, path="$.settings.local.script.hears")
    return script
