"""`omnirt doctor`: looks at everything a session needs, in order, and says what is wrong."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from msgspec import structs

from omnirt.doctor.findings import Findings
from omnirt.doctor.local import find_config, find_settings, find_storage, find_versions
from omnirt.doctor.report import show
from omnirt.errors import OmnirtError
from omnirt.providers.credentials import find
from omnirt.providers.endpoint import Endpoint, completed, outline
from omnirt.providers.keys import Credential
from omnirt.providers.proxies import proxy_for
from omnirt.providers.redaction import mask_headers, mask_url
from omnirt.providers.settings import ConnectionSettings
from omnirt.sessions.on_machine import open_here
from omnirt.sessions.services import Services
from omnirt.storage.paths import default_data_dir
from omnirt.terminal import Help, examples


def run(argv: Sequence[str]) -> int:
    """Runs the command; 0 when all is well, 1 when something is not, 2 for wrong arguments."""
    args = _parser().parse_args(argv)
    findings = Findings()
    find_versions(findings)
    config = find_config(findings, args.config)
    data_dir = args.data_dir or default_data_dir()
    find_storage(findings, data_dir)
    if config is not None:
        find_settings(findings, config, os.environ)
        try:
            asyncio.run(_endpoint(findings, config, data_dir, offline=args.offline))
        except OmnirtError as error:
            findings.add("endpoint", "fail", error.message)
        except KeyboardInterrupt:
            findings.add("endpoint", "fail", "interrupted")
    show(findings, sys.stdout, as_json=args.json)
    return 0 if findings.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omnirt doctor",
        description="Settings and where they come from, folders, versions, and a real connection to the "
        "provider, which costs some ten tokens. No secret is shown.",
        epilog=examples(
            "omnirt doctor",
            "omnirt doctor --offline --json",
            "omnirt doctor --config config.toml",
            before="Settings that a host passes to session.start are not known here: put them into a file, "
            "and name it with --config.",
        ),
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--offline", action="store_true", help="connect to nothing")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, default=_variable("OMNIRT_CONFIG"), help="as for serve"
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", type=Path, default=_variable("OMNIRT_DATA_DIR"), help="as for serve"
    )
    return parser


def _variable(name: str) -> Path | None:
    text = os.environ.get(name, "")
    return Path(text) if text else None


async def _endpoint(findings: Findings, config: ConnectionSettings, data_dir: Path, *, offline: bool) -> None:
    """Find the endpoint with its key, tell of it, and connect.

    Raises:
        OmnirtError: There is no endpoint.
    """
    wanted = outline(None, config, os.environ)
    if offline and wanted.search is not None and wanted.search.entra != "never":
        # Entra is a server as well.
        findings.add("Microsoft Entra", "skipped", "not asked for a token, as --offline says")
        wanted = structs.replace(wanted, search=structs.replace(wanted.search, entra="never", required=False))
    found, tried = await find(wanted)
    endpoint = completed(wanted, found, tried)
    _describe(findings, endpoint, found)
    for warning in endpoint.warnings:
        findings.add("endpoint", "warn", warning)
    if offline:
        findings.add("connection", "skipped", "not tried, as --offline says")
        return
    from omnirt.doctor.probe import probe  # with a connection only, as it brings websockets

    async with AsyncExitStack() as stack:
        if not endpoint.url:
            services = Services.standalone(data_dir, os.environ)
            stack.push_async_callback(services.close)
            endpoint = await open_here(endpoint, services, stack)
        await probe(endpoint, findings)


def _describe(findings: Findings, endpoint: Endpoint, found: Credential | None) -> None:
    proxy = proxy_for(endpoint.url)
    findings.endpoint = {
        "provider": endpoint.provider,
        "url": endpoint.shown_url or "of the session's own, on this machine",
        "model": endpoint.model,
        "headers": mask_headers(endpoint.headers),
        "keyFrom": None if found is None else found.place,
        "proxy": None if proxy is None else mask_url(proxy),
    }
