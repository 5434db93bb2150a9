"""Handlers of `history.*` and `audio.*`: what is stored, read and deleted beside the live sessions."""

from __future__ import annotations

from omnirt.methods.app import Context
from omnirt.protocol import methods as m
from omnirt.storage.archive import Archive


async def _archive(ctx: Context) -> Archive:
    """What is stored, with all that the host was told of before it asked."""
    storage = ctx.app.registry.services.storage
    await storage.settle()
    return storage.archive


async def list_(ctx: Context, params: m.HistoryListParams) -> m.HistoryListResult:
    """A page of the stored sessions."""
    archive = await _archive(ctx)
    return await archive.list(params)


async def get(ctx: Context, params: m.HistoryGetParams) -> m.HistoryGetResult:
    """A page of one session."""
    archive = await _archive(ctx)
    return await archive.get(params)


async def delete(ctx: Context, params: m.HistoryDeleteParams) -> m.HistoryDeleteResult:
    """Delete a session that is not live."""
    archive = await _archive(ctx)
    return await archive.delete(params)


async def read_audio(ctx: Context, params: m.AudioReadParams) -> m.AudioReadResult:
    """A stretch of a recording."""
    archive = await _archive(ctx)
    return await archive.read_audio(params)


async def export_audio(ctx: Context, params: m.AudioExportParams) -> m.AudioExportResult:
    """Write an item or a conversation into a file."""
    archive = await _archive(ctx)
    return await archive.export_audio(params)
