"""Keys in the keyring of the operating system. Blocking: a keyring may ask its user first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Final, Literal

SERVICE: Final = "omnirt"
"""Under which all keys stand; the user name of an entry is `openai`, `azure`, or a host."""

Lack = Literal["package", "backend", "locked"]


class KeyringProblem(Exception):
    """Why a keyring can't be used, in words.

    Args:
        lack: What is missing.
        text: A sentence, without a secret.
    """

    def __init__(self, lack: Lack, text: str) -> None:
        super().__init__(text)
        self.lack = lack


def get(names: Sequence[str]) -> tuple[str, str] | None:
    """The first of these names that has a key, and the key.

    Raises:
        KeyringProblem: There is no keyring that can be read.
    """
    with _keyring() as keyring:
        for name in names:
            secret = keyring.get_password(SERVICE, name)
            if secret:
                return name, str(secret)
    return None


def put(name: str, secret: str) -> None:
    """Store a key, in place of one that is there."""
    with _keyring() as keyring:
        keyring.set_password(SERVICE, name, secret)


def clear(name: str) -> bool:
    """Forget a key; whether there was one."""
    with _keyring() as keyring:
        if not keyring.get_password(SERVICE, name):
            return False
        keyring.delete_password(SERVICE, name)
        return True


def backend() -> str:
    """What the keyring calls itself."""
    with _keyring() as keyring:
        return str(keyring.get_keyring().name)


@contextmanager
def _keyring() -> Iterator[ModuleType]:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        text = "The package keyring is not installed; install it with `pip install 'omnirt-daemon[keyring]'`."
        raise KeyringProblem("package", text) from None
    try:
        if keyring.get_keyring().priority <= 0:
            raise keyring.errors.NoKeyringError
        yield keyring
    except keyring.errors.NoKeyringError:
        text = (
            "There is no keyring on this system, as is usual without a desktop; put the key into the "
            "variable OPENAI_API_KEY or into the configuration file."
        )
        raise KeyringProblem("backend", text) from None
    except Exception as error:  # noqa: BLE001 - backends raise what their libraries raise, perhaps with a secret
        text = f"The keyring can't be used ({type(error).__name__}); is it locked?"
        raise KeyringProblem("locked", text) from None
