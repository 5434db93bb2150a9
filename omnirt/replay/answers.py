"""What a replayed daemon answers by itself: what may come at any time, and so is not taken from the tape."""

from __future__ import annotations

from typing import get_args

from omnirt import __version__
from omnirt.protocol.calls import CALLS
from omnirt.protocol.events import EVENTS
from omnirt.protocol.methods import METHODS
from omnirt.protocol.types import PROTOCOL_VERSION, ProviderName
from omnirt.replay.matching import method_of
from omnirt.tapes.patterns import Json


def own_answer(message: Json) -> Json:
    """The reply to a request; None when nobody waits for one."""
    if not isinstance(message, dict) or "id" not in message or "method" not in message:
        return None
    result: Json = {}
    if method_of(message) == "initialize":
        result = _hello()
    elif method_of(message) == "session.sendAudio":
        result = {"acceptedMs": 0, "queuedMs": 0}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def _hello() -> Json:
    """An answer to `initialize` for a tape that begins later."""
    methods: list[Json] = [*METHODS]
    notifications: list[Json] = [*EVENTS]
    calls: list[Json] = [*CALLS]
    providers: list[Json] = [*get_args(ProviderName)]
    names: Json = {"methods": methods, "notifications": notifications, "calls": calls, "providers": providers}
    limits: Json = {
        "maxMessageBytes": 16 * 1024 * 1024,
        "maxSessions": 256,
        "inputQueueMs": 120_000,
        "outputQueueBytes": 32 * 1024 * 1024,
    }
    server: Json = {"name": "omnirt", "version": __version__}
    return {
        "protocolVersion": PROTOCOL_VERSION,
        "serverInfo": server,
        "capabilities": names,
        "limits": limits,
    }
