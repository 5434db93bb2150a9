"""The hosts of providers, for tests: the simulator behind their names, over TLS and a proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnirt.loopback import LoopbackServer, SimulatorProfile, load_script
from tests.support.network import Authority, Recorder, connect_proxy, front

KEY = "sk-disguise-0123456789abcdef"
EPHEMERAL = "ek_disguise_0123456789abcdef"
HOSTS = (
    "api.openai.com",
    "res.openai.azure.com",
    "res.services.ai.azure.com",
    "res.cognitiveservices.azure.com",
    "compatible.test",
)
NO_SETTINGS = dict.fromkeys(
    (
        *("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_REALTIME_URL"),
        *("OPENAI_REALTIME_BASE_URL", "AZURE_OPENAI_ENDPOINT", "OPENAI_REALTIME_MODEL", "HEADERS"),
    ),
    "",
)
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "WSS_PROXY", "WS_PROXY", "SOCKS_PROXY")


def through(proxy: str, *, variable: str = "HTTPS_PROXY", spared: str = "") -> dict[str, str]:
    """An environment with one proxy and no other, whatever the machine has; the lower case would win."""
    names = dict.fromkeys(PROXIES, "") | {variable: proxy, "NO_PROXY": spared}
    return names | {name.lower(): value for name, value in names.items()}


@dataclass
class Internet:
    """Where it is.

    Args:
        authority: Vouches for all hosts.
        front: What all hosts are; has the heads of all requests.
        proxy: The way to them.
    """

    authority: Authority
    front: Recorder
    proxy: Recorder

    @property
    def env(self) -> dict[str, str]:
        """For a daemon that lives in it."""
        proxies = through(f"http://127.0.0.1:{self.proxy.port}")
        return {**NO_SETTINGS, **proxies, "SSL_CERT_FILE": str(self.authority.file)}


@asynccontextmanager
async def internet(folder: Path, scripts: Mapping[str, Any] | None = None) -> AsyncIterator[Internet]:
    """Runs one; `scripts` says what the simulator does for which key, besides the two that always work."""
    authority = Authority(folder)
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(LoopbackServer())
        for key, document in {KEY: {}, EPHEMERAL: {}, **(scripts or {})}.items():
            script = load_script(document) if document else None
            port = _port(simulator.open(SimulatorProfile(script, 20), token=key).url)
        behind = await stack.enter_async_context(front(port, authority.context(*HOSTS)))
        routes = dict.fromkeys(HOSTS, behind.port)
        proxy = await stack.enter_async_context(connect_proxy(routes))
        yield Internet(authority, behind, proxy)


def _port(url: str) -> int:
    return int(url.split("/")[2].rpartition(":")[2])
