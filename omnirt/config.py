"""The configuration file: TOML with the connection settings of PROTOCOL section 7."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from omnirt.providers.settings import ConnectionSettings, parse_settings
from omnirt.specs.documents import read_document
from omnirt.specs.problems import Place

FILE_NAME: Final = "config.toml"


def default_config_path() -> Path:
    """Where the file is looked for: `config.toml` in the user's configuration folder of omnirt."""
    import platformdirs

    return platformdirs.user_config_path("omnirt", appauthor=False) / FILE_NAME


def load_config(path: Path | None = None) -> ConnectionSettings:
    """The settings in the configuration file.

    Args:
        path: A file that must be there; by default the one at `default_config_path`, if it exists.

    Raises:
        OmnirtError: `invalid_params` with `file` and `path` of what is wrong in it.
    """
    if path is None:
        path = default_config_path()
        if not path.exists():
            return ConnectionSettings()
    place = Place("invalid_params", "$", path)
    if path.suffix.lower() != ".toml":
        raise place.problem("The configuration file is a .toml file")
    return parse_settings(read_document(path, place), place)
