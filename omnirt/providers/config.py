"""The configuration file: TOML with the same connection settings that session.start takes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from omnirt.providers.settings import ConnectionSettings, parse_settings
from omnirt.specs.documents import read_document
from omnirt.specs.problems import Place

FILE_NAME: Final = "config.toml"


def load_config(path: Path | None, folder: Path) -> ConnectionSettings:
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
            return ConnectionSettings()
    place = Place("invalid_params", "$", path)
    if path.suffix.lower() != ".toml":
        raise place.problem("The configuration file is a .toml file")
    return parse_settings(read_document(path, place), place)
