"""Whether a session has devices of the daemon's machine (`device_sink`), and what follows from it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from omnirt.errors import OmnirtError
from omnirt.protocol.types import Devices, DevicesInUse
from omnirt.sessions.device_sink import DeviceSink, Hear
from omnirt.sessions.sink import EventSink

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from omnirt.sessions.engine import Engine
    from omnirt.sessions.plan import Plan


def with_devices(sink: EventSink, devices: Devices | None, plan: Plan) -> EventSink:
    """The sink, with devices if any are wanted."""
    if devices is None or (devices.input is None and devices.output is None):
        return sink
    return DeviceSink(sink, devices, plan)


async def open_devices(sink: EventSink, stack: AsyncExitStack) -> None:
    """Open them if there are any; they are closed with the stack."""
    if isinstance(sink, DeviceSink):
        stack.push_async_callback(sink.close)
        await sink.open()


def run_devices(sink: EventSink, group: TaskGroup, engine: Engine, hear: Hear) -> None:
    """Let them run while the session lives, if there are any."""
    if isinstance(sink, DeviceSink):
        group.start_soon(sink.work, engine, hear)


def host_hears(sink: EventSink, audio: bytes) -> None:
    """Refuse a host's audio where the daemon has the microphone.

    Raises:
        OmnirtError: `session_state`.
    """
    if audio and isinstance(sink, DeviceSink) and sink.wanted.input is not None:
        message = "This session hears a microphone of the daemon's (`devices.input`); it takes no other."
        raise OmnirtError("session_state", message)


def host_plays(sink: EventSink) -> None:
    """Refuse a host's positions where the daemon has the loudspeaker.

    Raises:
        OmnirtError: `session_state`.
    """
    if isinstance(sink, DeviceSink) and sink.wanted.output is not None:
        message = "The daemon plays this session itself (`devices.output`), and knows the position."
        raise OmnirtError("session_state", message)


def device_names(sink: EventSink) -> DevicesInUse | UnsetType:
    """The devices that were found, for the reply to the start."""
    return sink.names() if isinstance(sink, DeviceSink) else UNSET
