"""The methods that need nothing but the connection: initialize, initialized, ping, exit, $/cancelRequest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from omnirt.errors import OmnirtError
from omnirt.protocol.jsonrpc import Request
from omnirt.protocol.methods import HostCapabilities, InitializeParams, InitializeResult, NoParams
from omnirt.protocol.types import Empty, Result
from omnirt.protocol.validation import decode_params, shortened

_MAX_PID = 2**31 - 1


class Lifecycle:
    """What the host said of itself, and how far the connection is in its life.

    Args:
        offer: The answer to `initialize`.
        listener: Is told of what concerns the process.
    """

    class Listener(Protocol):
        """Who acts on the host's words."""

        def initialized(self, params: InitializeParams) -> None:
            """The host said who it is; its reply goes out after this."""

        def exiting(self) -> None:
            """The host asks the process to end."""

    def __init__(self, offer: InitializeResult, listener: Lifecycle.Listener) -> None:
        self._offer = offer
        self._listener = listener
        self._initialized = False
        self.host = HostCapabilities()
        self.shut_down = False
        self.exited = False
        self.cancel: Callable[[bytes], None] = lambda raw_id: None

    def handle(self, request: Request) -> Result | None:
        """The result of a lifecycle method; None when the request is for somebody else.

        Raises:
            OmnirtError: The request is refused.
        """
        name = request.method
        if self.exited:
            raise OmnirtError("shutting_down", "The daemon is ending.")
        if self.shut_down and name != "exit":
            if request.id is None:
                return Empty()
            raise OmnirtError("invalid_request", "After `shutdown` only `exit` is legal.")
        if name.startswith("session."):
            return None  # nearly all that comes
        match name:
            case "initialize" if request.id is None:
                return None  # it must not use up the one that there is
            case "initialize":
                return self._initialize(request)
            case "ping":
                decode_params(NoParams, request.params)
                return Empty()
            case "initialized":
                return Empty()
            case "exit":
                if request.id is not None:
                    decode_params(NoParams, request.params)
                self.exited = True
                self._listener.exiting()
                return Empty()
            case "shutdown":
                decode_params(NoParams, request.params)
                self.shut_down = True
                return None
            case "$/cancelRequest":
                self._cancel(request)
                return Empty()
        if name.startswith("$/"):
            if request.id is None:
                return Empty()
            raise OmnirtError("method_not_found", f"There is no method `{shortened(name)}`.")
        return None

    def _initialize(self, request: Request) -> Result:
        if self._initialized:
            raise OmnirtError("invalid_request", "`initialize` has been sent already.")
        params = decode_params(InitializeParams, request.params)
        if params.process_id is not None and not 1 <= params.process_id <= _MAX_PID:
            raise OmnirtError("invalid_params", "`processId` is no process id.", path="$.processId")
        self._initialized = True
        self.host = params.capabilities or HostCapabilities()
        self._listener.initialized(params)
        return self._offer

    def _cancel(self, request: Request) -> None:
        """Cancels by id; a cancel that makes no sense is no error, for a notification is never answered."""
        try:
            members = msgspec.json.decode(request.params or b"{}", type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:
            return
        if "id" in members:
            self.cancel(bytes(members["id"]))
