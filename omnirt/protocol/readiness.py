"""Structs made ready for use by several threads at once."""

from __future__ import annotations

import msgspec


def ready(*structs: type[msgspec.Struct]) -> None:
    """Have msgspec make now what it else makes of a struct, and of those in it, at its first use.

    Two threads that meet in a first use crash the process: the second finds it half made (msgspec 0.22).
    Called where a struct is defined that threads read documents with: the import has a lock.
    """
    for struct in structs:
        msgspec.json.Decoder(struct)
