"""The configuration file: read where it should be, refused by name where it does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.providers.config import load_config
from omnirt.providers.endpoint import resolve


def test_the_file_has_the_settings_of_a_session(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('openai_api_key = "sk-file"\n[simulator]\nspeed = 2\n')
    config = load_config(None, tmp_path)
    assert config.openai_api_key == "sk-file"
    assert resolve({"provider": "simulator"}, config, {}).simulator.speed == 2
    assert "sk-file" not in repr(config)


def test_a_file_nobody_named_need_not_be_there(tmp_path: Path) -> None:
    assert load_config(None, tmp_path).openai_api_key is not None  # UNSET, which hides no variable
    assert dict(resolve({}, load_config(None, tmp_path), {"OPENAI_API_KEY": "sk-e"}).headers) == {
        "Authorization": "Bearer sk-e"
    }


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("openai_realtime_force_api_key_header = 2\n", "$.openai_realtime_force_api_key_header"),
        ('[openai_headers]\nAuthorization = ["sk-canary"]\n', "$.openai_headers.Authorization"),
        ('openai_base_url = "wss://a..b"\n', "$.openai_base_url"),
    ],
)
def test_a_value_that_no_endpoint_can_use_is_named_with_its_file(
    tmp_path: Path, text: str, path: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(OmnirtError) as caught:
        resolve({"api_key": "sk-k"}, load_config(file, tmp_path), {})
    assert caught.value.kind == "invalid_params"
    assert caught.value.facts == {"path": path, "file": str(file)}
    assert "canary" not in caught.value.message


def test_the_place_of_the_settings_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('place = "$"\n')
    with pytest.raises(OmnirtError, match="Unknown member `place`"):
        load_config(None, tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "path", "says"),
    [
        ("config.toml", None, "$", "no such file"),
        ("config.toml", "opnai_api_key = 1\n", "$.opnai_api_key", "did you mean `openai_api_key`"),
        ("config.toml", '[local]\napi_key = "x"\n', "$.local.api_key", "did you mean `chat_api_key`"),
        ("config.toml", "[simulator]\npace = 2\n", "$.simulator.pace", "Unknown"),
        ("config.toml", "[reconnect]\nattempts = 0\n", "$.reconnect.attempts", ">= 1"),
        ("config.toml", "a = \n", "$", "line 1"),
        ("config.yaml", "{}\n", "$", ".toml"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    tmp_path: Path, name: str, text: str | None, path: str, says: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(OmnirtError) as caught:
        load_config(file, tmp_path / "elsewhere")
    assert (caught.value.kind, caught.value.facts["path"]) == ("invalid_params", path)
    assert caught.value.facts["file"] == str(file)
    assert says in caught.value.message
