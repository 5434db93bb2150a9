"""A private PulseAudio with a loudspeaker and a microphone that are files of nobody's: null sinks."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.programs import find_program, missing

WAIT_S = 15.0
RATE = 24_000
_LOUD = 300
"""Of 32768: above all rounding, and below all speech."""


class Pulse:
    """The server.

    Attributes:
        env: For programs that are to use it, as their default devices.
    """

    def __init__(self, env: dict[str, str], process: subprocess.Popen[bytes]) -> None:
        self.env = env
        self._process = process

    def say(self, pcm: bytes) -> None:
        """Put PCM16 at 24 kHz before the microphone, and return when it was said."""
        command = ["paplay", "--raw", "--device=voice", "--format=s16le", f"--rate={RATE}", "--channels=1"]
        subprocess.run(
            command, input=pcm, env={**os.environ, **self.env}, check=True, timeout=WAIT_S + len(pcm) / 48_000
        )

    def die(self) -> None:
        """All devices go away at once."""
        self._process.kill()
        self._process.wait(WAIT_S)

    @contextmanager
    def listening(self) -> Iterator[Ear]:
        """Hear what the loudspeaker plays."""
        command = ["parec", "--device=speaker.monitor", "--format=s16le", f"--rate={RATE}", "--channels=1"]
        process = subprocess.Popen(
            [*command, "--latency-msec=20"], env={**os.environ, **self.env}, stdout=subprocess.PIPE
        )
        ear = Ear(process)
        try:
            yield ear
        finally:
            process.terminate()
            process.wait(WAIT_S)
            ear.thread.join(WAIT_S)


class Ear:
    """What was heard so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._data = bytearray()
        self._fd = process.stdout.fileno()
        self._process = process
        self.thread = threading.Thread(target=self._read)
        self.thread.start()
        until(lambda: bool(self._data), "the monitor")

    def heard(self) -> NDArray[np.int16]:
        """All of it, as samples."""
        return np.frombuffer(bytes(self._data[: len(self._data) // 2 * 2]), "<i2")

    def loud_ms(self) -> float:
        """From the first sound to the last."""
        loud = np.flatnonzero(np.abs(self.heard().astype("int32")) > _LOUD)
        return 0.0 if not len(loud) else float(loud[-1] - loud[0]) * 1000 / RATE

    def has(self, pcm: bytes) -> bool:
        """Whether this was among it, sample by sample but for the volume."""
        wanted, heard = np.frombuffer(pcm, "<i2").astype("float64"), self.heard().astype("float64")
        if len(heard) < len(wanted):
            return False
        size = 1 << (len(heard) + len(wanted)).bit_length()
        spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
        best = int(np.argmax(np.fft.irfft(spectrum, size)[: len(heard) - len(wanted) + 1]))
        there = heard[best : best + len(wanted)]
        norm = float(np.linalg.norm(there) * np.linalg.norm(wanted))
        return norm > 0 and float(there @ wanted) / norm > 0.9

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            while data := os.read(self._fd, 1 << 14):
                self._data += data


def until(condition: object, what: str) -> None:
    """Return when it holds."""
    assert callable(condition)
    limit = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < limit, f"{what} did not come"
        time.sleep(0.01)


@contextmanager
def pulse(folder: Path) -> Iterator[Pulse]:
    """Run a server; without the programs the test is skipped, but never in CI."""
    programs = [find_program(name) for name in ("pulseaudio", "paplay", "parec")]
    try:
        import sounddevice  # noqa: F401 - it looks for PortAudio as it is imported
    except (ImportError, OSError):
        missing("sounddevice or PortAudio is not installed")
    socket = folder / "native"
    sinks = [f"module-null-sink sink_name={name} rate={RATE} norewinds=1" for name in ("speaker", "voice")]
    # Without `norewinds` a null sink takes two seconds at once, where a sound card takes milliseconds.
    modules = [*sinks, f"module-native-protocol-unix socket={socket} auth-anonymous=1"]
    env = {
        "XDG_RUNTIME_DIR": str(folder),
        "HOME": str(folder),
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_SINK": "speaker",
        "PULSE_SOURCE": "voice.monitor",
    }
    command = [programs[0], "--exit-idle-time=-1", "-n", "--daemonize=no", "--use-pid-file=no"]
    process = subprocess.Popen(
        [*command, *(f"--load={module}" for module in modules)],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(socket.exists, "PulseAudio")
        yield Pulse(env, process)
    finally:
        process.terminate()
        process.wait(WAIT_S)
