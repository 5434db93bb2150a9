"""HANDLERS: who serves which method."""

from __future__ import annotations

from collections.abc import Callable

from omnirt.methods import server, sessions

HANDLERS: dict[str, Callable[..., object]] = {
    "shutdown": server.shutdown,
    "rpc.discover": server.discover,
    "server.stats": server.stats,
    "session.start": sessions.start,
    "session.sendAudio": sessions.send_audio,
    "session.sendText": sessions.send_text,
    "session.sendMessage": sessions.send_message,
    "session.respond": sessions.respond,
    "session.clearAudio": sessions.clear_audio,
    "session.interrupt": sessions.interrupt,
    "session.playback": sessions.playback,
    "session.update": sessions.update,
    "session.wait": sessions.wait,
    "session.get": sessions.get,
    "session.list": sessions.list_,
    "session.stop": sessions.stop,
}
