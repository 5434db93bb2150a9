"""Finds the Python objects that a spec names (`python:package.module:name`).

Modules come from the environment that the daemon runs in and from PYTHONPATH, never from the folder of a
spec or the working directory. A module is imported once: a change needs a new daemon.
"""

from __future__ import annotations

import concurrent.futures
import importlib
from collections.abc import Callable
from typing import Final, TypeVar

from omnirt.errors import OmnirtError
from omnirt.specs.problems import Place
from omnirt.specs.threads import BusyError, describe, in_thread

T = TypeVar("T")

PREFIX: Final = "python:"
LOAD_S: Final = 30.0
"""How long an import may take: the largest libraries need ten seconds from a cold disk."""


class _MissingError(Exception):
    """The module is there, the name is not."""


def load_object(reference: str, place: Place) -> object:
    """The object that a spec names. Blocks, so not for the event loop.

    Args:
        reference: `package.module:name`, with or without `python:` before it; the name may have dots.
        place: Where the spec names it.

    Raises:
        OmnirtError: Of the place's kind, in words: there is no such module or name, or the import raised,
            called `sys.exit`, or hangs.
    """
    module, _, name = reference.removeprefix(PREFIX).partition(":")
    if not module or not name:
        raise place.problem("A Python object is named as `python:package.module:name`")

    def explain(error: Exception) -> str | None:
        if isinstance(error, _MissingError):
            return f"The Python module `{module}` has no `{name}`"
        if not isinstance(error, ModuleNotFoundError):
            return None
        needs = "" if f"{module}.".startswith(f"{error.name}.") else f", which `{module}` needs,"
        return (
            f"There is no Python module `{error.name}`{needs} where omnirt runs; install it there, or name"
            " its folder in PYTHONPATH"
        )

    return bounded(lambda: _find(module, name), LOAD_S, f"Importing `{module}`", place, explain)


def bounded(
    call: Callable[[], T],
    limit_s: float,
    what: str,
    place: Place,
    explain: Callable[[Exception], str | None] = lambda _: None,
) -> T:
    """What a spec's code gives, within a time limit; all else that it may do is a problem of the place.

    Args:
        call: Runs the code, in a thread of its own.
        limit_s: How long it may take; one that takes longer is left to itself.
        what: What it does, to begin the message with.
        place: Of the member that names the code.
        explain: Says certain errors in better words.

    Raises:
        OmnirtError: Of the place's kind.
    """
    try:
        future = in_thread(call)
    except BusyError as error:
        raise place.problem(f"{what} was not begun: {error}; restart the daemon") from None
    concurrent.futures.wait([future], limit_s)
    if not future.done():
        raise place.problem(f"{what} did not end within {limit_s:g} s")
    try:
        return future.result()
    except OmnirtError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the code raises
        raise place.problem(explain(error) or f"{what} failed: {describe(error)}") from None


def _find(module: str, name: str) -> object:
    found: object = importlib.import_module(module)
    for step in name.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            raise _MissingError from None
    return found
