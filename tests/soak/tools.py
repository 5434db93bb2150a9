"""What the sessions of the soak do in Python."""

from __future__ import annotations


def echo(text: str) -> str:
    """Say it again."""
    return text
