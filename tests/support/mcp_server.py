"""A real MCP server for tests: `python -m tests.support.mcp_server stdio|http|sse`, and its faults."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import MCPServer

server = MCPServer("test server")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool(name="files.read")
def read(path: str) -> str:
    """Has a name that no provider takes."""
    return f"contents of {path}"


@server.tool()
def fail(reason: str) -> str:
    """Fails."""
    raise ValueError(reason)


@server.tool()
async def slow(seconds: float) -> str:
    """Takes its time."""
    with anyio.move_on_after(seconds):
        await anyio.sleep_forever()
    return f"after {seconds} s"


@server.tool()
def die() -> str:
    """Ends the server in the middle of the call."""
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


@server.tool()
def variable(name: str) -> str:
    """A variable of its environment."""
    return os.environ.get(name, "(not set)")


@server.tool()
def pids() -> dict[str, int]:
    """The processes: the server, and a grandchild that ignores all that can be ignored."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"],
        stdin=subprocess.DEVNULL,
    )
    return {"server": os.getpid(), "child": child.pid}


@server.tool()
def say(text: str) -> str:
    """Writes to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    return "said"


def misbehave(fault: str) -> None:
    """What a server can do instead of serving."""
    match fault:
        case "exit":
            sys.stderr.write("no license found\n")
            sys.exit(3)
        case "hang":
            sys.stdin.read()
            threading.Event().wait()
        case "garbage":
            sys.stdout.write("hello\n{}\n[1, 2\n" * 20)
            sys.stdout.flush()
            threading.Event().wait()
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


class Auth:
    """Wants a bearer token."""

    def __init__(self, app: Any, token: str) -> None:
        self._app, self._token = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"authorization") != self._token:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"who are you"})
            return
        await self._app(scope, receive, send)


def serve(transport: str, port_file: Path, port: int, token: str | None) -> None:
    """Serve over HTTP, and write the port where the test looks for it."""
    import socket

    import uvicorn

    app: Any = server.streamable_http_app() if transport == "http" else server.sse_app()
    if token is not None:
        app = Auth(app, token)
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    port_file.with_suffix(".new").write_text(str(listener.getsockname()[1]))
    port_file.with_suffix(".new").rename(port_file)
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=["stdio", "http", "sse"])
    parser.add_argument("--fault", default="")
    parser.add_argument("--port-file", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token")
    options = parser.parse_args()
    misbehave(options.fault)
    if options.transport == "stdio":
        server.run("stdio")
        if options.fault == "deaf":
            threading.Event().wait()
    else:
        serve(options.transport, options.port_file, options.port, options.token)


if __name__ == "__main__":
    main()
