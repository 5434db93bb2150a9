"""The provider `simulator`: a WebSocket server on 127.0.0.1 that speaks the provider's realtime protocol.

`conversation` is the sans-IO core, `server` the shell around it; scripts and faults are described in
docs/SIMULATOR.md.
"""

from __future__ import annotations

from omnirt.loopback.reading import load_script
from omnirt.loopback.script import Script
from omnirt.loopback.server import LoopbackEndpoint, LoopbackServer
from omnirt.loopback.simulator import SimulatorProfile

__all__ = ["LoopbackEndpoint", "LoopbackServer", "Script", "SimulatorProfile", "load_script"]
