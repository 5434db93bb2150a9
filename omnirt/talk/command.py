"""The command `omnirt talk`: its flags, who answers, and how it ended."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET

from omnirt.client import Client, DaemonGone, Session
from omnirt.demo.provider import choose
from omnirt.devices.portaudio import Device, Side, listed
from omnirt.errors import OmnirtError
from omnirt.protocol.methods import SessionStartParams, SessionStopResult
from omnirt.protocol.types import Devices, ProviderName
from omnirt.talk.conversation import Talk
from omnirt.talk.keyboard import Keyboard
from omnirt.talk.view import View, make_view
from omnirt.terminal import Help, examples, fail, write_json, write_rows

AGENT: dict[str, object] = {
    "name": "companion",
    "instructions": "You are a friendly companion. Be brief, and ask back when something is unclear.",
}
PROVIDERS = list(msgspec.json.schema(ProviderName)["enum"])
_SIDES: tuple[Side, Side] = ("input", "output")
KEYS = "Type and press Enter to write; Enter or Space alone interrupts; Ctrl-C ends."
PUSH_KEYS = "Space opens the microphone, and sends; type and press Enter to write; Enter alone interrupts."


def run(argv: Sequence[str]) -> int:
    """Talks; 0 when it ended as the person wanted, 1 when something else ended it."""
    options = _parser().parse_args(argv)
    if options.list_devices:
        try:
            return _list_devices(as_json=options.json)
        except OmnirtError as error:
            return fail("omnirt talk", error.kind, error.message, as_json=options.json)
    view = make_view(as_json=options.json)
    try:
        return asyncio.run(_talk(options, view))
    except (OmnirtError, DaemonGone) as error:
        view.close()
        kind = error.kind if isinstance(error, OmnirtError) else "internal"
        return fail("omnirt talk", kind, str(error), as_json=options.json)
    except KeyboardInterrupt:
        return 130
    finally:
        view.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omnirt talk",
        formatter_class=Help,
        description="Talks with an agent, in a terminal: by voice, with the microphone and the loudspeaker of"
        " this machine, or in text.",
        epilog=examples(
            "omnirt talk                                    # with whoever your key or this machine has",
            "omnirt talk --provider local                   # on this machine, with no key and no network",
            "omnirt talk concierge --agents agents/",
            "omnirt talk agents/concierge.yaml --text",
            "echo 'What can you do?' | omnirt talk --text --json",
        ),
    )
    parser.add_argument("agent", nargs="?", help="a name, or a file (default: a companion without tools)")
    parser.add_argument("--agents", type=Path, metavar="DIR", help="where agents are found by name")
    parser.add_argument(
        "--provider", choices=PROVIDERS, help="who answers (default: as configured, else here)"
    )
    parser.add_argument("--text", action="store_true", help="write and read; needs no audio device")
    parser.add_argument(
        "--record", choices=("assistant", "both", "none"), help="what is kept (default: assistant)"
    )
    parser.add_argument("--input", metavar="DEVICE", help="the microphone: a name, a part of it, or a number")
    parser.add_argument("--output", metavar="DEVICE", help="the loudspeaker, likewise")
    parser.add_argument("--list-devices", action="store_true", help="list them and end")
    parser.add_argument("--headset", action="store_true", help="the microphone can't hear the loudspeaker")
    parser.add_argument("--push-to-talk", action="store_true", help="Space opens the microphone, and sends")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where it is kept")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument("--json", action="store_true", help="notifications, or devices, as JSON lines")
    return parser


async def _talk(options: argparse.Namespace, view: View) -> int:
    agent, folder = _agent(options.agent, options.agents)
    flags = [("--agents", folder), ("--data-dir", options.data_dir), ("--config", options.config)]
    args = [part for flag, value in flags if value is not None for part in (flag, str(value))]
    keyboard = Keyboard()
    client = Client(
        args=["--log-level", "error", *args], name="omnirt talk", opt_out_notifications=["realtime.audio"]
    )
    talk = Talk(client, view, push=options.push_to_talk)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    async with client:
        session = await _start(talk, view, options, agent)  # an interrupt cancels it
        loop.add_signal_handler(signal.SIGINT, talk.quit)
        stopped = await talk.hold(session, keyboard)
    _sum_up(view, stopped)
    return 0 if stopped.reason == "stopped" else 1


async def _start(
    talk: Talk, view: View, options: argparse.Namespace, agent: str | dict[str, object]
) -> Session:
    """The session; in text where there is no sound, with a provider of this machine without another."""
    params = _params(options, agent, by_voice=not options.text)
    while True:
        try:
            session = await talk.start(params)
            break
        except OmnirtError as error:
            if error.kind == "device_failed" and not (options.input or options.output):
                view.say("host", "text", f"{error.message} So the talk is in text, as with --text.")
                params = _params(options, agent, by_voice=False, settings=params.settings)
            elif error.kind == "endpoint_unresolved" and params.settings is None:
                provider, notice = choose(None, fast=False)
                view.say("host", "provider", notice or "There is no key, so this machine answers by itself.")
                params = msgspec.structs.replace(params, settings={"provider": provider})
            else:
                raise
    talk.by_voice = params.devices is not None
    said = session.started
    keys = PUSH_KEYS if talk.by_voice and options.push_to_talk else KEYS
    view.say("host", "connected", f"{said.agent} on {said.provider} ({said.model}). {keys}")
    if said.devices is not UNSET:
        view.say("host", "devices", f"microphone {said.devices.input}, loudspeaker {said.devices.output}")
    return session


def _params(
    options: argparse.Namespace,
    agent: str | dict[str, object],
    *,
    by_voice: bool,
    settings: dict[str, object] | None = None,
) -> SessionStartParams:
    if settings is None and options.provider is not None:
        settings = {"provider": options.provider}
    params = SessionStartParams(agent=agent, record=options.record, settings=settings)
    if not by_voice:
        return msgspec.structs.replace(params, realtime={"modalities": ["text"]})
    devices = Devices(
        input=_device(options.input),
        output=_device(options.output),
        duplex="full" if options.headset or options.push_to_talk else "half",
    )
    realtime = {"turn_detection": None} if options.push_to_talk else None
    return msgspec.structs.replace(params, devices=devices, realtime=realtime)


def _device(given: str | None) -> str | int:
    return "default" if given is None else int(given) if given.isdecimal() else given


def _list_devices(*, as_json: bool) -> int:
    devices = listed()
    if not devices:
        sys.stderr.write("There is no audio device on this machine that PortAudio knows of.\n")
    if as_json:
        write_json({"devices": [_facts(device) for device in devices]})
        return 0
    rows = [
        (
            str(device.index),
            device.name,
            *("default" if side in device.default else "yes" if device.has(side) else "" for side in _SIDES),
            f"{device.rate} Hz",
        )
        for device in devices
    ]
    if rows:
        write_rows(("number", "name", "input", "output", "rate"), rows)
    return 0


def _facts(device: Device) -> dict[str, object]:
    return {
        "number": device.index,
        "name": device.name,
        "input": device.has("input"),
        "output": device.has("output"),
        "default": [side for side in _SIDES if side in device.default],
        "rate": device.rate,
    }


def _agent(given: str | None, folder: Path | None) -> tuple[str | dict[str, object], Path | None]:
    """The agent as `session.start` takes it, and the folder where the daemon finds it."""
    if given is None:
        return dict(AGENT), folder
    path = Path(given)
    if not path.suffix or not path.is_file():
        return given, folder
    from omnirt.specs.load import AgentLibrary

    return AgentLibrary([]).resolve(path).spec.name, folder or path.absolute().parent


def _sum_up(view: View, stopped: SessionStopResult) -> None:
    tokens = stopped.usage.total_tokens
    told = f"ended after {stopped.duration_ms / 1000:.0f} s" + (
        "" if tokens is UNSET else f", {tokens} tokens"
    )
    why = "" if stopped.reason == "stopped" else f" ({stopped.reason})"
    view.say("host", "ended", told + why)
