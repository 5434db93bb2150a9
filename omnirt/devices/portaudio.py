"""The one place that knows sounddevice: finds devices, opens streams of PCM16, says why one can't be used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from omnirt.errors import OmnirtError

Side = Literal["input", "output"]
Which = str | int
"""A name, or a part of it; a number; or "default"."""

BLOCK_MS = 20
LATENCY_S = 0.05
"""What the system may keep of the sound: less breaks up on a busy machine."""
WORDS: Mapping[Side, str] = {"input": "microphone", "output": "loudspeaker"}


@dataclass(frozen=True)
class Device:
    """What PortAudio knows."""

    index: int
    name: str
    inputs: int
    outputs: int
    rate: int
    default: frozenset[Side]

    def has(self, side: Side) -> bool:
        """Whether it records, or plays."""
        return (self.inputs if side == "input" else self.outputs) > 0


@dataclass(frozen=True)
class Stream:
    """An open stream, not running yet; `raw` is sounddevice's."""

    raw: Any
    name: str
    rate: int

    def start(self) -> None:
        """Run: from now on the callback is called.

        Raises:
            OmnirtError: `device_failed`.
        """
        with _explained(self.name):
            self.raw.start()

    def close(self) -> None:
        """Stop at once; what was not played is not."""
        with _explained(self.name):
            self.raw.abort(ignore_errors=True)
            self.raw.close(ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether it still is; not, where PortAudio does not know."""
        try:
            with _explained(self.name):
                return bool(self.raw.active)
        except OmnirtError:
            return False

    @property
    def now(self) -> float:
        """By the clock of its callback's times, in seconds; long ago, where PortAudio does not know."""
        try:
            with _explained(self.name):
                return float(self.raw.time)
        except OmnirtError:
            return float("-inf")


def listed() -> list[Device]:
    """The devices of this machine, as they were when it was first asked. Blocks; call it in a thread.

    Raises:
        OmnirtError: `device_failed` where sounddevice or PortAudio is missing.
    """
    library = _library()
    with _explained("sound"):
        found = library.query_devices()
        default = dict(zip(("input", "output"), library.default.device, strict=True))
    sides: tuple[Side, ...] = ("input", "output")
    return [
        Device(
            index,
            str(entry["name"]),
            int(entry["max_input_channels"]),
            int(entry["max_output_channels"]),
            round(entry["default_samplerate"]),
            frozenset(side for side in sides if default[side] == index),
        )
        for index, entry in enumerate(found)
    ]


def find(which: Which, side: Side, devices: list[Device]) -> Device:
    """The device that is meant: a name counts as a whole first, then as a part, in any case.

    Raises:
        OmnirtError: `device_failed`, which names those that there are.
    """
    able = [device for device in devices if device.has(side)]
    if which == "default":
        chosen = [device for device in able if side in device.default] or able[:1]
    elif isinstance(which, int):
        chosen = [device for device in able if device.index == which]
    else:
        chosen = [device for device in able if device.name.casefold() == which.casefold()]
        chosen = chosen or [device for device in able if which.casefold() in device.name.casefold()]
    if chosen:
        return chosen[0]
    if not able:
        raise _failed(side, f"There is no {WORDS[side]} on this machine that PortAudio knows of.")
    there = ", ".join(f"{device.index} {device.name!r}" for device in able)
    raise _failed(side, f"There is no {WORDS[side]} {which!r} here; there are: {there}.")


def opened(which: Which, side: Side, rate: int, callback: Callable[..., None]) -> Stream:
    """A stream at the rate, or at the device's own. Blocks; call it in a thread.

    Args:
        which: Of the devices.
        side: What it is for.
        rate: The one that is wanted, in Hz.
        callback: sounddevice's, of a raw stream: called in a thread of PortAudio's.

    Raises:
        OmnirtError: `device_failed`.
    """
    device = find(which, side, listed())
    library = _library()
    check = library.check_input_settings if side == "input" else library.check_output_settings
    make = library.RawInputStream if side == "input" else library.RawOutputStream
    form = {"device": device.index, "channels": 1, "dtype": "int16"}
    with _explained(device.name, side):
        try:
            check(samplerate=rate, **form)
        except library.PortAudioError:
            rate = device.rate
        raw = make(
            samplerate=rate,
            blocksize=rate * BLOCK_MS // 1000,
            latency=LATENCY_S,
            callback=callback,
            **form,
        )
    return Stream(raw, device.name, rate)


def _library() -> ModuleType:
    try:
        import sounddevice
    except ImportError:
        message = "Sound needs the package sounddevice: pip install 'omnirt-daemon[devices]'."
        raise OmnirtError("device_failed", message) from None
    except OSError:
        message = "Sound needs PortAudio, which is not installed (on Debian: apt install libportaudio2)."
        raise OmnirtError("device_failed", message) from None
    library: ModuleType = sounddevice
    return library


@contextlib.contextmanager
def _explained(name: str, side: Side | None = None) -> Iterator[None]:
    """Makes of PortAudio's errors one that says which device it was."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "PortAudioError":
            raise
        what = str(error.args[0]) if error.args else "no reason was given"
        busy = " Another program may have it." if "unavailable" in what.lower() else ""
        raise _failed(side, f"The device {name!r} can't be used: {what}.{busy}") from None


def _failed(side: Side | None, message: str) -> OmnirtError:
    if side is None:
        return OmnirtError("device_failed", message)
    return OmnirtError("device_failed", message, path=f"$.devices.{side}")
