"""What a session borrows: agents, storage, the simulator's server, the loaded SDK, and calls to the host."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from omnirt.importing import beside_a_loop
from omnirt.providers.settings import ConnectionSettings
from omnirt.sessions.approvals import HostCaller
from omnirt.specs.load import AgentLibrary
from omnirt.specs.python_tools import PythonTools
from omnirt.storage import AudioStorage
from omnirt.storage.keeper import Keeper

if TYPE_CHECKING:
    from omnirt.loopback import LoopbackEndpoint, LoopbackServer, SimulatorProfile
    from omnirt.loopback.local.models import Tell
    from omnirt.loopback.local.options import LocalOptions
    from omnirt.loopback.local.provider import LocalProvider


class SdkLoader:
    """Imports the voice SDK once, in a thread, so that the loop goes on answering.

    What was imported is frozen: later full collections cost 5 ms instead of 183.
    """

    def __init__(self) -> None:
        self._loading: asyncio.Future[None] | None = None

    def start(self) -> asyncio.Future[None]:
        """Begin to import, at once and only once; again when it failed."""
        if self._loading is None:
            loop = asyncio.get_running_loop()
            self._loading = loop.create_future()
            # A daemon thread: an import in its midst must not hold up the end of the process.
            threading.Thread(target=self._import, args=(loop, self._loading), daemon=True).start()
        return self._loading

    async def load(self) -> None:
        """Return when the SDK is there."""
        await asyncio.shield(self.start())

    def _import(self, loop: asyncio.AbstractEventLoop, loading: asyncio.Future[None]) -> None:
        problem: Exception | None = None
        with beside_a_loop():
            try:
                from omnirt.sessions.quiet_model import warm_up

                warm_up()
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                problem = error
            gc.freeze()

        def tell() -> None:
            if problem is None:
                loading.set_result(None)
            else:
                self._loading = None  # whoever needs it next tries again: descriptors may be there then
                loading.set_exception(problem)  # a fault: the log has it, and the host the log's id
                loading.exception()

        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            pass  # the loop is closed: nobody waits


class Locals:
    """The provider `local` of a daemon, begun (and imported) when the first session wants it."""

    def __init__(self) -> None:
        self._provider: LocalProvider | None = None

    async def open(self, options: LocalOptions, tell: Tell) -> LoopbackEndpoint:
        """An endpoint of its own for one session."""
        if self._provider is None:
            from omnirt.loopback.local.provider import LocalProvider

            self._provider = LocalProvider()
        return await self._provider.open(options, tell)

    def release(self, endpoint: LoopbackEndpoint) -> None:
        """The session is over."""
        if self._provider is not None:
            self._provider.release(endpoint)

    async def close(self) -> None:
        """Stop the models."""
        if self._provider is not None:
            provider, self._provider = self._provider, None
            await provider.close()


class Simulators:
    """The one loopback server of a daemon, started when the first session wants it."""

    def __init__(self) -> None:
        self._server: LoopbackServer | None = None
        self._lock = asyncio.Lock()

    async def open(self, profile: SimulatorProfile) -> LoopbackEndpoint:
        """An endpoint of its own for one session."""
        from omnirt.loopback import LoopbackServer

        async with self._lock:
            if self._server is None:
                server = LoopbackServer()
                await server.__aenter__()
                self._server = server
        return self._server.open(profile)

    def release(self, endpoint: LoopbackEndpoint) -> None:
        """The session is over."""
        if self._server is not None:
            self._server.close(endpoint)

    async def close(self) -> None:
        """Stop the server."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.__aexit__(None, None, None)


@dataclass
class Services:
    """Shared by all sessions of one daemon, or made for one session used on its own."""

    storage: AudioStorage
    library: AgentLibrary = field(default_factory=lambda: AgentLibrary([]))
    simulators: Simulators = field(default_factory=Simulators)
    local: Locals = field(default_factory=Locals)
    sdk: SdkLoader = field(default_factory=SdkLoader)
    python: PythonTools = field(default_factory=PythonTools)
    config: Callable[[], ConnectionSettings] = ConnectionSettings
    """Reads the configuration file; asked at every start, so that a change needs no restart."""
    learn_secrets: Callable[..., None] = lambda *secrets: None
    """Told the secrets of each endpoint, for the log to hide."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    tell_user: Callable[[str, str], None] = lambda level, message: None
    """Tells the user something: a level of `log.message`, and the words."""
    call_host: HostCaller | None = None
    answers_tools: Callable[[], bool] = lambda: True
    """Whether `call_host` gets answers: without them host tools are `agent_invalid`."""
    answers_approvals: Callable[[], bool] = lambda: True
    """The same for `tool.approve`: without them the agent's `approval_policy` decides."""

    keeper: Keeper | None = None
    """What keeps the storage within its bounds."""

    @classmethod
    def standalone(cls, data_dir: Path | None, environ: Mapping[str, str]) -> Services:
        """For one session in a program of its own."""
        return cls(storage=AudioStorage(data_dir), environ=environ)

    async def close(self) -> None:
        """Stop the server and the Python tools, flush the storage."""
        self.python.close()
        if self.keeper is not None:
            self.keeper.close()
        await self.simulators.close()
        await self.local.close()
        await self.storage.close()


def wall_time() -> str:
    """Now, RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
