"""HANDLERS: who serves which method."""

from __future__ import annotations

from collections.abc import Callable

from omnirt.methods import agents, server, sessions
from omnirt.methods.history import asking
from omnirt.methods.sessions import in_turn
from omnirt.storage.archive import Archive

HANDLERS: dict[str, Callable[..., object]] = {
    "shutdown": server.shutdown,
    "rpc.discover": server.discover,
    "server.stats": server.stats,
    "session.start": in_turn(sessions.start),
    "session.sendAudio": in_turn(sessions.send_audio, ordered=True),
    "session.sendText": in_turn(sessions.send_text, ordered=True),
    "session.sendMessage": in_turn(sessions.send_message, ordered=True),
    "session.respond": in_turn(sessions.respond, ordered=True),
    "session.clearAudio": in_turn(sessions.clear_audio, ordered=True),
    "session.interrupt": in_turn(sessions.interrupt),
    "session.playback": in_turn(sessions.playback),
    "session.update": in_turn(sessions.update, ordered=True),
    "session.wait": in_turn(sessions.wait, ordered=True),
    "session.get": in_turn(sessions.get),
    "session.list": sessions.list_,
    "session.stop": in_turn(sessions.stop),
    "agent.list": agents.list_,
    "agent.validate": agents.validate,
    "history.list": asking(Archive.list),
    "history.get": asking(Archive.get),
    "history.delete": asking(Archive.delete),
    "audio.read": asking(Archive.read_audio),
    "audio.export": asking(Archive.export_audio),
}
