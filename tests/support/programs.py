"""Programs that some tests need and not every machine has."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def find_program(name: str) -> str:
    """The path of a program; without it the test is skipped, but never in CI, which installs it."""
    if (path := shutil.which(name)) is None:
        missing(f"{name} is not installed")
    return path


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI runs every test")
    pytest.skip(what)
