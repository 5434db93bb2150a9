"""An output guardrail in Python."""

from __future__ import annotations

GUESTS = ("Ms Miller", "Mr Sato")


def no_other_guests(text: str) -> str | None:
    """Why an answer must not be heard; None when it may."""
    named = [guest for guest in GUESTS if guest in text]
    return f"Do not speak of {named[0]}." if named else None
