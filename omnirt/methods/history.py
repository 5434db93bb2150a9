"""Handlers of `history.*` and `audio.*`: what is stored, read and deleted beside the live sessions."""

from __future__ import annotations

from omnirt.methods.app import Context
from omnirt.protocol import methods as m
from omnirt.storage.archive import Archive


def _archive(ctx: Context) -> Archive:
    return ctx.app.registry.services.storage.archive


async def list_(ctx: Context, params: m.HistoryListParams) -> m.HistoryListResult:
    """A page of the stored sessions."""
    return await _archive(ctx).list(params)


async def get(ctx: Context, params: m.HistoryGetParams) -> m.HistoryGetResult:
    """A page of one session."""
    return await _archive(ctx).get(params)


async def delete(ctx: Context, params: m.HistoryDeleteParams) -> m.HistoryDeleteResult:
    """Delete a session that is not live."""
    return await _archive(ctx).delete(params)


async def read_audio(ctx: Context, params: m.AudioReadParams) -> m.AudioReadResult:
    """A stretch of a recording."""
    return await _archive(ctx).read_audio(params)


async def export_audio(ctx: Context, params: m.AudioExportParams) -> m.AudioExportResult:
    """Write an item or a conversation into a file."""
    return await _archive(ctx).export_audio(params)
