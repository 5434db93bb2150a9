"""Says what went wrong with a connection: one typed error for each way a provider can refuse."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import ssl
import traceback
from typing import Any, Final

from omnirt.errors import NO_FILES, OmnirtError, out_of_files
from omnirt.providers.closes import USUAL_NAMES, of_close
from omnirt.providers.endpoint import Endpoint
from omnirt.providers.proxies import proxy_for
from omnirt.providers.redaction import mask, mask_url

log = logging.getLogger(__name__)

_MAX_TEXT: Final = 300
_AUTH_CODES: Final = frozenset(
    {
        "invalid_api_key",
        "authentication_error",
        "invalid_authentication",
        "permission_error",
        "unauthorized",
        "account_deactivated",
        "401",
    }
)
_QUOTA_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_OF_ONE_REQUEST: Final = frozenset({"permission_error"})
"""Among the codes of refused keys: a key that may not do one thing may still do others."""
_RETRY_CODES: Final = frozenset(
    {
        "rate_limit_exceeded",
        "rate_limit_error",
        "too_many_requests",
        "server_error",
        "internal_error",
        "overloaded",
        "timeout",
    }
)


def explain(error: BaseException, endpoint: Endpoint) -> OmnirtError:
    """The error that a host gets for a failed connect. Never holds a key, a query or a traceback.

    Args:
        error: What the SDK or the WebSocket library raised.
        endpoint: Where it was raised.
    """
    if isinstance(error, OmnirtError):
        return error
    from websockets import exceptions as ws

    if isinstance(error, OSError) and out_of_files(error):
        message = f"No connection to the provider can be opened: {NO_FILES}."
        return OmnirtError("overloaded", message, reason="descriptors")
    match error:
        case ws.InvalidStatus():
            return _status(error.response.status_code, bytes(error.response.body or b""), endpoint)
        case ws.ConnectionClosed(rcvd=frame):
            return closed(endpoint, frame.code if frame else None, str(frame.reason or "") if frame else "")
        case ws.InvalidURI() | UnicodeError():
            return _unreachable(
                endpoint, "url", "the WebSocket library does not take this URL", retryable=False
            )
        case ws.ProxyError() | ws.InvalidProxy():
            return _unreachable(endpoint, "proxy", _proxy_says(error), retryable=False)
        case ImportError():
            what = "a SOCKS proxy needs a package: `pip install 'omnirt-daemon[socks]'`"
            return _unreachable(endpoint, "proxy", what, retryable=False)
        case ws.NegotiationError():
            what = "the server answers with another subprotocol or extension"
            return _unreachable(endpoint, "subprotocol", what, retryable=False)
        case ws.InvalidMessage(__cause__=EOFError()):
            what = "the server closed the connection before it answered; does it want wss:// or https://?"
            return _unreachable(endpoint, "closed", what)
        case ws.InvalidHandshake():
            what = "the answer is no WebSocket handshake; is this a realtime endpoint?"
            return _unreachable(endpoint, "handshake", what, retryable=False)
        case OSError():
            return _network(error, endpoint)
        case _:
            return _unknown(error)


def upstream_error(
    endpoint: Endpoint, *, type_: str | None, code: str | None, message: str | None
) -> OmnirtError:
    """The error that a provider reported in its own words, at the handshake or as an event.

    `retryable` is told from its code: a rate limit passes, an empty account does not.
    """
    words = _words(type_, code)
    said = _said(message, endpoint)
    facts = {
        name: mask(value, endpoint.secrets) for name, value in (("type", type_), ("code", code)) if value
    }
    upstream: dict[str, Any] = {"upstream": facts} if facts else {}
    if words & _AUTH_CODES:
        return OmnirtError("auth_failed", f"The provider refuses the key{said}.", **upstream)
    if words & _QUOTA_CODES:
        text = f"The account has no quota left{said}; check plan and billing."
        return OmnirtError("provider_error", text, retryable=False, **upstream)
    retryable = passes(type_, code)
    return OmnirtError(
        "provider_error", f"The provider answers with an error{said}.", retryable=retryable, **upstream
    )


def passes(type_: object, code: object) -> bool:
    """Whether an error with this type and code passes by itself: a rate limit does, an empty account not."""
    words = _words(type_, code)
    return bool(words & _RETRY_CODES) and not words & _QUOTA_CODES


def for_good(type_: object, code: object) -> bool:
    """Whether nothing works any more after an error with this type and code: no key, or no account."""
    words = _words(type_, code)
    return bool(words & (_AUTH_CODES - _OF_ONE_REQUEST | _QUOTA_CODES))


def _words(*words: object) -> set[str]:
    return {str(word or "").lower() for word in words}


def _status(status: int, body: bytes, endpoint: Endpoint) -> OmnirtError:
    type_, code, message = _body(body)
    said = _said(message, endpoint)
    facts: dict[str, Any] = {"status": status}
    if type_ or code:
        words = (("type", type_), ("code", code))
        facts["upstream"] = {name: mask(word, endpoint.secrets) for name, word in words if word}
    if status in (401, 403):
        # What was said may quote the key in part: better nothing.
        text = (
            f"The provider refuses the key (HTTP {status}). Check it, and that it may use {endpoint.model}."
        )
        return OmnirtError("auth_failed", text, **facts)
    if status == 404:
        return OmnirtError("provider_error", _not_found(endpoint) + said + ".", **facts)
    if status == 429:
        quota = code in _QUOTA_CODES or type_ in _QUOTA_CODES
        what = "The account has no quota left" if quota else "The provider's rate limit is reached"
        return OmnirtError("provider_error", f"{what} (HTTP 429){said}.", retryable=not quota, **facts)
    if status >= 500 or status == 408:
        return _unreachable(endpoint, "http", f"the service answers HTTP {status}{said}", **facts)
    if 300 <= status < 400:
        what = f"it redirects elsewhere (HTTP {status}), where keys are not taken; set the URL it leads to"
        return _unreachable(endpoint, "redirect", what, retryable=False, **facts)
    if status < 400:
        what = f"a plain HTTP server answers (HTTP {status}), no WebSocket"
        return _unreachable(endpoint, "http", what, retryable=False, **facts)
    return OmnirtError(
        "provider_error", f"The provider refuses the connection (HTTP {status}){said}.", **facts
    )


def _not_found(endpoint: Endpoint) -> str:
    if endpoint.provider == "azure":
        return (
            "Nothing is at this Azure URL (HTTP 404). It should look like "
            "wss://<resource>.openai.azure.com/openai/v1/realtime?model=<deployment>; check the name of the "
            f"deployment (`{endpoint.model}`)"
        )
    return f"Nothing is at {_place(endpoint)} (HTTP 404). Check the URL and the model (`{endpoint.model}`)"


def closed(endpoint: Endpoint, code: int | None, reason: str) -> OmnirtError:
    """The error of a connection that went away before there was a session.

    Args:
        endpoint: Where it led.
        code: Of the close frame; None when there was none.
        reason: The words of the close frame.
    """
    if code is None:
        return _unreachable(endpoint, "closed", "the connection broke off")
    if (refused := of_close(code, reason)) is not None:
        # Some servers refuse by the close alone.
        problem = upstream_error(endpoint, type_=None, code=USUAL_NAMES[refused], message=reason)
        problem.facts["closeCode"] = code
        return problem
    what = f"the provider closed the connection (code {code}){_said(reason, endpoint)}"
    return _unreachable(endpoint, "closed", what, closeCode=code)


def silent(endpoint: Endpoint, what: str, limit_s: float) -> OmnirtError:
    """The error of a provider that lets the connection in and leaves `what` undone."""
    return _unreachable(endpoint, "timeout", f"{what} within {limit_s:g} s; try again later")


def _unknown(error: BaseException) -> OmnirtError:
    """Without its text, in the log too: what an unknown exception says is unknown."""
    log_id = os.urandom(4).hex()
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error(
        "a connection could not be opened: %s (logId %s)\n%s",
        type(error).__name__,
        log_id,
        where,
        extra={"log_id": log_id},
    )
    message = f"The connection could not be opened ({type(error).__name__}); the log tells where ({log_id})."
    return OmnirtError("internal", message, logId=log_id)


def _proxy_says(error: Exception) -> str:
    """Why a proxy lets nothing through; its URL is not told, as it may hold a password."""
    from websockets import exceptions as ws

    match error:
        case ws.InvalidProxyStatus(response=response) if response.status_code == 407:
            return "the proxy wants a user name and a password (HTTP 407); put them into HTTPS_PROXY"
        case ws.InvalidProxyStatus(response=response):
            return f"the proxy refuses to connect (HTTP {response.status_code})"
        case ws.InvalidProxyMessage():
            return "the proxy gives no HTTP answer; is it one, and for http?"
        case ws.InvalidProxy(msg=what):
            return f"the proxy's URL is none ({what}); see HTTPS_PROXY"
    return "the proxy refuses to connect"


def _network(error: OSError, endpoint: Endpoint) -> OmnirtError:
    proxy = proxy_for(endpoint.url)
    if proxy is not None and not isinstance(error, ssl.SSLError | TimeoutError):
        # The provider's name and port are the proxy's to find; ours was only to reach the proxy.
        what = f"the proxy {mask_url(proxy)} can't be reached; see HTTPS_PROXY"
        return _unreachable(endpoint, "proxy", what)
    match error:
        case ssl.SSLCertVerificationError():
            what = f"its certificate is not trusted ({getattr(error, 'verify_message', 'unknown reason')})"
            return _unreachable(endpoint, "tls", what, retryable=False)
        case ssl.SSLError():
            return _unreachable(
                endpoint, "tls", "TLS fails; does the server speak it there?", retryable=False
            )
        case socket.gaierror():
            return _unreachable(endpoint, "dns", "its name is not found")
        case TimeoutError():
            return _unreachable(endpoint, "timeout", "it does not answer in time")
        case ConnectionResetError() | BrokenPipeError():
            return _unreachable(endpoint, "closed", "the connection broke off")
    # asyncio wraps the failures of several addresses into one OSError without a number.
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return _unreachable(endpoint, "refused", "nothing listens there")
    return _unreachable(endpoint, "network", error.strerror or type(error).__name__)


def _unreachable(
    endpoint: Endpoint, reason: str, what: str, *, retryable: bool | None = None, **facts: Any
) -> OmnirtError:
    end = "" if what.endswith("?") else "."
    text = f"The provider at {_place(endpoint)} can't be reached: {what}{end}"
    return OmnirtError("provider_unreachable", text, retryable=retryable, reason=reason, **facts)


def _place(endpoint: Endpoint) -> str:
    """The URL without its query."""
    return endpoint.shown_url.partition("?")[0] or endpoint.provider


def _said(message: str | None, endpoint: Endpoint) -> str:
    if not message:
        return ""
    text = " ".join(mask(message, endpoint.secrets).split())[:_MAX_TEXT].rstrip(".")
    return f": {text}"


def _body(body: bytes) -> tuple[str | None, str | None, str | None]:
    """Type, code and message of an error in an HTTP body."""
    try:
        document = json.loads(body[:65536])
    except (ValueError, RecursionError):
        return None, None, None
    error = document.get("error", document) if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return None, None, error if isinstance(error, str) else None
    type_, code, message = (error.get(name) for name in ("type", "code", "message"))
    return _word(type_), _word(code), message if isinstance(message, str) else None


def _word(value: object) -> str | None:
    """A code as it may be told: a short word, as it comes from a server."""
    return str(value) if isinstance(value, str | int) and re.fullmatch(r"[\w.\-]{1,64}", str(value)) else None
