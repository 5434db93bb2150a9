"""Any settings are an endpoint or a typed problem, and no secret among them is ever seen."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st

from omnirt.errors import OmnirtError
from omnirt.providers.endpoint import Endpoint, resolve
from omnirt.providers.redaction import mask, mask_url
from omnirt.providers.settings import ConnectionSettings

CANARY = "sk-canary-4711"
NAMES = [*ConnectionSettings.__struct_fields__, "reconnect", "local", "opnai_api_key"]
urls = st.sampled_from(
    [
        "https://h.example/v1",
        "res.openai.azure.com",
        f"wss://u:{CANARY}@h.example/rt?model=m",
        f"wss://h.example/rt?api-key={CANARY}",
        f"http://{CANARY}/",
        f"{CANARY}://x",
        "ws://[::1",
        "//x",
    ]
)
texts = urls | st.text(max_size=12) | st.just(CANARY) | st.just(f"{CANARY}\n")
values = st.none() | st.booleans() | st.integers() | texts
headers = st.dictionaries(st.sampled_from(["Authorization", "api-key", "X-Token"]), values, max_size=2)
members = values | headers | st.lists(values, max_size=2)
settings = st.dictionaries(st.sampled_from(NAMES), members, max_size=4)
variables = st.dictionaries(st.sampled_from([name.upper() for name in NAMES]), texts, max_size=3)


def outcome(given_settings: Any, config: Any, env: dict[str, str]) -> Endpoint | OmnirtError:
    try:
        return resolve(given_settings, config, env)
    except OmnirtError as error:
        return error


@given(settings, settings, variables)
def test_any_settings_are_an_endpoint_or_a_typed_problem(
    session: Any, config: Any, env: dict[str, str]
) -> None:
    made = outcome(session, config, env)
    if isinstance(made, OmnirtError):
        assert made.kind in ("invalid_params", "endpoint_unresolved")
        assert CANARY not in f"{made.message}{made.data}"
    else:
        assert made.provider == "simulator" or made.url.startswith(("ws://", "wss://"))
        assert CANARY not in repr(made) + " ".join(made.warnings) or CANARY in made.model
        names = [name.lower() for name in made.headers]
        assert len(names) == len(set(names))
        assert all(value.isascii() and value.isprintable() for value in made.headers.values())


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_known_secret_is_gone_from_any_text(before: str, after: str) -> None:
    assert CANARY not in mask(f"{before}{CANARY}{after}", [CANARY])


@given(st.text(max_size=40))
def test_any_text_can_be_masked(text: str) -> None:
    mask(text)
    mask_url(text)
    mask(f"wss://{text}")
