"""Handlers of `history.*` and `audio.*`: what is stored, read and deleted beside the live sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from omnirt.methods.app import Context
from omnirt.protocol.types import Params, Result
from omnirt.storage.archive import Archive

P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)


def asking(question: Callable[[Archive, P], Awaitable[R]]) -> Callable[[Context, P], Awaitable[R]]:
    """The handler that puts a question to what is stored."""

    async def handler(ctx: Context, params: P) -> R:
        storage = ctx.app.registry.services.storage
        await storage.settle()  # with all that the host was told of before it asked
        return await question(storage.archive, params)

    return handler
