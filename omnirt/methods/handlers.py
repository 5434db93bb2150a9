"""HANDLERS: who serves which method."""

from __future__ import annotations

from collections.abc import Callable

from omnirt.methods import server

HANDLERS: dict[str, Callable[..., object]] = {
    "shutdown": server.shutdown,
    "rpc.discover": server.discover,
    "server.stats": server.stats,
}
