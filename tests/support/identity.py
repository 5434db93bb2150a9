"""A token service for tests: what Azure gives the programs that run on it, on the loopback interface."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "entra-token-0123456789abcdef"


@dataclass
class TokenService:
    """What it was asked, and what it answers.

    Args:
        status: Of its answers.
        hold: Set to let answers go; they wait for it.
    """

    port: int = 0
    status: int = 200
    asked: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    @property
    def env(self) -> dict[str, str]:
        """Makes azure-identity ask here, and nobody else."""
        return {
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.port}/token",
            "IDENTITY_HEADER": "identity-header-canary",
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        }

    def resources(self) -> list[str]:
        """For what a token was asked."""
        return [parse_qs(urlsplit(target).query)["resource"][0] for target in self.asked]


@contextmanager
def token_service() -> Iterator[TokenService]:
    """Runs one, in a thread."""
    service = TokenService()
    service.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.append(self.path)
            service.hold.wait(20)
            expires = str(int(time.time()) + 3600)
            body = {"access_token": TOKEN, "expires_on": expires, "resource": "r", "token_type": "Bearer"}
            data = json.dumps(body if service.status == 200 else {"statusCode": service.status}).encode()
            self.send_response(service.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.hold.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
