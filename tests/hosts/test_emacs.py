"""The Emacs example compiles without a warning, and a real Emacs talks with the real daemon."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.documents import ROOT
from tests.support.editors import configuration, environment, install
from tests.support.mcp_servers import alive
from tests.support.programs import find_program

PACKAGE = ROOT / "examples" / "emacs"
FILES = sorted(str(path) for path in PACKAGE.glob("*.el"))
TESTS = Path(__file__).parent / "emacs" / "omnirt-test.el"
LIMIT_S = 110
"""Bounds a hang; it takes about 15 s."""

COMPILE = """(setq byte-compile-error-on-warn t byte-compile-dest-file-function
                   (lambda (file) (expand-file-name (concat (file-name-base file) ".elc") "{folder}")))"""
CHECK = """(dolist (file command-line-args-left) (checkdoc-file file))"""


def emacs(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run Emacs without a screen for the user of this home."""
    command = [find_program("emacs"), "-Q", "--batch", *args]
    env = environment(home)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    done = emacs(
        tmp_path,
        "-L",
        str(PACKAGE),
        "--eval",
        COMPILE.format(folder=tmp_path),
        "-f",
        "batch-byte-compile",
        *FILES,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.iterdir())) == len(FILES) > 0


def test_its_documentation_is_as_checkdoc_wants_it(tmp_path: Path) -> None:
    done = emacs(tmp_path, "--eval", CHECK, *FILES)
    assert (done.returncode, done.stderr) == (0, "")


def test_talks_in_emacs_as_the_page_installs_it(tmp_path: Path) -> None:
    install(tmp_path, "emacs")
    init = tmp_path / ".emacs.d" / "init.el"
    init.write_text(configuration("elisp"), encoding="utf-8")
    pids = tmp_path / "pids"
    done = emacs(tmp_path, "-l", str(init), "-l", str(TESTS), str(pids))
    assert done.returncode == 0, done.stderr[-8000:]
    started = {int(pid) for pid in pids.read_text(encoding="utf-8").split()}
    assert len(started) == 2, "one daemon for all talks, and one after it was killed"
    assert [pid for pid in started if alive(pid)] == [], "Emacs left a daemon"
