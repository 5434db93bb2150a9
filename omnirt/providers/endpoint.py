"""Resolution: settings, configuration file and environment to one endpoint, or a typed problem. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct, field

from omnirt.errors import OmnirtError
from omnirt.protocol.types import ProviderName
from omnirt.providers import urls
from omnirt.providers.auth import authorize, carries_key, collect_headers, secrets_of
from omnirt.providers.redaction import mask_headers, mask_url
from omnirt.providers.settings import (
    ConnectionSettings,
    Found,
    SimulatorSettings,
    Sources,
    TracingSettings,
    parse_settings,
)
from omnirt.providers.urls import UrlProblem
from omnirt.specs.problems import Place
from omnirt.specs.realtime import DEFAULT_MODEL

_URLS: Final = ("openai_realtime_url", "openai_realtime_base_url", "azure_openai_endpoint", "openai_base_url")
_MODELS: Final = ("openai_realtime_deployment", "openai_realtime_model")
_AZURE_MODEL: Final = "azure_openai_deployment_name"


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a session connects, and as whom.

    Args:
        provider: Which kind of service it is.
        url: For the SDK, as it stands; empty for the simulator, which is opened later.
        headers: All of them: the SDK adds no authorization to headers it is given.
        model: In the URL and in the settings sent, the same.
        warnings: For the user's eyes.
        simulator: The offline provider's profile.
        tracing: Whether, and under which names, the provider keeps a trace.
        secrets: What must not be seen in any text.
    """

    provider: ProviderName
    url: str
    headers: Mapping[str, str]
    model: str
    warnings: tuple[str, ...] = ()
    simulator: SimulatorSettings = field(default_factory=SimulatorSettings)
    tracing: bool | TracingSettings = False
    secrets: tuple[str, ...] = ()

    @property
    def shown_url(self) -> str:
        """The URL without anything secret."""
        return mask_url(self.url)

    def __repr__(self) -> str:
        """With every secret masked."""
        headers = mask_headers(self.headers)
        return f"Endpoint({self.provider!r}, {self.shown_url!r}, {headers!r}, model={self.model!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """As the plain repr: the one that structs have would show all."""
        return [("", repr(self))]


def resolve(
    settings: ConnectionSettings | Mapping[str, Any] | None,
    config: ConnectionSettings | Mapping[str, Any] | None,
    env: Mapping[str, str],
    spec_model: str | None = None,
) -> Endpoint:
    """The endpoint of a session.

    Args:
        settings: `settings` of session.start.
        config: The configuration file.
        env: Environment variables, which come last.
        spec_model: `realtime_settings.model_name`, used when no setting names a model.

    Raises:
        OmnirtError: `invalid_params` with a path below `$.settings`, or `endpoint_unresolved` with what
            would do.
    """
    session = _parsed(settings, Place("invalid_params", "$.settings"))
    file = _parsed(config, Place("endpoint_unresolved", "$"))
    sources = Sources(session, file, env)
    tracing = _tracing(sources)
    chosen = sources.find("provider")
    if chosen is not None and chosen.value == "simulator":
        profile = sources.find("simulator")
        return Endpoint(
            provider="simulator",
            url="",
            headers=MappingProxyType({}),
            model=_model(sources, spec_model, azure=False)[0],
            simulator=SimulatorSettings() if profile is None else profile.value,
            tracing=tracing,
        )
    return _remote(sources, None if chosen is None else chosen.value, spec_model, tracing)


def _remote(
    sources: Sources, chosen: ProviderName | None, spec_model: str | None, tracing: bool | TracingSettings
) -> Endpoint:
    found = _chosen_url(sources, chosen)
    provider = chosen or _provider_of(found)
    azure = provider == "azure"
    warnings: list[str] = []
    model, named = _model(sources, spec_model, azure=azure)
    url = _url(sources, found, provider, model, warnings)
    in_url = urls.model_in(url)
    if in_url is not None and in_url != model:
        if named is not None:
            warnings.append(f"The URL names the model `{in_url}`; {named.label} is not used.")
        model = in_url
    key = sources.key(azure)
    headers = collect_headers(sources)
    if key is None and not carries_key(url, headers) and (provider in ("openai", "azure")):
        raise _no_key(provider)
    url, headers = authorize(sources, url, headers, key, azure=azure)
    if carries_key(url, headers) and urls.is_plain_remote(url):
        warnings.append("The key goes to another machine without encryption; use wss:// or https://.")
    return Endpoint(
        provider=provider,
        url=url,
        headers=MappingProxyType(headers),
        model=model,
        warnings=tuple(warnings),
        tracing=tracing,
        secrets=secrets_of(url, headers, key),
    )


def _parsed(settings: ConnectionSettings | Mapping[str, Any] | None, place: Place) -> ConnectionSettings:
    if isinstance(settings, ConnectionSettings):
        return settings
    return parse_settings(None if settings is None else dict(settings), place)


def _tracing(sources: Sources) -> bool | TracingSettings:
    found = sources.find("tracing")
    return False if found is None else found.value


def _chosen_url(sources: Sources, provider: str | None) -> Found | None:
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


def _provider_of(found: Found | None) -> ProviderName:
    if found is None:
        return "openai"
    if found.name == "azure_openai_endpoint" or urls.is_azure(found.value):
        return "azure"
    # OpenAI's own host is OpenAI, however its URL was written.
    return "openai" if urls.is_openai(found.value) else "compatible"


def _model(sources: Sources, spec_model: str | None, *, azure: bool) -> tuple[str, Found | None]:
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


def _url(
    sources: Sources, found: Found | None, provider: ProviderName, model: str, warnings: list[str]
) -> str:
    if found is None:
        if provider == "openai":
            return urls.from_base(urls.OPENAI_URL, model, azure=False)
        raise _no_url(provider)
    try:
        if found.name == "openai_realtime_url":
            return urls.explicit(found.value)
        if provider == "azure":
            return _azure_url(sources, found, model, warnings)
        return urls.from_base(found.value, model, azure=False)
    except UrlProblem as problem:
        raise found.problem(str(problem)) from None


def _azure_url(sources: Sources, found: Found, model: str, warnings: list[str]) -> str:
    version = sources.find("azure_openai_api_version")
    text = None if version is None else version.value.strip()
    if version is not None:
        try:
            urls.check_version(version.value.strip())
        except UrlProblem as problem:
            raise version.problem(str(problem)) from None
    if text is not None and urls.wants_preview(text):
        warnings.append(
            "Azure's preview form of the URL is used, because an API version is set; "
            f"without it the current form is /openai/v1/realtime?model={model}."
        )
        return urls.azure_preview(found.value, model, text)
    if found.name == "azure_openai_endpoint":
        return urls.azure_ga(found.value, model, text)
    return urls.from_base(found.value, model, azure=True)


def _no_url(provider: str) -> OmnirtError:
    names = ["azure_openai_endpoint"] if provider == "azure" else ["openai_base_url", "openai_realtime_url"]
    return OmnirtError(
        "endpoint_unresolved",
        f"No URL for the provider `{provider}`: set {_listed(names)}. "
        "Without any account, `provider: simulator` works offline.",
        settings=names,
    )


def _no_key(provider: str) -> OmnirtError:
    names = ["openai_api_key", "openai_headers"]
    variable = "AZURE_OPENAI_API_KEY or OPENAI_API_KEY" if provider == "azure" else "OPENAI_API_KEY"
    more = "" if provider == "azure" else ", or a URL (`openai_base_url`) of a server that needs none"
    return OmnirtError(
        "endpoint_unresolved",
        f"No key for the provider `{provider}`: set `openai_api_key` in settings or in the configuration "
        f"file, or the variable {variable}, or put an authorization into `openai_headers`{more}. "
        "Without any account, `provider: simulator` works offline.",
        settings=names,
    )


def _listed(names: list[str]) -> str:
    return " or ".join(f"`{name}` (variable {name.upper()})" for name in names)
