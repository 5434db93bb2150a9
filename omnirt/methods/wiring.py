"""Makes the registry of a daemon from its settings: agents, storage, configuration, calls to the host."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from omnirt.methods.app import Host
from omnirt.providers.config import load_config
from omnirt.providers.redaction import SecretFilter, environment_secrets
from omnirt.sessions.registry import Registry
from omnirt.sessions.services import Services
from omnirt.settings import ServeSettings
from omnirt.specs.load import AgentLibrary
from omnirt.storage import AudioStorage
from omnirt.storage.keeper import Keeper
from omnirt.storage.paths import default_config_dir

if TYPE_CHECKING:
    from omnirt.storage.retention import Policy


def make_registry(settings: ServeSettings, host: Host, environ: Mapping[str, str]) -> Registry:
    """The registry of one daemon; from here on its logs hide the secrets that sessions resolve."""
    secrets = SecretFilter(environment_secrets(environ))
    for handler in logging.getLogger().handlers:
        handler.addFilter(secrets)
    folders = [default_config_dir() / "agents"]
    if settings.agents is not None:
        folders.insert(0, settings.agents)
    storage = AudioStorage(settings.data_dir)

    def policy() -> Policy:
        from omnirt.storage.retention import Policy  # brings sqlite3, in the thread that asks

        config = load_config(settings.config, default_config_dir())
        return Policy(config.retention_days, config.max_bytes)

    services = Services(
        storage=storage,
        keeper=Keeper(storage.archive, policy),
        library=AgentLibrary(folders, allow_code=not settings.no_code),
        config=lambda: load_config(settings.config, default_config_dir()),
        environ=environ,
        learn_secrets=secrets.add,
        tell_user=host.log_message,
        call_host=host.call,
        answers_tools=lambda: host.answers_tools,
        answers_approvals=lambda: host.answers_approvals,
    )
    return Registry(services)
