"""Looks for a key that no setting gives: in the keyring, then at Microsoft Entra, each in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from omnirt.errors import OmnirtError
from omnirt.providers import entra, keyring_store
from omnirt.providers.endpoint import Endpoint, completed
from omnirt.providers.keys import Credential, KeySearch

KEYRING_S: Final = 5.0
"""A locked keyring asks its user, who may be somewhere else."""
ENTRA_S: Final = 15.0
"""`az` alone takes some seconds, and it is asked late."""

T = TypeVar("T")


async def complete(endpoint: Endpoint) -> Endpoint:
    """An endpoint with its key, looked for where the endpoint says.

    Raises:
        OmnirtError: `endpoint_unresolved` for no key or no package, `auth_failed` when Entra gives no token,
            `provider_unreachable` when it does not answer.
    """
    return completed(endpoint, *await find(endpoint))


async def find(endpoint: Endpoint) -> tuple[Credential | None, list[str]]:
    """The key that an endpoint wants, or sentences on where it was looked for in vain.

    Raises:
        OmnirtError: Entra was asked for by name, and gives nothing.
    """
    search = endpoint.search
    if search is None:
        return None, []
    found, tried = await _from_keyring(search)
    if found is None and search.entra != "never":
        try:
            found = await _from_entra(search)
        except OmnirtError as problem:
            if search.entra == "always":
                raise
            tried.append(problem.message)
    return found, tried


async def _from_keyring(search: KeySearch) -> tuple[Credential | None, list[str]]:
    if not search.names:
        return None, []
    try:
        found = await in_thread(lambda: keyring_store.get(search.names), KEYRING_S)
    except keyring_store.KeyringProblem as problem:
        # Most systems have none: that is nothing to tell of.
        return None, [str(problem)] if problem.lack == "locked" else []
    except TimeoutError:
        return None, [f"The keyring did not answer within {KEYRING_S:g} s; is it locked?"]
    if found is None:
        return None, []
    name, secret = found
    return Credential("key", secret, f"the keyring (`{name}`)"), []


async def _from_entra(search: KeySearch) -> Credential:
    try:
        token = await in_thread(lambda: entra.token(search.scope), ENTRA_S)
    except entra.EntraProblem as problem:
        kind = "auth_failed" if problem.installed else "endpoint_unresolved"
        raise OmnirtError(kind, str(problem)) from None
    except TimeoutError:
        message = f"Microsoft Entra did not answer within {ENTRA_S:g} s; try again later."
        raise OmnirtError("provider_unreachable", message, reason="entra") from None
    return Credential("token", token, "Microsoft Entra")


async def in_thread(work: Callable[[], T], limit_s: float) -> T:
    """What `work` returns. In a thread that nobody waits for: one that blocks must not hold up any end.

    Raises:
        TimeoutError: It took longer; it goes on, and its outcome is dropped.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, problem: Exception | None) -> None:
        if outcome.done():
            return
        if problem is not None:
            outcome.set_exception(problem)
        else:
            outcome.set_result(result)  # type: ignore[arg-type] # None only where T has it

    def run() -> None:
        result: T | None = None
        problem: Exception | None = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            problem = error
        try:
            loop.call_soon_threadsafe(settle, result, problem)
        except RuntimeError:
            pass  # the loop is closed: nobody waits

    threading.Thread(target=run, daemon=True).start()
    async with asyncio.timeout(limit_s):
        return await outcome
