"""The connection settings of a session and of the configuration file, as one struct, and their layers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from omnirt.errors import OmnirtError
from omnirt.protocol.types import ProviderName
from omnirt.providers.local import LocalSettings
from omnirt.providers.redaction import mask
from omnirt.specs.problems import Place, convert

Text: TypeAlias = Annotated[str, Meta(max_length=8192)] | UnsetType | None
Flag: TypeAlias = bool | int | str | UnsetType | None
HeaderTable: TypeAlias = dict[str, Any] | UnsetType | None

HEADER_KEYS: Final = ("headers", "extra_headers", "openai_headers", "openai_extra_headers")
KEY_NAMES: Final = ("openai_api_key", "api_key")
# Session settings and file spell the key two ways; both stand for the one variable.
_VARIABLES: Final = {"openai_api_key": "OPENAI_API_KEY", "api_key": "OPENAI_API_KEY"}
_NO_VARIABLE: Final = frozenset({"provider", "simulator", "local", "tracing", "reconnect"})
SESSION_PLACE: Final = Place("invalid_params", "$.settings")
FILE_PLACE: Final = Place("invalid_params", "$")

S = TypeVar("S", bound="ConnectionSettings")


class SimulatorSettings(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True, omit_defaults=True):
    """How the offline provider behaves: its script (a path, or the script itself), and how fast."""

    script: str | dict[str, Any] | None = None
    speed: Annotated[float, Meta(gt=0, le=1000)] = 1.0


class TracingSettings(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True, omit_defaults=True):
    """What the provider's trace of a session is called."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: dict[str, Any] | None = None


class ReconnectSettings(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True, omit_defaults=True):
    """How often, how patiently and how long a lost connection is opened anew."""

    attempts: Annotated[int, Meta(ge=1, le=1000)] = 10
    max_delay_ms: Annotated[int, Meta(ge=0, le=600_000)] = 10_000
    deadline_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 120_000


class ConnectionSettings(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, dict=True):
    """`settings` of session.start, and the configuration file. A member that is null hides its variable."""

    provider: ProviderName | UnsetType | None = UNSET
    openai_api_key: Text = UNSET
    api_key: Text = UNSET
    openai_realtime_url: Text = UNSET
    openai_realtime_base_url: Text = UNSET
    openai_base_url: Text = UNSET
    openai_realtime_model: Text = UNSET
    azure_openai_endpoint: Text = UNSET
    azure_openai_deployment_name: Text = UNSET
    openai_realtime_deployment: Text = UNSET
    azure_openai_api_version: Text = UNSET
    headers: HeaderTable = UNSET
    extra_headers: HeaderTable = UNSET
    openai_headers: HeaderTable = UNSET
    openai_extra_headers: HeaderTable = UNSET
    openai_realtime_force_api_key_header: Flag = UNSET
    openai_realtime_api_key_in_query: Flag = UNSET
    azure_openai_use_entra: Flag = UNSET
    simulator: SimulatorSettings | UnsetType | None = UNSET
    local: LocalSettings | UnsetType | None = UNSET
    tracing: bool | TracingSettings | UnsetType | None = UNSET
    reconnect: bool | ReconnectSettings | UnsetType | None = UNSET

    @property
    def place(self) -> Place | None:
        """Where they were read, for errors about them; no member, as nobody may set it."""
        return self.__dict__.get("place_")

    def __repr__(self) -> str:
        """Names only: any of the values may be, or hold, a secret."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not UNSET]
        return f"ConnectionSettings({', '.join(f'{name}=…' for name in given)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """As the plain repr: the one that structs have would show all."""
        return [("", repr(self))]


def parse_settings(document: object, place: Place, shape: type[S]) -> S:
    """Settings as a host or a file gave them: `ConnectionSettings`, or what a file may hold besides.

    Raises:
        OmnirtError: Of the place's kind, with the path of an unknown or unfit member.
    """
    if document is None:
        return shape()
    try:
        settings = _parse(document, place, shape)
        settings.__dict__["place_"] = place
        return settings
    except OmnirtError as error:
        # A key in the wrong place would be quoted as a value that does not fit.
        facts = {name: mask(fact) if isinstance(fact, str) else fact for name, fact in error.facts.items()}
        raise OmnirtError(error.kind, mask(error.message), retryable=error.retryable, **facts) from None


def _parse(document: object, place: Place, shape: type[S]) -> S:
    groups = (shape, SimulatorSettings, LocalSettings, TracingSettings, ReconnectSettings)
    names = frozenset(name for group in groups for name in group.__struct_fields__)
    hints = {name.upper(): f"is spelled `{name}` here" for name in shape.__struct_fields__}
    return convert(document, shape, place, hints=hints, names=names)


class Found(Struct, frozen=True):
    """A setting, and where it was found: `rank` 0 is the session, 1 the file, 2 the environment.

    `place` is that of the document it stands in; None of a variable.
    """

    name: str
    value: Any
    rank: int
    label: str
    place: Place | None = None

    def __repr__(self) -> str:
        """Without the value, which may be a secret."""
        return f"Found({self.label})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """As the plain repr."""
        return [("", repr(self))]

    def problem(self, what: str, *below: str) -> OmnirtError:
        """The error about this setting: in a document it has a path, elsewhere a name."""
        if self.place is not None:
            return self.place.at(self.name, *below).problem(f"{self.label}: {what}")
        return OmnirtError("endpoint_unresolved", f"{self.label}: {what}.", setting=self.name)


class Sources:
    """The three layers: session, configuration file, environment. The first that has a member speaks.

    Args:
        session: `settings` of session.start.
        file: The configuration file.
        env: Environment variables.
    """

    def __init__(self, session: ConnectionSettings, file: ConnectionSettings, env: Mapping[str, str]) -> None:
        self.layers = (session, file)
        self._places = (session.place or SESSION_PLACE, file.place or FILE_PLACE)
        self.env = env

    def find(self, name: str, *, variable: str | None = None) -> Found | None:
        """The setting `name`; None when nobody gave it, or when null hides it."""
        for rank, layer in enumerate(self.layers):
            value = getattr(layer, name)
            if value is UNSET:
                continue
            if value is None or (isinstance(value, str) and not value.strip()):
                return None
            where = "settings" if rank == 0 else "the configuration file"
            return Found(name, value, rank, f"`{name}` in {where}", self._places[rank])
        variable = variable or _VARIABLES.get(name, name.upper())
        value = self.env.get(variable, "") if name not in _NO_VARIABLE else ""
        return Found(name, value, 2, f"The variable {variable}") if value.strip() else None

    def hidden(self, name: str) -> bool:
        """Whether a null says that there is nothing, wherever else it may be found."""
        return self.find(name) is None and any(getattr(layer, name) is not UNSET for layer in self.layers)

    def key_hidden(self) -> bool:
        """The same of the key, under either name."""
        return self.key(azure=True) is None and any(
            getattr(layer, name) is not UNSET for layer in self.layers for name in KEY_NAMES
        )

    def first(self, names: Sequence[str]) -> Found | None:
        """The strongest of several settings: of the strongest layer, the first that is named there."""
        found = [setting for setting in map(self.find, names) if setting is not None]
        return min(found, key=lambda setting: setting.rank, default=None)

    def key(self, azure: bool) -> Found | None:
        """The API key. Two names, one setting: a null under either hides the variable."""
        for rank, layer in enumerate(self.layers):
            values = {name: getattr(layer, name) for name in KEY_NAMES}
            if all(value is UNSET for value in values.values()):
                continue
            named = (self.find(name) for name, value in values.items() if value is not UNSET)
            return next((found for found in named if found is not None and found.rank == rank), None)
        if azure and self.env.get("AZURE_OPENAI_API_KEY", "").strip():
            return self.find("openai_api_key", variable="AZURE_OPENAI_API_KEY")
        return self.find("openai_api_key")


def flag(found: Found | None) -> bool:
    """A boolean in any usual spelling."""
    if found is None:
        return False
    match str(found.value).strip().lower():
        case "1" | "true" | "yes" | "y" | "on" | "t" | "enabled":
            return True
        case "0" | "false" | "no" | "n" | "off" | "f" | "disabled":
            return False
    raise found.problem("write true or false")


def header_table(found: Found) -> dict[str, Any]:
    """The headers of a setting: a table, or in a variable a JSON object or lines of `Name: value`."""
    if isinstance(found.value, dict):
        return found.value
    text = str(found.value).strip()
    if text.startswith("{"):
        try:
            table = json.loads(text)
        except ValueError:
            table = None
        if isinstance(table, dict):
            return table
    else:
        lines = [line.partition(":") for line in text.splitlines() if line.strip()]
        if all(colon for _, colon, _ in lines):
            return {name.strip(): value.strip() for name, _, value in lines}
    raise found.problem("give a JSON object of header names and values")
