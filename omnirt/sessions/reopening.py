"""Another connection for a talk that goes on: opened, and told what was said so far."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from omnirt.providers.endpoint import Endpoint
from omnirt.sessions import away
from omnirt.sessions.engine import Engine
from omnirt.sessions.inbox import AudioEntry, Entry, EventsEntry, Inbox
from omnirt.sessions.kept import Unsent
from omnirt.sessions.resume import Resumption
from omnirt.sessions.turns import Ask

if TYPE_CHECKING:
    from agents.realtime import RealtimeAgent

TAKEN_S = 1.0
"""How long it is waited for what the provider says of the talk that it is told."""


class Reopening:
    """Opens and restores connections of one session.

    Args:
        engine: Of the session.
        box: Its inputs: what was lost goes in front of them.
        before: What was stored of the session before this run.
        endpoint: Where to connect, with a key that is still good.
        agent: The active agent.
    """

    def __init__(
        self,
        engine: Engine,
        box: Inbox,
        before: Resumption,
        endpoint: Callable[[], Awaitable[Endpoint]],
        agent: Callable[[], RealtimeAgent[Any]],
    ) -> None:
        self._engine = engine
        self._box = box
        self._before = before
        self._endpoint = endpoint
        self._agent = agent

    async def reopen(self) -> None:
        """Open another connection and wait until the provider took the settings.

        Raises:
            OmnirtError: Why not.
        """
        endpoint = await self._endpoint()
        self._engine.begin()
        await self._engine.link.reopen(endpoint, away.used_ids(self._engine.talk))
        await self._engine.handshake.finish(endpoint)

    async def restore(self, unanswered: list[Ask]) -> bool:
        """Tell the model the talk so far, and put what was on its way in front of the inputs.

        Returns:
            Whether the model knows all of it.
        """
        engine, talk = self._engine, self._engine.talk
        await engine.link.update_agent(self._agent())
        assert engine.kept is not None, "what may be lost is kept, if the session goes on after a loss"
        unsent = engine.kept.take()
        away.forget_items(talk, unsent.item_ids, time.monotonic())
        items = away.told_items(talk)
        open_calls = {tool_call_id for tool_call_id, _ in talk.turns.tools} | _outputs(unsent.entries)
        seeds = talk.items.seeds
        await self._before.seed(engine.link, seeds, items, open_calls)
        limit = time.monotonic() + TAKEN_S
        while seeds.unanswered and time.monotonic() < limit:
            await engine.changed.wait(limit)
        self._box.again([*unsent.entries, *_asks(unanswered, unsent), *unsent.speech])
        unanswered.clear()
        dropped_ms = unsent.dropped_ms + self._box.take_refused_ms()
        if dropped_ms:
            talk.flow(time.monotonic(), "input", dropped_ms, 0, None, 0)
        return away.is_whole(items) and not dropped_ms and not seeds.lost


def _outputs(entries: Sequence[Entry]) -> set[str]:
    """The calls whose outputs are on their way."""
    events = [event for entry in entries if isinstance(entry, EventsEntry) for event in entry.events]
    items = [event.get("item", {}) for event in events]
    return {item["call_id"] for item in items if item.get("type") == "function_call_output"}


def _asks(unanswered: Sequence[Ask], unsent: Unsent) -> list[Entry]:
    """What is asked for again. A turn that is committed again asks by itself."""
    audio = [entry for entry in (*unsent.entries, *unsent.speech) if isinstance(entry, AudioEntry)]
    committed = any(entry.commit for entry in audio)
    plain = [ask for ask in unanswered if ask.instructions is None][:1]
    wanted = [ask for ask in unanswered if ask.instructions is not None] + ([] if committed else plain)
    return [EventsEntry([], ask=True, instructions=ask.instructions) for ask in wanted]
