"""What `make build` leaves in dist/: a source archive and a wheel with what belongs into them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from omnirt import __version__
from tests.packaging.pythons import SUPPORTED, run
from tests.support.documents import ROOT

pytestmark = [pytest.mark.package, pytest.mark.xdist_group("archives")]

NAME = f"omnirt_daemon-{__version__}"
WHEEL = ROOT / "dist" / f"{NAME}-py3-none-any.whl"
SDIST = ROOT / "dist" / f"{NAME}.tar.gz"
INFO = f"{NAME}.dist-info"


def tracked(folder: str) -> set[str]:
    """The files of a folder of the project that git knows, or is not told to ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", folder]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listing.split("\0") if name and (ROOT / name).is_file()}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def inside() -> dict[str, bytes]:
    return contents(WHEEL)


def test_the_wheel_has_the_package_whole_and_nothing_beside_it(inside: dict[str, bytes]) -> None:
    package = {name for name in inside if not name.startswith(f"{INFO}/")}
    assert package == tracked("omnirt")
    assert "omnirt/py.typed" in package
    assert {Path(name).suffix for name in package} >= {".py", ".wav", ".yaml"}, "the demo's data, too"


def test_the_wheel_has_its_licence_and_one_command(inside: dict[str, bytes]) -> None:
    assert inside[f"{INFO}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert (
        inside[f"{INFO}/entry_points.txt"].split()
        == b"[console_scripts] omnirt = omnirt.__main__:main".split()
    )


def test_the_metadata_is_valid_and_tells_what_an_index_shows(inside: dict[str, bytes]) -> None:
    metadata = Metadata.from_email(inside[f"{INFO}/METADATA"], validate=True)
    assert (metadata.name, str(metadata.version)) == ("omnirt-daemon", __version__)
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (ROOT / "README.md").read_text(encoding="utf-8")
    told = {c.rpartition(" ")[2] for c in metadata.classifiers or [] if "Python :: 3." in c}
    assert told == set(SUPPORTED)
    assert str(metadata.requires_python) == f">={SUPPORTED[0]}"


def test_the_extras_are_those_that_the_pages_name(inside: dict[str, bytes]) -> None:
    metadata = Metadata.from_email(inside[f"{INFO}/METADATA"], validate=True)
    pages = "".join(
        page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    )
    extras = metadata.provides_extra or []
    assert [extra for extra in extras if f"omnirt-daemon[{extra}]" not in pages] == []


def test_the_source_archive_has_what_the_tests_and_pages_need_and_builds_the_same_wheel(
    inside: dict[str, bytes], tmp_path: Path
) -> None:
    with tarfile.open(SDIST) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    wanted = {
        *tracked("omnirt"),
        *tracked("docs"),
        *tracked("examples"),
        *tracked("schemas"),
        *tracked("tests"),
    }
    assert wanted <= names
    assert not [name for name in names if "node_modules" in name or name.endswith(".pyc")]
    run(sys.executable, "-m", "build", "--wheel", tmp_path / NAME, cwd=tmp_path)
    again = contents(tmp_path / NAME / "dist" / WHEEL.name)
    assert again == inside


def test_what_has_no_wheel_for_a_mac_with_intel_is_left_out_there(inside: dict[str, bytes]) -> None:
    metadata = Metadata.from_email(inside[f"{INFO}/METADATA"], validate=True)
    there = {"extra": "local", "sys_platform": "darwin", "platform_machine": "x86_64"}
    wanted = {r.name for r in metadata.requires_dist or [] if r.marker and r.marker.evaluate(there)}
    assert "hibari-tts" in wanted
    assert "moonshine-voice" not in wanted
