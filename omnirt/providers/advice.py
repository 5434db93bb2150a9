"""What to say when no endpoint can be found: the settings that would do, and the offline provider."""

from __future__ import annotations

from omnirt.errors import OmnirtError

_OFFLINE = "Without any account, `provider: simulator` works offline."


def no_url(provider: str) -> OmnirtError:
    """Nobody said where the provider is."""
    names = ["azure_openai_endpoint"] if provider == "azure" else ["openai_base_url", "openai_realtime_url"]
    return OmnirtError(
        "endpoint_unresolved",
        f"No URL for the provider `{provider}`: set {_listed(names)}. {_OFFLINE}",
        settings=names,
    )


def no_key(provider: str, *tried: str) -> OmnirtError:
    """Nobody gave a key; `tried` are sentences on where it was looked for in vain."""
    names = ["openai_api_key", "openai_headers"]
    variable = "OPENAI_API_KEY"
    more = ", or a URL (`openai_base_url`) of a server that needs none"
    if provider == "azure":
        names.append("azure_openai_use_entra")
        variable = "AZURE_OPENAI_API_KEY or OPENAI_API_KEY"
        more = ", or sign in with Microsoft Entra (`azure_openai_use_entra`)"
    sentences = [
        f"No key for the provider `{provider}`: set `openai_api_key` in settings or in the configuration "
        f"file, or the variable {variable}, or store one with `omnirt auth set {provider}`, "
        f"or put an authorization into `openai_headers`{more}.",
        *tried,
        _OFFLINE,
    ]
    return OmnirtError("endpoint_unresolved", " ".join(sentences), settings=names)


def _listed(names: list[str]) -> str:
    return " or ".join(f"`{name}` (variable {name.upper()})" for name in names)
