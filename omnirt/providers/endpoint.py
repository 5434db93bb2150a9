"""Resolution: settings, configuration file and environment to one endpoint, or a typed problem. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field, structs

from omnirt.protocol.types import ProviderName
from omnirt.providers import urls
from omnirt.providers.advice import no_key, no_url
from omnirt.providers.auth import (
    authorize,
    bearer,
    carries_key,
    check_key,
    collect_headers,
    placement,
    secrets_of,
    userinfo_as_header,
)
from omnirt.providers.choice import chosen_url, model_of, provider_of
from omnirt.providers.keys import Credential, KeySearch, key_search
from omnirt.providers.known import known_secrets
from omnirt.providers.local import LocalProblem, LocalSettings, local_plan
from omnirt.providers.redaction import mask_headers, mask_url
from omnirt.providers.settings import (
    FILE_PLACE,
    SESSION_PLACE,
    ConnectionSettings,
    Found,
    ReconnectSettings,
    SimulatorSettings,
    Sources,
    TracingSettings,
    parse_settings,
)
from omnirt.providers.urls import UrlProblem
from omnirt.specs.problems import Place


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a session connects, and as whom.

    Args:
        provider: Which kind of service it is.
        url: For the SDK, as it stands; empty for what is opened later, on this machine.
        headers: All of them: the SDK adds no authorization to headers it is given.
        model: In the URL and in the settings sent, the same.
        warnings: For the user's eyes.
        simulator: The offline provider's profile.
        local: The parts of the provider on this machine.
        tracing: Whether, and under which names, the provider keeps a trace.
        secrets: What must not be seen in any text.
        search: What is still to be looked for, as nobody gave a key; see `completed`.
        reconnect: How a lost connection is opened anew; None when it is not.
    """

    provider: ProviderName
    url: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    model: str
    warnings: tuple[str, ...] = ()
    simulator: SimulatorSettings = field(default_factory=SimulatorSettings)
    local: LocalSettings = field(default_factory=LocalSettings)
    tracing: bool | TracingSettings = False
    secrets: tuple[str, ...] = ()
    search: KeySearch | None = None
    reconnect: ReconnectSettings | None = field(default_factory=ReconnectSettings)

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
    found: Credential | None = None,
) -> Endpoint:
    """The endpoint of a session, complete.

    Args:
        settings: `settings` of session.start.
        config: The configuration file.
        env: Environment variables, which come last.
        spec_model: `realtime_settings.model_name`, used when no setting names a model.
        found: What the keyring or Entra has, when nobody gave a key.

    Raises:
        OmnirtError: `invalid_params` with a path below `$.settings` or in the file, or
            `endpoint_unresolved` with what would do.
    """
    return completed(outline(settings, config, env, spec_model), found)


def outline(
    settings: ConnectionSettings | Mapping[str, Any] | None,
    config: ConnectionSettings | Mapping[str, Any] | None,
    env: Mapping[str, str],
    spec_model: str | None = None,
) -> Endpoint:
    """The endpoint, which may still want a key that is kept elsewhere: see its `search`, and `completed`."""
    session = _parsed(settings, SESSION_PLACE)
    file = _parsed(config, FILE_PLACE)
    sources = Sources(session, file, env)
    endpoint = _outline(sources, spec_model)
    secrets = dict.fromkeys((*endpoint.secrets, *known_secrets(sources)))
    return structs.replace(endpoint, secrets=tuple(secrets), reconnect=_reconnect(sources))


def _outline(sources: Sources, spec_model: str | None) -> Endpoint:
    tracing = _tracing(sources)
    chosen = sources.find("provider")
    if chosen is not None and chosen.value == "simulator":
        profile = sources.find("simulator")
        return Endpoint(
            provider="simulator",
            model=model_of(sources, spec_model, azure=False)[0],
            simulator=SimulatorSettings() if profile is None else profile.value,
            tracing=tracing,
        )
    if chosen is not None and chosen.value == "local":
        return _local(sources, tracing)
    return _remote(sources, None if chosen is None else chosen.value, spec_model, tracing)


def completed(endpoint: Endpoint, found: Credential | None, tried: Sequence[str] = ()) -> Endpoint:
    """An endpoint with the key that was looked for.

    Args:
        endpoint: As `outline` made it.
        found: The key, if there is one.
        tried: Sentences on where it was looked for in vain.

    Raises:
        OmnirtError: `endpoint_unresolved`, when nothing was found and the provider does nothing without.
    """
    search = endpoint.search
    if search is None:
        return endpoint
    url, headers = endpoint.url, dict(endpoint.headers)
    if found is None:
        if search.required:
            raise no_key(endpoint.provider, *tried)
        return structs.replace(endpoint, search=None)
    if found.kind == "token":
        headers = bearer(headers, found.secret)
    else:
        secret = check_key(Found("openai_api_key", found.secret, 3, f"The key in {found.place}"))
        url, headers = authorize(url, headers, secret, search.placement)
    return structs.replace(
        endpoint,
        url=url,
        headers=MappingProxyType(headers),
        warnings=(*endpoint.warnings, *_in_the_clear(url, headers)),
        secrets=secrets_of(url, headers, *endpoint.secrets, found.secret),
        search=None,
    )


def _remote(
    sources: Sources, chosen: ProviderName | None, spec_model: str | None, tracing: bool | TracingSettings
) -> Endpoint:
    found = chosen_url(sources, chosen)
    provider = chosen or provider_of(found, sources)
    azure = provider == "azure"
    warnings: list[str] = []
    model, named = model_of(sources, spec_model, azure=azure)
    url = _url(sources, found, provider, model, warnings)
    in_url = urls.model_in(url)
    if in_url is not None and in_url != model:
        if named is not None:
            warnings.append(f"The URL names the model `{in_url}`; {named.label} is not used.")
        model = in_url
    url, headers = userinfo_as_header(url, collect_headers(sources))
    search = key_search(sources, provider, url, headers)
    place = placement(sources, azure=azure)
    key = sources.key(azure)
    secret = None if key is None else check_key(key)
    if secret is not None and search is None and not carries_key(url, headers):
        url, headers = authorize(url, headers, secret, place)
    return Endpoint(
        provider=provider,
        url=url,
        headers=MappingProxyType(headers),
        model=model,
        warnings=(*warnings, *_in_the_clear(url, headers)),
        tracing=tracing,
        secrets=secrets_of(url, headers),
        search=search,
    )


def _local(sources: Sources, tracing: bool | TracingSettings) -> Endpoint:
    found = sources.find("local")
    settings: LocalSettings = LocalSettings() if found is None else found.value
    try:
        plan = local_plan(settings)
    except LocalProblem as problem:
        assert found is not None, "nothing is wrong with the defaults"
        raise found.problem(str(problem), problem.member) from None
    return Endpoint(
        provider="local",
        model=plan.model,
        local=settings,
        warnings=plan.warnings,
        tracing=tracing,
        secrets=plan.secrets,
    )


def _in_the_clear(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    if carries_key(url, headers) and urls.is_plain_remote(url):
        return ("The key goes to another machine without encryption; use wss:// or https://.",)
    return ()


def _parsed(settings: ConnectionSettings | Mapping[str, Any] | None, place: Place) -> ConnectionSettings:
    if isinstance(settings, ConnectionSettings):
        return settings
    return parse_settings(None if settings is None else dict(settings), place, ConnectionSettings)


def _tracing(sources: Sources) -> bool | TracingSettings:
    found = sources.find("tracing")
    return False if found is None else found.value


def _reconnect(sources: Sources) -> ReconnectSettings | None:
    found = sources.find("reconnect")
    if found is None or found.value is True:
        return ReconnectSettings()
    return found.value or None


def _url(
    sources: Sources, found: Found | None, provider: ProviderName, model: str, warnings: list[str]
) -> str:
    if found is None:
        if provider == "openai":
            return urls.from_base(urls.OPENAI_URL, model, azure=False)
        raise no_url(provider)
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
