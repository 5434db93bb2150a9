"""What can be found out without a network: versions, folders, settings."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from msgspec import UNSET

from omnirt import __version__
from omnirt.doctor.findings import Findings, Setting
from omnirt.errors import OmnirtError
from omnirt.providers.config import FILE_NAME, load_config
from omnirt.providers.redaction import MASK, mask, mask_headers, mask_url
from omnirt.providers.settings import (
    HEADER_KEYS,
    KEY_NAMES,
    ConnectionSettings,
    Found,
    Sources,
    header_table,
)
from omnirt.storage.paths import database_path, default_config_dir

_PACKAGES: Final = ("openai-agents", "openai", "websockets", "keyring", "azure-identity", "python-socks")
_URLS: Final = ("openai_realtime_url", "openai_realtime_base_url", "openai_base_url", "azure_openai_endpoint")
_NETWORK: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
_BYTES_PER_HOUR: Final = 2 * 48_000 * 3600
"""Of a recording of both sides."""
_GIB: Final = 1024**3


def find_versions(findings: Findings) -> None:
    """Of omnirt and of what it runs on; optional packages only when they are there."""
    findings.versions = {
        "omnirt": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "sqlite": sqlite3.sqlite_version,
    }
    for name in _PACKAGES:
        try:
            findings.versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def find_config(findings: Findings, path: Path | None) -> ConnectionSettings | None:
    """The configuration file, checked; None when it can't be used."""
    place = path or default_config_dir() / FILE_NAME
    try:
        settings = load_config(path, default_config_dir())
    except OmnirtError as error:
        findings.add("configuration", "fail", f"{place}: {error.message}")
        return None
    if not place.exists():
        findings.add("configuration", "ok", f"no file at {place}; none is needed")
    elif _holds_key(settings) and place.stat().st_mode & 0o077:
        findings.add(
            "configuration", "warn", f"{place} holds a key and others can read it: chmod 600 {place}"
        )
    else:
        findings.add("configuration", "ok", str(place))
    return settings


def find_settings(findings: Findings, config: ConnectionSettings, env: Mapping[str, str]) -> None:
    """Every setting that somebody gave, masked."""
    sources = Sources(ConnectionSettings(), config, env)
    key = sources.key(azure=False)
    for name in ConnectionSettings.__struct_fields__:
        found = sources.find(name)
        if found is not None and name in KEY_NAMES and found != key:
            continue  # one key counts, whatever its names
        if found is not None:
            source = "configuration file" if found.rank == 1 else found.label.removeprefix("The variable ")
            findings.settings.append(Setting(name, source, _masked(found)))
        elif getattr(config, name) is not UNSET:
            findings.settings.append(Setting(name, "configuration file", "nothing, its variable is hidden"))
    if env.get("AZURE_OPENAI_API_KEY", "").strip():
        findings.settings.append(Setting("openai_api_key", "AZURE_OPENAI_API_KEY, for Azure alone", MASK))
    for variable in _NETWORK:
        for name in (variable, variable.lower()):
            if env.get(name, "").strip():
                findings.settings.append(Setting(variable.lower(), name, _shown_url(env[name])))


def find_storage(findings: Findings, data_dir: Path) -> None:
    """Whether conversations can be stored, and how many."""
    there = data_dir
    while not there.exists() and there != there.parent:
        there = there.parent
    problem = _write_problem(there)
    if problem is not None:
        findings.add("data folder", "fail", f"{data_dir}: {problem}; choose another with --data-dir")
        return
    database = database_path(data_dir)
    if there != data_dir:
        state = "is made by the first session"
    elif database.exists():
        state = f"with a database of {database.stat().st_size // 1024} KiB"
    else:
        state = "is empty"
    findings.add("data folder", "ok", f"{data_dir} {state}")
    free = shutil.disk_usage(there).free
    hours = free // _BYTES_PER_HOUR
    detail = f"{free / _GIB:.1f} GiB, for some {hours} hours of recordings"
    findings.add("free disk", "ok" if hours >= 3 else "warn" if hours else "fail", detail)


def _write_problem(folder: Path) -> str | None:
    if not folder.is_dir():
        return "it is no folder"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return "it can't be written"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"it can't be written ({error.strerror})"


def _holds_key(settings: ConnectionSettings) -> bool:
    names = (*KEY_NAMES, *HEADER_KEYS)
    return any(getattr(settings, name) not in (UNSET, None) for name in names)


def _masked(found: Found) -> str:
    if found.name in KEY_NAMES:
        return MASK
    if found.name in _URLS:
        return _shown_url(str(found.value))
    if found.name in HEADER_KEYS:
        try:
            table = header_table(found)
        except OmnirtError:
            return MASK
        shown = mask_headers({name: str(value) for name, value in table.items()})
        return ", ".join(f"{name}: {value}" for name, value in shown.items())
    if not isinstance(found.value, str | int | float):
        return "given"
    return mask(str(found.value))


def _shown_url(text: str) -> str:
    """A URL without its secrets; a host alone, as Azure's endpoint may be, has none."""
    if "://" in text:
        return mask_url(text)
    return MASK + text.rpartition("@")[2] if "@" in text else mask(text)
