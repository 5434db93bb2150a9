"""Which of several settings decides: the URL, the provider that follows from it, and the model."""

from __future__ import annotations

from typing import Final

from omnirt.protocol.types import ProviderName
from omnirt.providers import urls
from omnirt.providers.settings import HEADER_KEYS, Found, Sources
from omnirt.specs.realtime import DEFAULT_MODEL

_URLS: Final = ("openai_realtime_url", "openai_realtime_base_url", "azure_openai_endpoint", "openai_base_url")
_MODELS: Final = ("openai_realtime_deployment", "openai_realtime_model")
_AZURE_URL: Final = "azure_openai_endpoint"
_AZURE_MODEL: Final = "azure_openai_deployment_name"


def chosen_url(sources: Sources, provider: str | None) -> Found | None:
    """The URL setting that decides: of the strongest layer the most special one that fits the provider."""
    names: tuple[str, ...] = _URLS
    if provider in ("openai", "compatible"):
        names = tuple(name for name in _URLS if name != "azure_openai_endpoint")
    elif provider == "azure":
        # The other URLs are often set for something else; what is Azure's own comes first.
        names = (
            "openai_realtime_url",
            "azure_openai_endpoint",
            "openai_realtime_base_url",
            "openai_base_url",
        )
    return sources.first(names)


def provider_of(found: Found | None, sources: Sources) -> ProviderName:
    """The provider that a URL setting belongs to, told by its host.

    Raises:
        OmnirtError: Azure's endpoint is at another host, and no setting gives a key or headers for it: a
            variable's key goes there only when somebody says so.
    """
    if found is None:
        return "openai"
    if urls.is_azure(found.value):
        return "azure"
    if found.name == _AZURE_URL:
        given = (sources.key(azure=False), *map(sources.find, HEADER_KEYS))
        if any(setting is not None and setting.rank < 2 for setting in given):
            return "azure"
        raise found.problem(
            "this is no URL of an Azure host; for a gateway in front of Azure set `provider` to `azure` too"
        )
    # OpenAI's own host is OpenAI, however its URL was written.
    return "openai" if urls.is_openai(found.value) else "compatible"


def model_of(sources: Sources, spec_model: str | None, *, azure: bool) -> tuple[str, Found | None]:
    """The model, and the setting that named it."""
    deployment = sources.find(_AZURE_MODEL)
    if deployment is not None and (azure or deployment.rank == 0):
        # A variable that is there for Azure names nothing that another provider knows.
        named = [deployment, *filter(None, map(sources.find, _MODELS))]
    else:
        named = list(filter(None, map(sources.find, _MODELS)))
    strongest = min(named, key=lambda setting: setting.rank, default=None)
    if strongest is not None:
        return strongest.value.strip(), strongest
    return spec_model or DEFAULT_MODEL, None
