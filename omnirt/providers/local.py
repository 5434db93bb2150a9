"""The settings of the provider `local`: the services that may stand in for its parts, checked."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

from msgspec import Meta, Struct

from omnirt.providers import urls
from omnirt.providers.redaction import url_secrets
from omnirt.providers.urls import UrlProblem

Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=8192)] | None

SERVICES: Final = ("chat", "transcription", "speech")
_MEMBERS: Final = ("base_url", "model", "api_key")


class LocalSettings(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True, omit_defaults=True):
    """How the provider on this machine hears, thinks and speaks, and which services do it in its place."""

    chat_base_url: Words = None
    chat_model: Words = None
    chat_api_key: Words = None
    transcription_base_url: Words = None
    transcription_model: Words = None
    transcription_api_key: Words = None
    speech_base_url: Words = None
    speech_model: Words = None
    speech_api_key: Words = None
    voice: Words = None
    service_timeout_s: Annotated[float, Meta(gt=0, le=600)] = 60.0
    script: str | dict[str, Any] | None = None
    detector: Literal["auto", "silero", "floor"] = "auto"
    synthesiser: Literal["auto", "hibari", "espeak-ng"] = "auto"
    model_dir: Words = None
    model_size: Literal["tiny", "base"] = "tiny"
    download: bool = False

    def __repr__(self) -> str:
        """Names only: some of the values are secrets."""
        default = LocalSettings.__struct_defaults__
        named = zip(self.__struct_fields__, default, strict=True)
        given = [name for name, value in named if getattr(self, name) != value]
        return f"LocalSettings({', '.join(f'{name}=…' for name in given)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """As the plain repr: the one that structs have would show all."""
        return [("", repr(self))]


class LocalProblem(ValueError):
    """What is wrong with a member of the settings, in words.

    Args:
        member: Its name.
        what: The words.
    """

    def __init__(self, member: str, what: str) -> None:
        super().__init__(what)
        self.member = member


class LocalPlan(NamedTuple):
    """What the settings come to: the model that is told, what is secret, and what to warn of."""

    model: str
    secrets: tuple[str, ...]
    warnings: tuple[str, ...]


def local_plan(settings: LocalSettings) -> LocalPlan:
    """Check the settings.

    Raises:
        LocalProblem: Which member is wrong, and how.
    """
    secrets: list[str] = []
    warnings: list[str] = []
    for service in SERVICES:
        url, model, key = (
            getattr(settings, f"{service}_{name}") for name in ("base_url", "model", "api_key")
        )
        if url is None:
            if model is not None or key is not None:
                raise LocalProblem(f"{service}_base_url", "is missing, but the rest of the service is there")
            continue
        if model is None:
            raise LocalProblem(f"{service}_model", f"is missing: which model of {service}_base_url to use")
        try:
            socket_url = urls.split(url).geturl()
        except UrlProblem as problem:
            raise LocalProblem(f"{service}_base_url", str(problem)) from None
        if not url.strip().lower().startswith("http"):
            raise LocalProblem(f"{service}_base_url", "a URL of this service begins with http:// or https://")
        secrets += [*url_secrets(url), *([key] if key is not None else [])]
        if key is not None and urls.is_plain_remote(socket_url):
            warnings.append(f"The key of the {service} service goes to another machine without encryption.")
    return LocalPlan(settings.chat_model or "local", tuple(secrets), tuple(warnings))
