"""What a host is told when the network, TLS or a foreign server stands in the way."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import websockets

from omnirt.errors import OmnirtError
from omnirt.providers.connect_errors import explain
from omnirt.providers.endpoint import resolve
from tests.unit.providers.connecting import checked, connect, endpoint_at, silent

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def over_tcp(handler: Handler, *, scheme: str = "ws", open_timeout: float = 5) -> OmnirtError:
    """What a host is told when a bare TCP server does what `handler` does."""

    async def run() -> OmnirtError:
        ended = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await handler(reader, writer)
            writer.close()
            ended.set()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            error = await connect(endpoint_at(port, scheme=scheme), open_timeout=open_timeout)
            await asyncio.wait_for(ended.wait(), 5)
        return error

    return asyncio.run(run())


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)


async def _hang_up_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def _talk_smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail ready\r\n")
    await writer.drain()
    await reader.read()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass


async def _wrong_upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize(
    ("handler", "scheme", "timeout", "reason", "retryable"),
    [
        (_hang_up, "ws", 5, "closed", True),
        (_hang_up_at_once, "ws", 5, "closed", True),
        (_talk_smtp, "ws", 5, "handshake", False),
        (_wrong_upgrade, "ws", 5, "handshake", False),
        (_talk_smtp, "wss", 5, "tls", False),
        (_say_nothing, "ws", 0.2, "timeout", True),
    ],
)
def test_a_server_that_is_no_provider_is_unreachable_with_the_reason(
    handler: Handler, scheme: str, timeout: float, reason: str, retryable: bool
) -> None:
    error = over_tcp(handler, scheme=scheme, open_timeout=timeout)
    assert (error.kind, error.facts["reason"]) == ("provider_unreachable", reason)
    assert error.retryable is retryable
    assert "127.0.0.1" in error.message


def test_a_refused_connection_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets the port
        error = asyncio.run(connect(endpoint_at(taken.getsockname()[1])))
    assert (error.facts["reason"], error.retryable) == ("refused", True)


def test_a_refusal_on_every_address_of_a_host_is_still_one() -> None:
    error = OSError(
        "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 111] Connect call"
    )
    assert checked(explain(error, endpoint_at(1))).facts["reason"] == "refused"


def test_a_name_that_does_not_exist_says_so() -> None:
    endpoint = resolve({"openai_base_url": "wss://nobody.invalid/v1"}, {}, {})
    error = asyncio.run(connect(endpoint))
    assert (error.facts["reason"], error.kind) == ("dns", "provider_unreachable")
    assert "nobody.invalid" in error.message


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    async def run() -> OmnirtError:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(tmp_path))
        async with websockets.serve(silent, "127.0.0.1", 0, ssl=context) as server:
            return await connect(endpoint_at(server.sockets[0].getsockname()[1], scheme="wss"))

    error = asyncio.run(run())
    assert (error.kind, error.facts["reason"], error.retryable) == ("provider_unreachable", "tls", False)
    assert "not trusted" in error.message


def _certificate(folder: Path) -> Path:
    """A key and a certificate that it signed itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path
