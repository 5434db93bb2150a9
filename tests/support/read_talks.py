"""Conversations whose events are read as they come, bare and through omnirt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from omnirt.protocol.types import Event
from omnirt.sessions.session import RealtimeSession
from tests.support.provider import Provider
from tests.support.talks import Heard, bare_talk, omnirt_talk

LONG_MS = 10_000
"""Audio that no test plays to its end."""


@asynccontextmanager
async def bare(**config: Any) -> AsyncIterator[tuple[Provider, Any, Heard[Any]]]:
    """A bare session whose events are read."""
    async with Provider.open() as provider, bare_talk(provider.url, **config) as session:
        events: Heard[Any] = Heard(session.__aiter__())
        await events.first(lambda e: "session.updated" in repr(e))
        yield provider, session, events
        await events.stop()


@asynccontextmanager
async def ours(
    folder: Path, realtime: Mapping[str, Any] | None = None
) -> AsyncIterator[tuple[Provider, RealtimeSession, Heard[Event]]]:
    """An omnirt session whose events are read."""
    async with Provider.open() as provider, omnirt_talk(folder, provider.url, realtime=realtime) as session:
        events: Heard[Event] = Heard(session.stream_events())
        yield provider, session, events
        await events.stop()


async def settled(provider: Provider, session: Any) -> None:
    """Return when the provider has all that the client sent before this."""
    if isinstance(session, RealtimeSession):
        await session.send_text("mark", respond=False)
    else:
        await session.send_message("mark")
    await provider.expect("conversation.item.create")
