"""The configuration file: TOML with the connection settings that session.start takes, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from omnirt.protocol.readiness import ready
from omnirt.providers.settings import ConnectionSettings, parse_settings
from omnirt.specs.documents import read_document
from omnirt.specs.problems import Place

FILE_NAME: Final = "config.toml"


class Configuration(ConnectionSettings, kw_only=True):
    """The configuration file: the settings of session.start, and how much of what is stored is kept."""

    retention_days: Annotated[float, Meta(gt=0, description="Sessions go so long after their end")] | None = (
        None
    )
    max_bytes: Annotated[int, Meta(gt=0, description="Beyond it the oldest recordings go")] | None = None


ready(Configuration)


def load_config(path: Path | None, folder: Path) -> Configuration:
    """The settings in the configuration file.

    Args:
        path: A file that must be there, as `--config` names it.
        folder: Where `config.toml` is looked for without one; it need not exist.

    Raises:
        OmnirtError: `invalid_params` with `file` and `path` of what is wrong in it.
    """
    if path is None:
        path = folder / FILE_NAME
        if not path.exists():
            return Configuration()
    place = Place("invalid_params", "$", path)
    if path.suffix.lower() != ".toml":
        raise place.problem("The configuration file is a .toml file")
    return parse_settings(read_document(path, place), place, Configuration)
