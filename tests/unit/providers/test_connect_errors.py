"""What a host is told of a failed connect: one kind for each way, and never the key. Over real sockets."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import pytest
import websockets
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from omnirt.errors import OmnirtError
from omnirt.providers.closes import for_good
from omnirt.providers.connect_errors import explain, upstream_error
from tests.unit.providers.connecting import KEY, checked, connect, endpoint_at, silent


def refused_with(status: int, body: object, *, azure: bool = False) -> OmnirtError:
    """What a host is told when the handshake is answered so."""

    def answer(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus(status), body if isinstance(body, str) else json.dumps(body))

    async def run() -> OmnirtError:
        async with websockets.serve(silent, "127.0.0.1", 0, process_request=answer) as server:
            return await connect(endpoint_at(server.sockets[0].getsockname()[1], azure=azure))

    return asyncio.run(run())


def error_body(code: str | None, message: str = f"Wrong key {KEY}", type_: str = "t") -> object:
    return {"error": {"type": type_, "code": code, "message": message}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable", "says"),
    [
        (401, error_body("invalid_api_key"), "auth_failed", False, "HTTP 401"),
        (403, "no", "auth_failed", False, "HTTP 403"),
        (404, "no", "provider_error", False, "Check the URL and the model (`m`)"),
        (
            429,
            error_body("rate_limit_exceeded", "Slow down"),
            "provider_error",
            True,
            "rate limit is reached (HTTP 429): Slow down",
        ),
        (429, error_body("insufficient_quota"), "provider_error", False, "no quota left"),
        (429, error_body(None, type_="insufficient_quota"), "provider_error", False, "no quota left"),
        (400, error_body("bad", "No such model"), "provider_error", False, "(HTTP 400): No such model."),
        (500, "", "provider_unreachable", True, "HTTP 500"),
        (503, {"error": "overloaded"}, "provider_unreachable", True, "HTTP 503: overloaded"),
        (408, [], "provider_unreachable", True, "HTTP 408"),
        (200, "<html>", "provider_unreachable", False, "plain HTTP server"),
        (204, "", "provider_unreachable", False, "plain HTTP server"),
    ],
)
def test_an_answer_of_http_says_what_to_do(
    status: int, body: object, kind: str, retryable: bool, says: str
) -> None:
    error = refused_with(status, body)
    assert (error.kind, error.retryable) == (kind, retryable)
    assert says in error.message
    assert error.facts["status"] == status


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (200, "<html>", None),
        (302, "", None),
        (404, "no", None),
        (400, error_body("model_not_found"), None),
        (429, error_body("rate_limit_exceeded"), None),
        (429, error_body("insufficient_quota"), "quota"),
        (403, "no", "key"),
        (400, error_body("content_policy_violation"), "content"),
    ],
)
def test_what_another_attempt_would_not_help(status: int, body: object, refused: str | None) -> None:
    """A page of somebody else's in the place of the provider is not for good."""
    assert for_good(refused_with(status, body)) == refused


def test_what_the_server_called_it_comes_along_but_only_as_words() -> None:
    error = refused_with(429, error_body("rate_limit_exceeded", type_="tokens"))
    assert error.facts["upstream"] == {"type": "tokens", "code": "rate_limit_exceeded"}
    assert "upstream" not in refused_with(401, error_body(f"key={KEY}", type_="<b>")).facts


def test_404_at_azure_shows_the_likely_form_of_the_url() -> None:
    error = refused_with(404, "no", azure=True)
    assert error.kind == "provider_error"
    assert "/openai/v1/realtime?model=<deployment>" in error.message
    assert "`m`" in error.message


@pytest.mark.parametrize(
    ("code", "words", "kind", "says"),
    [
        (1011, "keepalive", "provider_unreachable", "code 1011): keepalive"),
        (3000, "invalid_request_error.invalid_api_key", "auth_failed", "refuses the key"),
        (1008, "authentication failed", "auth_failed", "refuses the key"),
        (1008, "policy", "provider_unreachable", "policy"),
        (4000, f"bad {KEY}", "provider_unreachable", "code 4000"),
        (4401, "", "provider_unreachable", "code 4401"),
        (4403, "Forbidden", "auth_failed", "refuses the key"),
        (1000, "quota exceeded", "provider_error", "no quota left: quota exceeded"),
        (1008, "Blocked by the content policy", "provider_error", "Blocked by"),
    ],
)
def test_a_close_says_why(code: int, words: str, kind: str, says: str) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(code, words)

    async def run() -> OmnirtError:
        async with websockets.serve(close, "127.0.0.1", 0) as server:
            return await connect(endpoint_at(server.sockets[0].getsockname()[1]))

    error = asyncio.run(run())
    assert error.kind == kind
    assert says in error.message
    assert error.facts["closeCode"] == code


def test_a_cut_wire_says_so() -> None:
    async def cut(connection: ServerConnection) -> None:
        connection.transport.abort()

    async def run() -> OmnirtError:
        async with websockets.serve(cut, "127.0.0.1", 0) as server:
            return await connect(endpoint_at(server.sockets[0].getsockname()[1]))

    error = asyncio.run(run())
    assert (error.kind, error.facts["reason"]) == ("provider_unreachable", "closed")


def test_a_foreign_subprotocol_says_so() -> None:
    async def run() -> OmnirtError:
        def choose(connection: ServerConnection, request: Request, response: Response) -> None:
            response.headers["Sec-WebSocket-Protocol"] = "other"

        async with websockets.serve(silent, "127.0.0.1", 0, process_response=choose) as server:
            return await connect(endpoint_at(server.sockets[0].getsockname()[1]))

    assert asyncio.run(run()).facts["reason"] == "subprotocol"


@pytest.mark.parametrize(
    "problem", [websockets.InvalidURI(f"wss://{KEY}", "no"), UnicodeError(f"label empty in {KEY}")]
)
def test_a_url_that_the_library_refuses_is_not_quoted(problem: Exception) -> None:
    error = checked(explain(problem, endpoint_at(1)))
    assert (error.facts["reason"], error.retryable) == ("url", False)


def test_an_unknown_exception_says_its_type_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise RuntimeError(KEY)
    except RuntimeError as unknown:
        error = checked(explain(unknown, endpoint_at(1)))
    assert error.kind == "internal"
    assert "RuntimeError" in error.message
    assert str(error.facts["logId"]) in caplog.text
    assert "test_connect_errors.py" in caplog.text
    assert KEY not in caplog.text


def test_a_typed_error_passes() -> None:
    error = OmnirtError("overloaded", "Later.")
    assert explain(error, endpoint_at(1)) is error


@pytest.mark.parametrize(
    ("type_", "code", "kind", "retryable"),
    [
        ("invalid_request_error", "invalid_api_key", "auth_failed", False),
        ("insufficient_quota", None, "provider_error", False),
        ("tokens", "rate_limit_exceeded", "provider_error", True),
        ("server_error", None, "provider_error", True),
        ("invalid_request_error", "invalid_value", "provider_error", False),
        (None, None, "provider_error", False),
    ],
)
def test_an_error_event_is_told_by_its_code(
    type_: str | None, code: str | None, kind: str, retryable: bool
) -> None:
    error = checked(upstream_error(endpoint_at(1), type_=type_, code=code, message=f"It says {KEY}."))
    assert (error.kind, error.retryable) == (kind, retryable)
    assert "It says ***" in error.message
