"""Keys that no setting gives: from a real keyring in a file, and from a real token service."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from keyrings.alt.file import PlaintextKeyring

from omnirt.errors import OmnirtError
from omnirt.providers import credentials, keyring_store
from omnirt.providers.endpoint import Endpoint, outline
from tests.support.identity import TOKEN, TokenService, token_service

STORED = "sk-stored-canary"
AZURE = {"azure_openai_endpoint": "https://res.openai.azure.com", "azure_openai_deployment_name": "dep"}


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[PlaintextKeyring]:
    """A keyring in a file of its own."""
    before = keyring.get_keyring()
    backend = PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenService]:
    """A token service that azure-identity asks."""
    with token_service() as service:
        for name, value in service.env.items():
            monkeypatch.setenv(name, value)
        yield service


def complete(settings: Mapping[str, Any], env: Mapping[str, str] | None = None) -> Endpoint:
    """The endpoint that a session gets."""
    return asyncio.run(credentials.complete(outline(settings, {}, env or {})))


def refused(settings: Mapping[str, Any], env: Mapping[str, str] | None = None) -> OmnirtError:
    with pytest.raises(OmnirtError) as caught:
        complete(settings, env)
    assert "canary" not in f"{caught.value.message}{caught.value.data}"
    assert TOKEN not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("name", "settings", "header"),
    [
        ("openai", {}, ("Authorization", f"Bearer {STORED}")),
        ("api.openai.com", {}, ("Authorization", f"Bearer {STORED}")),
        ("azure", AZURE, ("api-key", STORED)),
        ("res.openai.azure.com", AZURE, ("api-key", STORED)),
        (
            "localhost:8080",
            {"openai_base_url": "http://localhost:8080"},
            ("Authorization", f"Bearer {STORED}"),
        ),
        (
            "h.test",
            {"openai_base_url": "https://h.test", "openai_realtime_force_api_key_header": "on"},
            ("api-key", STORED),
        ),
    ],
)
def test_a_stored_key_is_used_for_its_own_place(
    ring: PlaintextKeyring, name: str, settings: Mapping[str, Any], header: tuple[str, str]
) -> None:
    keyring_store.put(name, STORED)
    endpoint = complete(settings)
    assert dict(endpoint.headers) == dict([header])
    assert STORED in endpoint.secrets
    assert "canary" not in repr(endpoint)
    assert endpoint.search is None


@pytest.mark.parametrize("name", ["openai", "azure", "h.test:8443", "localhost"])
def test_a_stored_key_goes_to_no_other_place(ring: PlaintextKeyring, name: str) -> None:
    keyring_store.put(name, STORED)
    assert dict(complete({"openai_base_url": "https://h.test/v1"}).headers) == {}
    assert dict(complete({"provider": "compatible", "openai_base_url": "https://h.test"}).headers) == {}


def test_the_key_of_a_host_comes_before_that_of_its_provider(ring: PlaintextKeyring) -> None:
    keyring_store.put("azure", "sk-other")
    keyring_store.put("res.openai.azure.com", STORED)
    assert complete(AZURE).headers["api-key"] == STORED


def test_settings_and_variables_come_before_the_keyring(ring: PlaintextKeyring) -> None:
    keyring_store.put("openai", STORED)
    assert complete({"api_key": "sk-a"}).headers["Authorization"] == "Bearer sk-a"
    assert complete({}, {"OPENAI_API_KEY": "sk-b"}).headers["Authorization"] == "Bearer sk-b"
    own = {"headers": {"authorization": "Bearer c"}}
    assert dict(complete(own).headers) == {"authorization": "Bearer c"}


def test_a_null_key_hides_the_keyring_too(ring: PlaintextKeyring) -> None:
    keyring_store.put("openai", STORED)
    assert refused({"api_key": None}).kind == "endpoint_unresolved"


def test_a_stored_key_that_no_header_can_hold_is_refused_without_being_shown(ring: PlaintextKeyring) -> None:
    keyring_store.put("openai", "canary key")
    error = refused({})
    assert error.kind == "endpoint_unresolved"
    assert "the keyring (`openai`)" in error.message


def test_without_a_stored_key_the_settings_are_named(ring: PlaintextKeyring) -> None:
    error = refused({})
    assert "omnirt auth set openai" in error.message
    assert "locked" not in error.message


class Locked(KeyringBackend):
    """A keyring whose user is not there."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("canary")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("canary")

    def delete_password(self, service: str, username: str) -> None:
        raise KeyringLocked("canary")


def test_a_locked_keyring_says_so(ring: PlaintextKeyring) -> None:
    keyring.set_keyring(Locked())  # type: ignore[no-untyped-call] # the library's own constructor
    error = refused({})
    assert error.kind == "endpoint_unresolved"
    assert "KeyringLocked" in error.message
    assert complete({"openai_base_url": "http://localhost:1"}).headers == {}


def test_a_keyring_that_blocks_holds_nothing_up(
    ring: PlaintextKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    class Blocking(Locked):
        def get_password(self, service: str, username: str) -> str | None:
            released.wait(20)
            return None

    keyring.set_keyring(Blocking())  # type: ignore[no-untyped-call] # as above
    monkeypatch.setattr(credentials, "KEYRING_S", 0.05)
    try:
        assert "did not answer within 0.05 s" in refused({}).message
    finally:
        released.set()


def test_without_the_package_nothing_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert refused({}).kind == "endpoint_unresolved"
    with pytest.raises(keyring_store.KeyringProblem, match=r"omnirt-daemon\[keyring\]"):
        keyring_store.backend()


# -- Microsoft Entra


@pytest.mark.parametrize(
    ("settings", "env"),
    [
        (AZURE, {}),
        ({**AZURE, "api_key": None}, {"OPENAI_API_KEY": "sk-canary"}),
        ({**AZURE, "azure_openai_use_entra": "yes"}, {"OPENAI_API_KEY": "sk-canary"}),
        (AZURE, {"AZURE_OPENAI_USE_ENTRA": "1", "AZURE_OPENAI_API_KEY": "sk-canary"}),
        (
            {"provider": "azure", "azure_openai_endpoint": "https://gw.test", "azure_openai_use_entra": True},
            {},
        ),
    ],
)
def test_a_token_of_entra_stands_in_for_a_key(
    tokens: TokenService, settings: Mapping[str, Any], env: Mapping[str, str]
) -> None:
    endpoint = complete(settings, env)
    assert dict(endpoint.headers) == {"Authorization": f"Bearer {TOKEN}"}
    assert TOKEN in endpoint.secrets
    assert TOKEN not in repr(endpoint)
    assert tokens.resources() == ["https://cognitiveservices.azure.com"]


def test_each_start_asks_anew(tokens: TokenService) -> None:
    complete(AZURE)
    complete(AZURE)
    assert len(tokens.asked) == 2


def test_the_government_cloud_has_a_scope_of_its_own(tokens: TokenService) -> None:
    complete({"azure_openai_endpoint": "https://res.openai.azure.us"})
    assert tokens.resources() == ["https://cognitiveservices.azure.us"]


@pytest.mark.parametrize(
    ("settings", "env"),
    [
        ({**AZURE, "azure_openai_use_entra": False}, {}),
        ({**AZURE, "azure_openai_use_entra": None}, {}),
        ({"provider": "azure", "azure_openai_endpoint": "https://gw.test"}, {}),
        ({"provider": "openai"}, {"AZURE_OPENAI_USE_ENTRA": "1"}),
    ],
)
def test_entra_is_not_asked_where_it_is_unwanted(
    tokens: TokenService, settings: Mapping[str, Any], env: Mapping[str, str]
) -> None:
    assert refused(settings, env).kind == "endpoint_unresolved"
    assert tokens.asked == []


def test_a_header_of_ones_own_comes_before_entra(tokens: TokenService) -> None:
    settings = {**AZURE, "azure_openai_use_entra": True, "headers": {"Authorization": "Bearer own"}}
    assert dict(complete(settings).headers) == {"Authorization": "Bearer own"}
    assert tokens.asked == []


def test_entra_for_another_provider_is_a_mistake_of_the_hosts() -> None:
    error = refused({"api_key": "sk-canary", "azure_openai_use_entra": True})
    assert (error.kind, error.facts["path"]) == ("invalid_params", "$.settings.azure_openai_use_entra")


def test_entra_that_refuses_is_auth_failed_when_it_was_asked_for(tokens: TokenService) -> None:
    tokens.status = 400
    error = refused({**AZURE, "azure_openai_use_entra": True})
    assert error.kind == "auth_failed"
    assert "az login" in error.message
    unasked = refused(AZURE)
    assert unasked.kind == "endpoint_unresolved"
    assert "az login" in unasked.message
    assert "openai_api_key" in unasked.message


def test_entra_that_hangs_is_unreachable(tokens: TokenService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "ENTRA_S", 0.05)
    tokens.hold.clear()
    error = refused({**AZURE, "azure_openai_use_entra": True})
    assert (error.kind, error.retryable, error.facts["reason"]) == ("provider_unreachable", True, "entra")


def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    for settings in (AZURE, {**AZURE, "azure_openai_use_entra": True}):
        error = refused(settings)
        assert error.kind == "endpoint_unresolved"
        assert "pip install 'omnirt-daemon[azure]'" in error.message
