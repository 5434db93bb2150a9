"""What a local session is made with: which parts, and which services in their place."""

from __future__ import annotations

from typing import Literal

import msgspec

from omnirt.loopback.script import Script


class Service(msgspec.Struct, frozen=True):
    """A service with the usual HTTP API: its base URL (up to `/v1`), the model, and a key if it wants one."""

    base_url: str
    model: str
    api_key: str | None = None

    def __repr__(self) -> str:
        """Without the key, and without a URL that may hold one."""
        return f"Service({self.model!r})"


class LocalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one session hears, thinks and speaks.

    Attributes:
        script: Rules for the answers when there is no chat service.
        chat: Where answers come from.
        transcription: A service in place of the speech recognition on this machine.
        speech: A service in place of the voice on this machine.
        voice: The voice, by the name that the service or the synthesiser has for it.
        timeout_s: For how long a service may say nothing.
        detector: Silero's model, or the simulator's noise floor; `auto` takes the first that is there.
        synthesiser: hibari, or espeak-ng; `auto` takes the first that is there.
        model_dir: A folder with the weights for the speech recognition.
        model_size: Which architecture those are of.
        download: Whether weights that are not here may be fetched.
    """

    script: Script | None = None
    chat: Service | None = None
    transcription: Service | None = None
    speech: Service | None = None
    voice: str | None = None
    timeout_s: float = 60.0
    detector: Literal["auto", "silero", "floor"] = "auto"
    synthesiser: Literal["auto", "hibari", "espeak-ng"] = "auto"
    model_dir: str | None = None
    model_size: Literal["tiny", "base"] = "tiny"
    download: bool = False
