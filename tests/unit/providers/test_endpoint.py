"""Endpoint resolution as one table (endpoints.yaml): settings, file and environment to an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.providers.endpoint import resolve

KEY = "sk-test-canary"


class Row(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is given, in each case."""

    title: str
    settings: dict[str, Any] = {}
    config: dict[str, Any] = {}
    env: dict[str, str] = {}


class Resolved(Row, kw_only=True):
    """A case that has an endpoint; what is None is not looked at."""

    spec_model: str | None = None
    provider: str | None = None
    url: str | None = None
    headers: dict[str, str] | None = None
    model: str | None = None
    warns: str | None = None


class Problem(Row, kw_only=True):
    """A case that has none: the kind, the path or setting it names, and words of the message."""

    kind: str
    says: str
    at: str | None = None


class Table(Struct, forbid_unknown_fields=True):
    """The file."""

    resolved: list[Resolved]
    problems: list[Problem]


TABLE = msgspec.yaml.decode((Path(__file__).parent / "endpoints.yaml").read_bytes(), type=Table)


@pytest.mark.parametrize("row", TABLE.resolved, ids=[row.title for row in TABLE.resolved])
def test_settings_resolve_to_an_endpoint(row: Resolved) -> None:
    endpoint = resolve(row.settings, row.config, row.env, row.spec_model)
    for name in ("provider", "url", "model"):
        expected = getattr(row, name)
        assert expected is None or getattr(endpoint, name) == expected
    assert row.headers is None or dict(endpoint.headers) == row.headers
    if row.warns is None:
        assert endpoint.warnings == ()
    else:
        assert row.warns in " ".join(endpoint.warnings)
    assert KEY not in repr(endpoint)


@pytest.mark.parametrize("row", TABLE.problems, ids=[row.title for row in TABLE.problems])
def test_what_gives_no_endpoint_says_what_would(row: Problem) -> None:
    with pytest.raises(OmnirtError) as caught:
        resolve(row.settings, row.config, row.env)
    error = caught.value
    assert error.kind == row.kind
    assert row.at in (None, error.facts.get("path"), error.facts.get("setting"))
    assert row.says in error.message
    assert KEY not in f"{error.message}{error.facts}"


def test_the_table_is_long_enough_and_its_titles_differ() -> None:
    titles = [row.title for row in (*TABLE.resolved, *TABLE.problems)]
    assert len(set(titles)) == len(titles) >= 60


def test_the_models_in_url_and_settings_agree() -> None:
    for row in TABLE.resolved:
        endpoint = resolve(row.settings, row.config, row.env, row.spec_model)
        query = parse_qs(urlsplit(endpoint.url).query)
        assert {*query.get("model", []), *query.get("deployment", [])} <= {endpoint.model}


def test_profile_and_tracing_come_along() -> None:
    settings = {"provider": "simulator", "simulator": {"script": "a.yaml", "speed": 20}}
    endpoint = resolve(settings, {"tracing": True}, {})
    assert (endpoint.simulator.script, endpoint.simulator.speed) == ("a.yaml", 20)
    assert endpoint.tracing is True
    named = resolve({"api_key": KEY, "tracing": {"workflow_name": "w"}}, {"tracing": True}, {}).tracing
    assert not isinstance(named, bool)
    assert named.workflow_name == "w"
    assert resolve({"api_key": KEY}, {}, {}).tracing is False


def test_headers_cannot_be_changed_afterwards() -> None:
    headers: Any = resolve({"api_key": KEY}, {}, {}).headers
    with pytest.raises(TypeError):
        headers["X"] = "y"
