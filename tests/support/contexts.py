"""Makers of the context of instructions, for specs of the tests to name."""

from __future__ import annotations

import sys
from typing import Any


def anything(variables: dict[str, Any]) -> dict[str, Any]:
    """Gives what it gets."""
    return variables


def exits(variables: dict[str, Any]) -> None:
    """Ends the program, if one lets it."""
    sys.exit(len(variables))
