"""HANDLERS: who serves which method."""

from __future__ import annotations

from collections.abc import Callable

from omnirt.methods import agents, history, server, sessions

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
    "agent.list": agents.list_,
    "agent.validate": agents.validate,
    "history.list": history.list_,
    "history.get": history.get,
    "history.delete": history.delete,
    "audio.read": history.read_audio,
    "audio.export": history.export_audio,
}
