"""A session with a microphone or a loudspeaker of the daemon's own machine, in place of the host's.

What it hears goes upstream as if a host had sent it; what the agent says is played besides being told, and
how far it was played is reported as a host would. A device that goes away ends nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from omnirt.devices.microphone import Microphone
from omnirt.devices.player import Player
from omnirt.devices.portaudio import WORDS, Side, Stream, Which, opened
from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.types import Devices, DevicesInUse, Event
from omnirt.resampling import Resampler, encoded, linear, load
from omnirt.sessions.sink import EventSink
from omnirt.specs.threads import apart

if TYPE_CHECKING:
    from omnirt.sessions.engine import Engine
    from omnirt.sessions.plan import Plan

log = logging.getLogger(__name__)

LOOK_S = 0.03
"""How often the position of the loudspeaker is taken."""
TAIL_S = 0.3
"""For so long after its end the agent's voice may still be in the room."""
GONE_S = 2.0
"""A device that calls back no more for so long is gone."""

Hear = Callable[[bytes, int], Awaitable[None]]
"""Takes audio of the session's input format, and its length in ms."""


class DeviceSink:
    """A sink that also plays, and the microphone beside it.

    Args:
        sink: Where the session's events go.
        devices: What the host asked for.
        plan: Of the session.

    Attributes:
        wanted: What the host asked for, without what is gone for good: there the host may take over.
    """

    def __init__(self, sink: EventSink, devices: Devices, plan: Plan) -> None:
        self.wanted = devices
        self._sink = sink
        self._plan = plan
        self._streams: dict[Side, Stream] = {}
        self._player: Player | None = None
        self._voices: dict[tuple[str, int], Resampler] = {}
        self._microphone: Microphone | None = None
        self._ears: Resampler | None = None
        self._closed = False

    # -- the sink ----------------------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Play audio, and pass it on."""
        match event:
            case ev.RealtimeAudio():
                if not self._play(event):
                    self._sink.put(_dropped(event))
            case ev.RealtimeAudioEnd():
                self._played_out((event.item_id, event.content_index))
            case _:
                pass
        self._sink.put(event)

    def interrupt(self, item_ids: Collection[str], events: Sequence[Event]) -> None:
        """Fall silent, and pass it on."""
        if self._player is not None:
            self._player.drop(item_ids)
            self._voices = {key: voice for key, voice in self._voices.items() if key[0] not in item_ids}
        self._sink.interrupt(item_ids, events)

    def unsent_ms(self, item_id: str, content_index: int) -> int:
        """What is played here needs no host that reads."""
        return self._sink.unsent_ms(item_id, content_index) if self.wanted.output is None else 0

    @property
    def dropped_ms(self) -> int:
        """Of the sink behind."""
        return self._sink.dropped_ms

    async def flushed(self) -> None:
        """Of the sink behind."""
        await self._sink.flushed()

    def queued_bytes(self) -> int:
        """Of the sink behind."""
        return self._sink.queued_bytes()

    # -- the devices -------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the devices; they don't run yet.

        Raises:
            OmnirtError: `device_failed`.
        """
        if self.wanted.input is not None:
            await self._open("input", self.wanted.input)
        if self.wanted.output is not None:
            await self._open("output", self.wanted.output)

    async def close(self) -> None:
        """Stop what runs."""
        self._closed = True
        for side in list(self._streams):
            await apart(self._streams.pop(side).close)

    async def _open(self, side: Side, which: Which) -> None:
        audio = self._plan.input if side == "input" else self._plan.output
        callback: Callable[..., None]
        if side == "input":
            # The one that is listened to, if a device takes the place of another.
            microphone = self._microphone = self._microphone or Microphone()
            callback = partial(_heard, microphone)
        else:
            # It is told its rate below, before it is asked for anything.
            player = self._player = Player(audio.sample_rate)
            callback = partial(_filled, player)
        stream = await apart(partial(opened, which, side, audio.sample_rate, callback))
        self._streams[side] = stream
        if self._closed:
            await self.close()
            return
        if stream.rate != audio.sample_rate:
            await apart(load)
        if self._player is not None and side == "output":
            self._player.rate = stream.rate
            self._voices.clear()
        elif side == "input":
            same = stream.rate == audio.sample_rate
            self._ears = None if same else Resampler("pcm16", stream.rate, audio.sample_rate)

    def _play(self, event: ev.RealtimeAudio) -> bool:
        stream = self._streams.get("output")
        if stream is None or self._player is None:
            return True
        key, audio = (event.item_id, event.content_index), self._plan.output
        pcm = linear(event.audio, audio.format)
        if stream.rate != audio.sample_rate:
            if key not in self._voices:
                self._voices[key] = Resampler("pcm16", audio.sample_rate, stream.rate)
            pcm = self._voices[key].convert(pcm)
        return self._player.put(key, pcm, event.offset_ms)

    def _played_out(self, key: tuple[str, int]) -> None:
        voice = self._voices.pop(key, None)
        if self._player is not None:
            if voice is not None:
                self._player.put(key, voice.flush())
            self._player.ended(key)

    # -- while the session lives -------------------------------------------------------------------------

    async def work(self, engine: Engine, hear: Hear) -> None:
        """Run the devices until cancelled."""
        engine.look_at_player = partial(self._look, engine)
        for stream in self._streams.values():
            try:
                await apart(stream.start)
            except OmnirtError as error:  # one that does not run is replaced below
                log.debug("a device does not start: %s", error.message)
        tasks = [self._watch(engine, side) for side in list(self._streams)]
        if self._microphone is not None:
            tasks.append(self._listen(engine, self._microphone, hear))
        if self._player is not None:
            tasks.append(self._look_again(engine))
        await asyncio.gather(*tasks)

    async def _listen(self, engine: Engine, microphone: Microphone, hear: Hear) -> None:
        audio = self._plan.input
        while True:
            pcm = await microphone.next()
            if self._ears is not None:
                pcm = self._ears.convert(pcm)
            if self._is_guarded(engine):
                pcm = bytes(len(pcm))
            await hear(encoded(pcm, audio.format), len(pcm) // 2 * 1000 // audio.sample_rate)
            lost_ms = microphone.take_lost_ms()
            if lost_ms:
                engine.talk.flow(time.monotonic(), "input", lost_ms, 0, None, 0)
                engine.carry_out()

    def _is_guarded(self, engine: Engine) -> bool:
        """Whether the microphone would hear the agent."""
        if self.wanted.duplex == "full":
            return False
        stream = self._streams.get("output")
        if stream is not None and self._player is not None:
            return self._player.is_sounding(stream.now, TAIL_S)
        playback, now = engine.talk.playback, time.monotonic()
        return any(playback.is_open(part, now) for part in playback.unsettled())

    async def _look_again(self, engine: Engine) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._look(engine)

    def _look(self, engine: Engine) -> None:
        """Report how far the loudspeaker is."""
        stream = self._streams.get("output")
        if self._player is not None and stream is not None:
            for (item_id, content_index), played_ms in self._player.positions(stream.now).items():
                engine.playback(item_id, content_index, played_ms)

    async def _watch(self, engine: Engine, side: Side) -> None:
        """A device that goes away is told, and the default takes its place if it can."""
        called, since = -1, time.monotonic()
        while True:
            await asyncio.sleep(GONE_S / 4)
            party: Any = self._microphone if side == "input" else self._player
            stream, now = self._streams.get(side), time.monotonic()
            if stream is None:
                return
            if party.called != called:
                called, since = party.called, now
            if stream.running and now - since < GONE_S:
                continue
            await self._replace(engine, side, stream)
            called, since = -1, time.monotonic()

    async def _replace(self, engine: Engine, side: Side, lost: Stream) -> None:
        self._streams.pop(side, None)
        await apart(lost.close)
        told = f"The {WORDS[side]} {lost.name!r} is gone"
        try:
            await self._open(side, "default")
            await apart(self._streams[side].start)
            told += f"; {self._streams[side].name!r} takes its place."
        except OmnirtError:
            self._streams.pop(side, None)
            self.wanted = replace(self.wanted, **{side: None})
            if side == "output":
                self._player = None
            told += "; the session goes on without one, and the host may take its place."
        engine.talk.error(time.monotonic(), "device_failed", told)
        engine.carry_out()

    def names(self) -> DevicesInUse:
        """What was found for what was asked for."""
        names = {side: stream.name for side, stream in self._streams.items()}
        return DevicesInUse(**names, duplex=self.wanted.duplex or "half")


def _heard(microphone: Microphone, data: Any, _frames: int, _times: object, _status: object) -> None:
    microphone.hear(bytes(data))


def _filled(player: Player, out: Any, _frames: int, times: Any, _status: object) -> None:
    heard_at_s = max(float(times.outputBufferDacTime), float(times.currentTime))
    out[:] = player.fill(len(out), heard_at_s)


def _dropped(audio: ev.RealtimeAudio) -> ev.RealtimeFlow:
    return ev.RealtimeFlow(
        session_id=audio.session_id,
        run_id=audio.run_id,
        at_ms=audio.at_ms,
        direction="output",
        lost=False,
        dropped_ms=audio.delta_ms,
        queued_bytes=0,
        item_id=audio.item_id,
        from_ms=audio.offset_ms,
    )
