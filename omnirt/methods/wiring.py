"""Makes the registry of a daemon from its settings: agents, storage, configuration, calls to the host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omnirt.methods.app import Host
from omnirt.sessions.registry import Registry
from omnirt.sessions.services import Services
from omnirt.settings import ServeSettings
from omnirt.specs.load import AgentLibrary
from omnirt.storage import AudioStorage
from omnirt.storage.paths import default_config_dir


def make_registry(settings: ServeSettings, host: Host, environ: Mapping[str, str]) -> Registry:
    """The registry of one daemon."""
    folders: list[Path] = [default_config_dir() / "agents"] if settings.agents is None else [settings.agents]
    services = Services(
        storage=AudioStorage(settings.data_dir),
        library=AgentLibrary(folders),
        environ=environ,
        call_host=host.call,
        answers_tools=lambda: host.answers_tools,
    )
    return Registry(services)
