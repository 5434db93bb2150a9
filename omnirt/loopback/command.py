"""`omnirt simulate`: the simulator as a server of its own, for any realtime client."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from omnirt.errors import OmnirtError
from omnirt.loopback.reading import load_script
from omnirt.loopback.server import LoopbackServer
from omnirt.loopback.simulator import SimulatorProfile
from omnirt.loopback.speech import find_synthesiser
from omnirt.terminal import Help, examples, write_json


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omnirt simulate",
        description="Serve a simulated realtime voice provider on the loopback interface, until Ctrl-C.",
        epilog=examples(
            "omnirt simulate", "omnirt simulate --port 8765 --token secret --script script.yaml --json"
        ),
        formatter_class=Help,
    )
    parser.add_argument("--port", type=int, default=0, help="the port (default: a free one)")
    parser.add_argument("--script", metavar="FILE", help="what it says: YAML or JSON, see docs/SIMULATOR.md")
    parser.add_argument("--token", help="the key that clients must send (default: a random one)")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than life (default: 1)")
    parser.add_argument("--json", action="store_true", help="say where it listens for programs")
    return parser


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code: 0 after Ctrl-C, 2 for wrong arguments or a wrong script.
    """
    arguments = _parser().parse_args(argv)
    try:
        script = load_script(arguments.script) if arguments.script else None
        asyncio.run(_serve(SimulatorProfile(script, arguments.speed), arguments))
    except OmnirtError as error:
        where = " ".join(f"{error.facts[name]}" for name in ("file", "path") if name in error.facts)
        sys.stderr.write(f"omnirt simulate: {where}{': ' if where else ''}{error.message}\n")
        return 2
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"omnirt simulate: can't listen on port {arguments.port}: {error}\n")
        return 2
    return 0


async def _serve(profile: SimulatorProfile, arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with LoopbackServer(port=arguments.port) as server:
        endpoint = server.open(profile, token=arguments.token)
        facts = {
            "url": endpoint.url,
            "baseUrl": endpoint.url.removesuffix("/realtime"),
            "key": endpoint.token,
            "script": (profile.script.name or "unnamed") if profile.script else "small talk",
            "voice": "recordings and espeak-ng" if find_synthesiser() else "recordings, no espeak-ng",
        }
        if arguments.json:
            write_json(facts)
        else:
            _tell(facts)
        sys.stdout.flush()
        await stop.wait()


def _tell(facts: dict[str, str]) -> None:
    sys.stdout.write(
        f"The simulator listens on {facts['url']}\n"
        + "".join(f"  {name:<7} {facts[name]}\n" for name in ("key", "script", "voice"))
        + f"For the OpenAI SDKs: base URL {facts['baseUrl']}, this key, any model.\n"
    )
