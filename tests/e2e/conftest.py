"""One daemon for all tests of a module: its start takes seconds, a session only milliseconds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.host import Host


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The daemon is an asyncio program, and so are its tests."""
    return "asyncio"


@pytest.fixture(scope="module")
async def serving(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """A daemon and its host, for the module."""
    async with Host.spawn(tmp_path_factory.mktemp("data"), measured=True) as host:
        yield host


@pytest.fixture
async def host(serving: Host) -> AsyncIterator[Host]:
    """The module's host; its sessions end with the test, and the transcript is checked."""
    yield serving
    await serving.settle()
