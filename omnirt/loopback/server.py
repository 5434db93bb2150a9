"""The loopback provider's server: one WebSocket endpoint on this machine, for any number of profiles.

A thin shell: it knows tokens, clocks and sockets, and nothing of what is said. Each open endpoint has a
random token, which is also how a connection finds its profile.
"""

from __future__ import annotations

import asyncio
import hmac
import http
import logging
import secrets
import time
import urllib.parse
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self
from weakref import WeakKeyDictionary

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from omnirt.errors import OmnirtError
from omnirt.loopback.conversation import Conversation
from omnirt.loopback.errands import Errands
from omnirt.loopback.faults import HalfOpen, Line
from omnirt.loopback.parts import Parts, Profile
from omnirt.loopback.script import Drop, Script
from omnirt.loopback.speech import Voice, find_synthesiser

_MAX_MESSAGE = 16 * 2**20  # the provider's limit is 15 MiB of audio in one event
_CLOSE_S = 1.0  # a peer that does not answer the close frame is not waited for
_HANDSHAKE_S = 60.0  # longer than any client waits: `hang` is for it to notice
_KEY_PROTOCOL = "openai-insecure-api-key."  # how browsers send the token
_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "forbidden", "You are not allowed to use this model."),
    404: ("invalid_request_error", "model_not_found", "There is no such model, or you have no access to it."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    503: ("server_error", "overloaded", "The server is overloaded, try again later."),
}

_log = logging.getLogger("omnirt.loopback")
# frames carry audio and handshakes carry tokens: the library's own log stays off at any level
_silent = logging.getLogger("omnirt.loopback.websockets")
_silent.disabled = True


class LoopbackEndpoint:
    """An open endpoint: `url` and `token` are what a client needs."""

    def __init__(self, url: str, token: str, profile: Profile) -> None:
        self.url = url
        self.token = token
        self.profile = profile
        self.connections = 0

    def __repr__(self) -> str:
        return f"LoopbackEndpoint({self.url})"  # never the token


class _Admission(NamedTuple):
    profile: Profile
    number: int
    model: str


class LoopbackServer:
    """The server; an async context manager. Several may run in one process."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self._port = port
        self._endpoints: dict[str, LoopbackEndpoint] = {}
        self._server: Server | None = None
        self._voice = Voice(find_synthesiser())
        self._admitted: WeakKeyDictionary[ServerConnection, _Admission] = WeakKeyDictionary()
        self._held: set[ServerConnection] = set()  # hanging or half-open: only we can end them

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._converse,
            self._host,
            self._port,
            process_request=self._admit,
            select_subprotocol=_select_subprotocol,
            compression=None,
            max_size=_MAX_MESSAGE,
            ping_interval=None,
            close_timeout=_CLOSE_S,
            open_timeout=_HANDSHAKE_S,
            logger=_silent,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        for connection in list(self._held):
            connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()
        self._server = None

    def open(self, profile: Profile, *, token: str | None = None) -> LoopbackEndpoint:
        """Make an endpoint.

        Args:
            profile: What it does.
            token: Its token, random by default.
        """
        if not 0.01 <= profile.speed <= 1000:
            raise OmnirtError("invalid_params", "speed is between 0.01 and 1000", path="$.speed")
        token = token or secrets.token_urlsafe(24)
        endpoint = LoopbackEndpoint(f"ws://{self._host}:{self._port}/v1/realtime", token, profile)
        self._endpoints[token] = endpoint
        return endpoint

    def close(self, endpoint: LoopbackEndpoint) -> None:
        """Forget an endpoint: no new connection gets in, those that are in go on."""
        self._endpoints.pop(endpoint.token, None)

    # the handshake

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        url = urllib.parse.urlsplit(request.path)
        if not url.path.rstrip("/").endswith("/realtime"):
            return _refusal(connection, 404)
        query = urllib.parse.parse_qs(url.query)
        endpoint = self._find(_tokens(request.headers, query))
        if endpoint is None:
            return _refusal(connection, 401)
        number, endpoint.connections = endpoint.connections, endpoint.connections + 1
        script = endpoint.profile.script or Script()
        for fault in script.faults_of(number):
            if fault.refuse is not None:
                return _refusal(connection, fault.refuse)
            if fault.hang:
                await self._hold(connection)
                return _refusal(connection, 503)
        models = query.get("model") or query.get("deployment") or ["gpt-realtime"]
        self._admitted[connection] = _Admission(endpoint.profile, number, models[0])
        return None

    def _find(self, tokens: Sequence[str]) -> LoopbackEndpoint | None:
        for given in tokens:
            for token, endpoint in self._endpoints.items():
                if hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode()):
                    return endpoint
        return None

    # the conversation

    async def _converse(self, connection: ServerConnection) -> None:
        admission = self._admitted.pop(connection)
        try:
            async with admission.profile.parts(self._voice) as parts:
                await self._talk(connection, parts, admission)
        except ConnectionClosed:
            pass
        except Exception:  # noqa: BLE001 - the library would log it with the frames
            _log.exception("The conversation failed")
            await connection.close(1011)

    async def _talk(self, connection: ServerConnection, parts: Parts, admission: _Admission) -> None:
        profile, number, model = admission
        clock = _Clock(profile.speed)
        lasts_ms = parts.script.session_ms
        # In whole seconds, and never later than it is: whoever trusts it is not late.
        expires_at = None if lasts_ms is None else int(time.time() + lasts_ms / 1000 / profile.speed)
        talk = Conversation(
            parts, tag=secrets.token_hex(4), model=model, now=clock.now(), expires_at=expires_at
        )
        line = Line(talk, parts.script.faults_of(number), clock.now())
        inlet = _Inlet(connection)
        errands = Errands(parts.perform, inlet.wake)
        try:
            while await self._send(connection, line.take(clock.now())):
                errands.follow(talk.wanted)
                if (message := await inlet.receive(clock.seconds_until(line.wake_at))) is None:
                    line.tick(clock.now())
                else:
                    line.receive(message, clock.now())
        finally:
            await errands.close()

    async def _send(self, connection: ServerConnection, out: list[str | bytes | Drop | HalfOpen]) -> bool:
        """Send; False when that was the end."""
        for message in out:
            match message:
                case Drop(code=1006):
                    connection.transport.abort()
                    return False
                case Drop(code=code, reason=reason):
                    await connection.close(code, reason)
                    return False
                case HalfOpen():
                    connection.transport.pause_reading()
                    await self._hold(connection)
                    return False
                case bytes() | str():
                    await connection.send(message, text=True)
        return True

    async def _hold(self, connection: ServerConnection) -> None:
        """Do nothing until the connection is lost, or the server ends."""
        self._held.add(connection)
        try:
            await connection.wait_closed()
        finally:
            self._held.discard(connection)


class _Clock:
    """Seconds of the simulation, which run `speed` times as fast as the wall's."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = time.monotonic()

    def now(self) -> float:
        return (time.monotonic() - self._began) * self._speed

    def seconds_until(self, at: float | None) -> float | None:
        return None if at is None else max(0.0, (at - self.now()) / self._speed)


class _Inlet:
    """Events of the client, until the time is up or somebody wakes who waits for them."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._waiting: asyncio.Timeout | None = None
        self._woken = False

    async def receive(self, seconds: float | None) -> str | bytes | None:
        """The next event, or None when the time is up or `wake` was called."""
        if self._woken:
            self._woken = False
            return None
        try:
            async with asyncio.timeout(seconds) as self._waiting:
                return await self._connection.recv()
        except TimeoutError:
            return None
        finally:
            self._waiting = None

    def wake(self) -> None:
        """There is something to do besides."""
        self._woken = True
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(0)


def _tokens(headers: Headers, query: dict[str, list[str]]) -> list[str]:
    """Every place in which clients send a key."""
    found = [*headers.get_all("api-key"), *query.get("api_key", []), *query.get("api-key", [])]
    for value in headers.get_all("Authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.casefold() == "bearer":
            found.append(token.strip())
    for value in headers.get_all("Sec-WebSocket-Protocol"):
        names = (name.strip() for name in value.split(","))
        found += [name.removeprefix(_KEY_PROTOCOL) for name in names if name.startswith(_KEY_PROTOCOL)]
    return found


def _select_subprotocol(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((name for name in offered if name == "realtime"), None)


def _refusal(connection: ServerConnection, status: int) -> Response:
    kind, code, message = _ERRORS.get(status, ("server_error", None, http.HTTPStatus(status).phrase))
    error = {"message": message, "type": kind, "code": code, "param": None}
    response = connection.respond(http.HTTPStatus(status), msgspec.json.encode({"error": error}).decode())
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    if status in (429, 503):
        response.headers["Retry-After"] = "1"
    return response
