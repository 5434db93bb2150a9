"""Reads scripts from YAML or JSON, and says exactly what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from omnirt.errors import OmnirtError
from omnirt.loopback.script import Script, is_template
from omnirt.loopback.speech import Phrasebook, find_synthesiser, no_recording


def check_sayings(script: Script, *, synthesiser: str | None) -> None:
    """Refuse a script which says what nobody can speak."""
    if synthesiser is not None:
        return
    book = Phrasebook()
    for path, text in script.sayings():
        if is_template(text) or book.names(text) is None:
            raise OmnirtError("invalid_params", no_recording(text, book), path=path)


def load_script(source: str | Path | Mapping[str, object], *, speaks_all: bool = False) -> Script:
    """Read and check a script.

    Args:
        source: The path of a YAML or JSON file, YAML text (with a line break), or the object itself.
        speaks_all: Whether there is a voice for any text, as the local provider has.

    Raises:
        OmnirtError: `invalid_params`, with `path` inside the script and `file`.
    """
    script = parse_script(source)
    if not speaks_all:
        check_sayings(script, synthesiser=find_synthesiser())
    return script


class _Yaml(yaml.SafeLoader):
    """YAML 1.2's booleans: `on`, `off`, `yes` and `no` are words, for a rule's `on:` is one."""


_Yaml.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def parse_script(source: str | Path | Mapping[str, object]) -> Script:
    """Read a script from a file, from YAML text (a string with a line break) or from an object."""
    data: object = source
    file: str | None = None
    if isinstance(source, str | Path):
        text = str(source)
        if "\n" not in text:
            file = text
            try:
                text = Path(source).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise _wrong(f"The script can't be read: {why}", "$", file) from None
        try:
            data = yaml.load(text, _Yaml)
        except yaml.YAMLError as error:
            where = str(getattr(error, "problem_mark", None) or "").strip()
            raise _wrong(f"The script is no YAML: {where}", "$", file) from None
    return _convert({} if data is None else data, file)


def _wrong(message: str, path: str, file: str | None) -> OmnirtError:
    error = OmnirtError("invalid_params", message, path=path)
    if file is not None:
        error.facts["file"] = file
    return error


def _convert(data: object, file: str | None) -> Script:
    try:
        return msgspec.convert(data, Script, strict=True)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        raise _wrong(f"The script is wrong: {message}", path.rstrip("`") or "$", file) from None
