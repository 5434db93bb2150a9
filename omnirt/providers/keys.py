"""Where a key may be kept that no setting gives: what to look for. Pure; `credentials` does the looking."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.providers import urls
from omnirt.providers.auth import Placement, carries_key, placement
from omnirt.providers.settings import Sources, flag

# What Microsoft's own realtime samples ask for, whichever form the URL has.
_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
_SCOPE_US: Final = "https://cognitiveservices.azure.us/.default"


class Credential(Struct, frozen=True):
    """A secret that was found, and where: a provider's key, or a bearer token."""

    kind: Literal["key", "token"]
    secret: str
    place: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Credential({self.kind} from {self.place})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """As the plain repr."""
        return [("", repr(self))]


class KeySearch(Struct, frozen=True, kw_only=True):
    """What is to be looked for, as nobody gave a key.

    Args:
        names: Names in the keyring, the first that is there counts. A key goes to the host it was stored for,
            and to nobody else.
        entra: Whether to ask Microsoft Entra: `always` before all else, `last` when the keyring has none.
        scope: Of the token that Entra is asked for.
        placement: How a key is sent.
        required: Whether the provider does nothing without.
    """

    names: tuple[str, ...]
    entra: Literal["always", "last", "never"]
    scope: str
    placement: Placement
    required: bool


def key_search(sources: Sources, provider: str, url: str, headers: dict[str, str]) -> KeySearch | None:
    """What to look for; None when there is a key, or an authorization in headers or URL.

    Raises:
        OmnirtError: A flag is no boolean, or Entra is asked for where it is unknown.
    """
    azure = provider == "azure"
    entra = _entra(sources, url, azure=azure)
    if carries_key(url, headers) or (sources.key(azure) is not None and entra != "always"):
        return None
    names: tuple[str, ...] = ()
    if entra != "always" and not sources.key_hidden():
        own = (("openai", urls.is_openai(url)), ("azure", urls.is_azure(url)))
        names = (urls.authority(url), *(name for name, is_own in own if is_own))
    return KeySearch(
        names=names,
        entra=entra,
        scope=_SCOPE_US if urls.authority(url).partition(":")[0].endswith(".azure.us") else _SCOPE,
        placement=placement(sources, azure=azure),
        required=provider in ("openai", "azure"),
    )


def _entra(sources: Sources, url: str, *, azure: bool) -> Literal["always", "last", "never"]:
    found = sources.find("azure_openai_use_entra")
    if found is None:
        # A token is not sent to a gateway unless it is asked for.
        hidden = sources.hidden("azure_openai_use_entra")
        return "last" if azure and urls.is_azure(url) and not hidden else "never"
    wanted = flag(found)
    if wanted and not azure and found.rank == 0:
        raise _not_azure()
    return "always" if wanted and azure else "never"


def _not_azure() -> OmnirtError:
    path = "$.settings.azure_openai_use_entra"
    return OmnirtError(
        "invalid_params", f"Microsoft Entra is for the provider `azure` (at {path}).", path=path
    )
