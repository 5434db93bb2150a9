"""No secret in a text, a URL, a log record or a repr."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.session_methods import SessionSendAudioParams, SessionStartParams
from omnirt.providers.endpoint import resolve
from omnirt.providers.keys import Credential
from omnirt.providers.redaction import (
    Hiding,
    SecretFilter,
    environment_secrets,
    header_secrets,
    is_secret_name,
    mask,
    mask_headers,
    mask_url,
    url_secrets,
)
from omnirt.providers.settings import ConnectionSettings, Found
from omnirt.sessions.services import Services
from omnirt.sessions.session import SessionOptions
from omnirt.storage import AudioStorage

CANARY = "canary-1f6d/+x="


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "AUTHORIZATION", "api-key", "Api_Key", "x-api-key", "apikey", "OPENAI_API_KEY"),
        *(
            "token",
            "X-Auth-Token",
            "access_token",
            "client_secret",
            "Cookie",
            "set-cookie",
            "password",
            "key",
        ),
        *("sig", "Ocp-Apim-Subscription-Key", "X-Amz-Signature", "x-amz-security-token"),
    ],
)
def test_names_of_secrets_are_known_in_any_case(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["model", "deployment", "api-version", "X-Request-Id", "max_output_tokens", "keyboard"]
)
def test_other_names_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        f"the key is {CANARY}.",
        "GET /v1/realtime?api-key=canary-1f6d%2F%2Bx%3D HTTP/1.1",
        "> Authorization: Bearer canary-1f6d",
        "> authorization: Basic Y2FuYXJ5OnNlY3JldA==",
        "{'api-key': 'canary-1f6d'}",
        '{"openai_api_key": "canary-1f6d"}',
        "wss://user:canary-1f6d@host/x?model=m",
        "https://host/x?Token=canary-1f6d&model=m",
        "Incorrect API key provided: sk-canary-1f6d. You can",
        "ek_canary1f6d0000 expired",
        "Cookie: session=canary-1f6d; x=y",
        "token=eyJcanary1f6d00.eyJcanary1f6d00.c2ln",
        "a JWT eyJcanary1f6d00.eyJcanary1f6d00.c2ln in a text",
    ],
)
def test_a_text_is_masked(text: str) -> None:
    masked = mask(text, [CANARY])
    assert "canary" not in masked
    assert "Y2FuYXJ5" not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "session s1 connected in 12 ms",
        "max_output_tokens: 1024",
        "usage: total_tokens=5",
        "the task is-done",
        "wss://h/x?model=m&a=b",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert mask(text, ["", "abc"]) == text


def test_a_masked_url_keeps_what_helps() -> None:
    url = f"wss://u:canary%2F@h.example:8/v1/realtime?model=m&api-key={CANARY}#x"
    assert mask_url(url) == "wss://***@h.example:8/v1/realtime?model=m&api-key=***"
    assert mask_url("http://[") == mask_url(f"wss://u:{CANARY}@h.example") == "***"


def test_the_secrets_of_a_url_are_found() -> None:
    assert url_secrets("wss://u:p%2Fw@h/x?model=m&key=k1&token=t1") == ("p/w", "p%2Fw", "k1", "t1")
    assert url_secrets("wss://h/x?%6bey=a%2bb+c&sig") == ("a+b+c", "a+b c", "a%2bb+c")
    assert url_secrets("u:pw@h.example") == ("pw",)
    assert url_secrets("wss://tok@h/x") == ("tok",)
    assert url_secrets("wss://h/x?model=m") == ()


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("Bearer a-token", {"Bearer a-token", "a-token"}),
        ('sid="c4nary"; theme=dark; n=1', {"c4nary"}),
        ('Digest username="u", response="0a1b2c"', {"0a1b2c"}),
    ],
)
def test_the_secrets_of_a_header_are_found(value: str, secrets: set[str]) -> None:
    found = set(header_secrets(value))
    assert secrets <= found
    assert not found & {"dark", "1", "u"}


SECRETS = (
    "canary@PW77",
    "canary%40PW77",
    "canaryQ%2b55abc",
    "canaryQ+55abc",
    "audio",
    "session_id",
    "123456789",
)


@pytest.mark.parametrize(
    "text",
    [
        "a canary@PW77",
        "a canary%40PW77",
        "a canaryQ+55abc",
        "a canaryQ%2B55abc",
        "a canaryQ%2b55abc",
        "pw12-x",
    ],
)
def test_an_event_has_no_secret_in_any_form(text: str) -> None:
    hide = Hiding(lambda: (*SECRETS, "w12", "pw12-x"))
    hidden = hide({"type": "session.updated", text: [{"text": text}]})
    assert "canary" not in str(hidden)
    assert "PW77" not in str(hidden)
    assert "pw12" not in str(hidden)
    assert hidden["type"] == "session.updated"


@pytest.mark.parametrize("text", ["response.output_audio.delta", "session_id", "the number 123456789"])
def test_words_and_numbers_of_an_event_stay(text: str) -> None:
    assert Hiding(lambda: SECRETS)({"type": text}) == {"type": text}


def test_secrets_that_come_later_are_hidden_too() -> None:
    secrets: tuple[str, ...] = ()
    hide = Hiding(lambda: secrets)
    assert hide({"a": "canary-1f6d"}) == {"a": "canary-1f6d"}
    secrets = ("canary-1f6d",)
    assert hide({"a": "canary-1f6d"}) == {"a": "***"}


def test_headers_are_masked_by_name() -> None:
    headers = {"API-KEY": "x1", "X-Note": "sk-abcdefgh", "X-A": "1"}
    assert mask_headers(headers) == {"API-KEY": "***", "X-Note": "***", "X-A": "1"}


def logged(record_secrets: SecretFilter, *args: object, error: bool = False) -> str:
    """What a handler with the filter writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(record_secrets)
    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(handler)
    logger.error(*args, exc_info=error)
    return stream.getvalue()


def test_a_log_record_is_masked_with_its_arguments_and_traceback() -> None:
    secrets = SecretFilter([CANARY])
    assert logged(secrets, "key %s for %s", CANARY, "s1") == "key *** for s1\n"
    try:
        raise ValueError(f"bad {CANARY}")
    except ValueError:
        written = logged(secrets, "failed", error=True)
    assert "ValueError" in written
    assert "canary" not in written


def test_a_record_whose_arguments_do_not_fit_leaks_nothing_and_raises_nothing() -> None:
    assert "canary" not in logged(SecretFilter(), "key %d", CANARY)


def test_the_filter_learns_secrets_and_forgets_the_oldest_of_very_many() -> None:
    secrets = SecretFilter()
    secrets.add("abc")  # too short to be one
    secrets.add(*(f"secret-{n}" for n in range(SecretFilter.MAX_SECRETS + 1)))
    assert "secret-7 " not in logged(secrets, "it is secret-7 ")
    assert repr(secrets) == f"SecretFilter({SecretFilter.MAX_SECRETS} secrets)"


def test_no_repr_holds_a_secret(tmp_path: Path) -> None:
    settings = {
        "openai_api_key": CANARY.replace("/", "-"),
        "headers": {"X-Token": "canary-2", "Cookie": "canary-3"},
        "openai_base_url": "https://u:canary-4@h.example/v1?token=canary-5",
    }
    from rich.pretty import pretty_repr

    endpoint = resolve(settings, {}, {})
    connection = ConnectionSettings(**settings)  # type: ignore[arg-type]  # a table of several types
    found = Found("api_key", "canary-6", 0, "`api_key` in settings")
    credential = Credential("token", "canary-7", "Microsoft Entra")
    options = SessionOptions(settings=settings)
    services = Services(AudioStorage(tmp_path), environ={"OPENAI_API_KEY": "canary-8"})
    params = [
        SessionStartParams(agent="a", settings=settings),
        SessionSendAudioParams(session_id="s", audio=b"canary-9"),
    ]
    for value in (endpoint, connection, found, credential, options, services, params):
        for text in (repr(value), str(value), pretty_repr(value), f"{value}", mask(repr(value))):
            assert "canary" not in text
    assert {"canary-2", "canary-3", "canary-4", "canary-5"} <= set(endpoint.secrets)


def test_an_exception_that_holds_an_endpoint_shows_none_either() -> None:
    endpoint = resolve({"api_key": "sk-canary-7"}, {}, {})
    try:
        raise RuntimeError(endpoint)
    except RuntimeError:
        import traceback

        assert "canary" not in "".join(traceback.format_exception(*sys.exc_info()))


@pytest.mark.parametrize("settings", [{"provider": "sk-canary-8"}, {"sk-canary-8": 1}])
def test_a_key_in_the_wrong_place_is_not_quoted(settings: dict[str, object]) -> None:
    with pytest.raises(OmnirtError) as caught:
        resolve(settings, {}, {})
    assert "canary" not in f"{caught.value.message}{caught.value.data}"


@pytest.mark.parametrize("provider", ["simulator", "compatible"])
def test_what_is_given_and_not_used_is_a_secret_all_the_same(provider: str) -> None:
    settings = {
        "provider": provider,
        "api_key": "canary-1",
        "openai_realtime_url": "wss://u:canary-2@h.example/realtime?token=canary-3",
        "azure_openai_endpoint": "https://canary-4@res.openai.azure.com",
        "extra_headers": {"Cookie": "canary-5", "X-Tenant": "tenant-1"},
        "openai_realtime_api_key_in_query": "true",
    }
    file = {
        "openai_api_key": "canary-6",
        "openai_base_url": "https://[",
        "headers": {"X-Token": "Bearer canary-7"},
    }
    env = {
        "GITHUB_TOKEN": "canary-8-long-enough",
        "OPENAI_HEADERS": "X-Secret: canary-9",
        "HTTPS_PROXY": "http://u:canary-10@proxy.example",
        "OPENAI_BASE_URL": "https://h.example?key=canary-11",
        "SSH_AUTH_SOCK": "not-a-secret-at-all",
        "HEADERS": "nothing",
    }
    secrets = set(resolve(settings, file, env).secrets)
    assert {f"canary-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11)} | {"canary-8-long-enough"} <= secrets
    assert not secrets & {"true", "tenant-1", "not-a-secret-at-all", "nothing"}


def test_the_working_directory_is_no_secret_for_all_its_name() -> None:
    folders = {"PWD": "/srv/projects/voices", "OLDPWD": "/srv/projects/others"}
    assert environment_secrets({**folders, "DB_PASSWORD": "a-secret-indeed"}) == ("a-secret-indeed",)
