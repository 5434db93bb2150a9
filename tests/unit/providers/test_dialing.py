"""The socket to a provider: which certificates are trusted, and which proxy leads there; all of them real."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import websockets
from websockets.asyncio.server import ServerConnection

from omnirt.errors import OmnirtError
from omnirt.providers.connect_errors import explain
from omnirt.providers.dialing import dial
from omnirt.providers.endpoint import resolve
from omnirt.providers.proxies import proxy_for
from tests.support.internet import through
from tests.support.network import Authority, Recorder, connect_proxy, front, socks_proxy

HOST = "provider.test"
URL = f"wss://{HOST}/realtime"
PASSWORD = "proxy-pass-canary"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def answer(connection: ServerConnection) -> None:
    await connection.send("hello")
    await connection.wait_closed()


@asynccontextmanager
async def provider(authority: Authority, *names: str) -> AsyncIterator[Recorder]:
    """A WebSocket server behind TLS."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(websockets.serve(answer, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        yield await stack.enter_async_context(front(port, authority.context(*names)))


async def greeting(url: str) -> str | OmnirtError:
    """What a server says, or what a host is told."""
    try:
        async with await dial(url, {"api-key": "sk-canary"}) as connection:
            return str(await asyncio.wait_for(connection.recv(), 5))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is under test
        told = explain(error, resolve({"openai_realtime_url": url}, {}, {}))
    assert "canary" not in f"{told.message}{told.data}"
    return told


def use(monkeypatch: pytest.MonkeyPatch, proxy: str, variable: str = "HTTPS_PROXY") -> None:
    for name, value in through(proxy, variable=variable).items():
        monkeypatch.setenv(name, value)


def reason(told: str | OmnirtError) -> tuple[object, bool, str]:
    assert isinstance(told, OmnirtError)
    assert told.kind == "provider_unreachable"
    return told.facts["reason"], told.retryable, told.message


def test_the_authorities_of_a_file_are_trusted(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    async def run() -> tuple[str | OmnirtError, str | OmnirtError]:
        async with provider(authority, "127.0.0.1") as server:
            url = f"wss://127.0.0.1:{server.port}/realtime"
            before = await greeting(url)
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
            return before, await greeting(url)

    before, after = asyncio.run(run())
    kind, retryable, message = reason(before)
    assert (kind, retryable) == ("tls", False)
    assert "not trusted" in message
    assert after == "hello"


def test_the_authorities_of_a_folder_are_trusted(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    asked = ["openssl", "x509", "-hash", "-noout", "-in", str(authority.file)]
    try:
        name = subprocess.run(asked, capture_output=True, check=True, text=True, timeout=10).stdout.strip()
    except FileNotFoundError:
        pytest.skip("openssl, which knows the names in such a folder, is missing")
    (folder / f"{name}.0").write_bytes(authority.file.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))

    async def run() -> str | OmnirtError:
        async with provider(authority, "127.0.0.1") as server:
            return await greeting(f"wss://127.0.0.1:{server.port}/realtime")

    assert asyncio.run(run()) == "hello"


def test_a_certificate_of_another_name_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def run() -> str | OmnirtError:
        async with provider(authority, "other.test") as server:
            return await greeting(f"wss://127.0.0.1:{server.port}/realtime")

    assert reason(asyncio.run(run()))[0] == "tls"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "WSS_PROXY"])
def test_a_proxy_of_the_environment_leads_to_the_provider(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, variable: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def run() -> Recorder:
        async with provider(authority, HOST) as server, connect_proxy({HOST: server.port}) as proxy:
            use(monkeypatch, f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}", variable)
            assert await greeting(URL) == "hello"
            return proxy

    [head] = asyncio.run(run()).heads
    assert head.line == f"CONNECT {HOST}:443 HTTP/1.1"
    told = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert head.all("Proxy-Authorization") == [f"Basic {told}"]
    assert head.all("api-key") == []


def test_a_proxy_may_be_spoken_to_over_tls(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def run() -> str | OmnirtError:
        tls = authority.context("127.0.0.1")
        async with provider(authority, HOST) as server, connect_proxy({HOST: server.port}, tls) as proxy:
            use(monkeypatch, f"https://127.0.0.1:{proxy.port}")
            return await greeting(URL)

    assert asyncio.run(run()) == "hello"


def test_a_socks_proxy_finds_the_name_itself(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def run() -> Recorder:
        async with provider(authority, HOST) as server, socks_proxy({HOST: server.port}) as proxy:
            use(monkeypatch, f"socks5h://127.0.0.1:{proxy.port}", "ALL_PROXY")
            assert await greeting(URL) == "hello"
            return proxy

    assert [head.line for head in asyncio.run(run()).heads] == [f"SOCKS {HOST}"]


@pytest.mark.parametrize(
    ("status", "says"),
    [(407, "a user name and a password (HTTP 407)"), (403, "refuses to connect (HTTP 403)")],
)
def test_a_proxy_that_refuses_says_why(monkeypatch: pytest.MonkeyPatch, status: int, says: str) -> None:
    async def run() -> str | OmnirtError:
        async with connect_proxy({}) as proxy:
            proxy.answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
            use(monkeypatch, f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
            return await greeting(URL)

    kind, retryable, message = reason(asyncio.run(run()))
    assert (kind, retryable) == ("proxy", False)
    assert says in message


def test_a_proxy_that_is_none_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> str | OmnirtError:
        async with connect_proxy({}) as proxy:
            proxy.answer = b"220 mail ready\r\n"
            use(monkeypatch, f"http://127.0.0.1:{proxy.port}")
            return await greeting(URL)

    kind, _, message = reason(asyncio.run(run()))
    assert kind == "proxy"
    assert "no HTTP answer" in message


@pytest.mark.parametrize("proxy", ["ftp://h.test:1", f"http://{PASSWORD}@h.test:1", "http://h.test/path"])
def test_a_proxy_with_a_wrong_url_says_so(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    use(monkeypatch, proxy)
    kind, retryable, message = reason(asyncio.run(greeting(URL)))
    assert (kind, retryable) == ("proxy", False)
    assert "HTTPS_PROXY" in message


def test_a_proxy_that_is_not_there_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, f"http://user:{PASSWORD}@127.0.0.1:1")
    kind, retryable, message = reason(asyncio.run(greeting(URL)))
    assert (kind, retryable) == ("proxy", True)
    assert "http://***@127.0.0.1:1" in message


def test_no_proxy_leads_to_this_machine_or_to_a_host_that_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in through("proxy.test:8080", spared="spared.test").items():
        monkeypatch.setenv(name, value)
    assert proxy_for("wss://h.test/x") == "http://proxy.test:8080"
    for url in ("wss://spared.test/x", "wss://127.0.0.1:8/x", "wss://localhost/x", "wss://[::1]/x"):
        assert proxy_for(url) is None
    assert (
        proxy_for("ws://h.test/x") == "http://proxy.test:8080"
    )  # as the library has it: no cache in between
    use(monkeypatch, "proxy.test:1", "HTTP_PROXY")
    assert proxy_for("ws://h.test/x") == "http://proxy.test:1"
    assert proxy_for("wss://h.test/x") is None


SOCKS = """
import asyncio, sys
sys.modules["python_socks"] = None  # as where it is not installed
from tests.unit.providers.test_dialing import URL, greeting
print(asyncio.run(greeting(URL)).message)
"""


def test_a_socks_proxy_without_its_package_names_it() -> None:
    env = {**os.environ, **through("socks5h://127.0.0.1:1", variable="ALL_PROXY")}
    done = subprocess.run(
        [sys.executable, "-c", SOCKS],
        env=env,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "pip install 'omnirt-daemon[socks]'" in done.stdout
