"""Names from a wire become paths that stay where they belong, and everything is for the user alone."""

from __future__ import annotations

import os
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from omnirt.storage.paths import (
    create_private,
    default_config_dir,
    default_data_dir,
    make_private_dir,
    run_prefix,
    safe_name,
    session_audio_dir,
)

HOSTILE = [
    "", ".", "..", "../../x", "/etc/passwd", "a/b", "a\\b", "C:\\x", "a\x00b", "x" * 300, "CON", "con",
    "con.txt", "Com1.log", "nul ", "aux.", "trailing.", "trailing ", ".hidden", "-rf", "~root", "a~b", "é",
    "lpt9", "e\u0301", "\ud800", "\n", "💥", "a:b", "a*b?", "LPT1~", "--", "...", "\u2028",
]  # fmt: skip
SAFE = set(string.ascii_letters + string.digits + "._-~")


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", ["s1", "acme", "0b54a3a2-5f9b-4d0e-9d3a-3f8b7c1f2e11", "item_1", "a.b-c"])
def test_a_plain_name_stays_as_it_is(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_becomes_a_harmless_one(name: str, tmp_path: Path) -> None:
    safe = safe_name(name)
    assert safe != name
    assert set(safe) <= SAFE
    assert len(safe) <= 64
    assert safe[0] not in ".-"
    (tmp_path / safe).touch()
    assert [found.name for found in tmp_path.iterdir()] == [safe]


def test_hostile_names_do_not_meet_even_where_case_is_ignored() -> None:
    names = [*HOSTILE, "s1", "S1", "x" * 301, "X" * 300, "a_b", "_con"]
    assert len({safe_name(name).lower() for name in names}) == len(names)


@given(st.text(st.characters(), max_size=200), st.text(st.characters(), max_size=200))
def test_two_names_never_meet(one: str, other: str) -> None:
    assert (safe_name(one).lower() == safe_name(other).lower()) == (one == other)


@given(st.text(max_size=80))
def test_a_safe_name_is_not_the_name_of_another_text(text: str) -> None:
    safe = safe_name(text)
    assert safe == text or safe_name(safe) != safe


@given(st.text(st.characters(), max_size=80))
def test_no_reserved_name_comes_out(text: str) -> None:
    stem = safe_name(text).partition(".")[0].lower()
    assert stem not in {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))}


def test_a_session_folder_is_three_below_the_audio_folder_whatever_the_names(tmp_path: Path) -> None:
    folder = session_audio_dir(tmp_path, "../..", "/", "..")
    assert folder.resolve().parents[2] == (tmp_path / "audio").resolve()


@pytest.mark.usefixtures("open_umask")
def test_folders_and_files_are_for_the_user_alone_under_an_open_umask(tmp_path: Path) -> None:
    make_private_dir(tmp_path / "a" / "b")
    os.close(create_private(tmp_path / "a" / "b" / "f", os.O_RDWR))
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/f")]
    assert modes == [0o700, 0o700, 0o600]


def test_folders_and_files_are_usable_under_a_closed_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        make_private_dir(tmp_path / "a" / "b")
        os.close(create_private(tmp_path / "a" / "b" / "f", os.O_RDWR))
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/f")]
    assert modes == [0o700, 0o700, 0o600]


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_dir(tmp_path / "new")
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "audio").touch()
    with pytest.raises(OSError):
        make_private_dir(tmp_path / "audio" / "x")


def test_a_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        create_private(tmp_path / "link", os.O_RDWR)
    assert not (tmp_path / "elsewhere").exists()


def test_runs_with_alike_ids_get_prefixes_of_their_own(tmp_path: Path) -> None:
    assert run_prefix(tmp_path / "none", "run-2025-01-01-a") == "run-2025"
    (tmp_path / "run-2025-0001-item-0.wav").touch()
    assert run_prefix(tmp_path, "run-2025-01-01-a") == "run-2025-01-01-a"
    (tmp_path / "run-2025-01-01-a-0001-item-0.wav").touch()
    assert run_prefix(tmp_path, "run-2025-01-01-ab") == "run-2025-01-01-ab"


def test_the_folders_are_those_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert default_data_dir().name == "omnirt"
    assert default_config_dir().name == "omnirt"
