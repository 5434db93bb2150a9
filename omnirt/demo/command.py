"""The command `omnirt demo`: its flags, its verdict, and where it left what."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from omnirt.client import Client, DaemonGone
from omnirt.demo.conversation import Conversation, Result, register_weather
from omnirt.demo.events import Timeline
from omnirt.demo.provider import Provider, choose
from omnirt.demo.verdict import verdict
from omnirt.demo.view import View, make_view
from omnirt.errors import OmnirtError
from omnirt.terminal import Help, examples

FAST = 20.0


def run(argv: Sequence[str]) -> int:
    """Runs the demo; 0 when the conversation really happened, 1 when it did not."""
    parser = argparse.ArgumentParser(
        prog="omnirt demo",
        description="Spawns the daemon as a host would and holds a voice conversation with it, offline: "
        "a spoken question, a tool call, an answer that is interrupted, and a goodbye.",
        epilog=examples("omnirt demo", "omnirt demo --fast", "omnirt demo --fast --json --data-dir data"),
        formatter_class=Help,
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of the timeline")
    parser.add_argument("--fast", action="store_true", help=f"{FAST:g} times faster than real time, for CI")
    parser.add_argument(
        "--provider",
        choices=("local", "simulator"),
        help="who answers (default: the local provider where it is installed, the simulator with --fast)",
    )
    parser.add_argument(
        "--data-dir", type=Path, help="where the audio stays (default: $OMNIRT_DATA_DIR or ./demo-data)"
    )
    options = parser.parse_args(argv)
    logging.getLogger("omnirt").addHandler(logging.NullHandler())  # what happens is told in the timeline
    view = make_view(options.json)
    try:
        data_dir = _data_dir(options.data_dir)
        if options.provider == "local" and options.fast:
            parser.error("the local provider really hears and speaks, and can't be hurried")
        chosen = choose(options.provider, fast=options.fast)
        return asyncio.run(_demo(view, data_dir, FAST if options.fast else 1.0, *chosen))
    except BrokenPipeError:  # whoever read the output has seen enough, as in `omnirt demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains at its end
        return 1
    except OSError as error:
        print(f"omnirt demo: cannot use the data directory: {error.strerror}", file=sys.stderr)  # noqa: T201 - a command talks to its user
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        view.close()


async def _demo(view: View, data_dir: Path, speed: float, provider: Provider, notice: str | None) -> int:
    timeline = Timeline(view)
    if notice is not None:
        timeline.add("host", "provider", notice)
    log_path = data_dir / "daemon.log"
    problem: Exception
    try:
        with log_path.open("wb") as log:
            result, code = await _talk(timeline, view, data_dir, log, speed, provider)
        return verdict(timeline, result, code)
    except (OmnirtError, DaemonGone) as error:
        problem = error
    except ExceptionGroup as group:
        problem = _first(group)
    timeline.add("host", "failed", f"{problem} The daemon's log is {log_path}.", ok=False)
    return 1


async def _talk(
    timeline: Timeline, view: View, data_dir: Path, log: IO[bytes], speed: float, provider: Provider
) -> tuple[Result, int | None]:
    """The whole life of the daemon: what was said, and its exit code."""
    client = Client(args=["--data-dir", str(data_dir)], stderr=log, name="omnirt demo")
    register_weather(client, timeline)
    began = time.monotonic()
    async with client:
        assert client.server is not None
        timeline.add(
            "host",
            "spawned",
            f"omnirt {client.server.server_info.version} runs as process {client.pid}: initialize",
            latency_ms=(time.monotonic() - began) * 1000,
            pid=client.pid,
        )
        session_id = f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        result = await Conversation(client, timeline, view, speed, provider).hold(session_id)
    return result, client.returncode


def _first(group: BaseExceptionGroup[BaseException]) -> Exception:
    """What went wrong: a fault of the demo itself is raised as it is."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OmnirtError | DaemonGone):
        return error
    raise error


def _data_dir(given: Path | None) -> Path:
    """The folder, made if need be: `./demo-data`, or a temporary one where that cannot be written."""
    if given is None and os.environ.get("OMNIRT_DATA_DIR"):
        given = Path(os.environ["OMNIRT_DATA_DIR"])
    chosen = (given or Path("demo-data")).absolute()
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        if not os.access(chosen, os.W_OK):
            raise PermissionError(errno.EACCES, "it cannot be written")
    except OSError:
        if given is not None:
            raise
        return Path(tempfile.mkdtemp(prefix="omnirt-demo-"))
    return chosen
