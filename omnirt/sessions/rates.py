"""The host's sample rates where they are not the provider's: a converter for its audio, one for each answer.

All that is counted, stored and told is at the host's rates. The provider's are met on the way upstream and
where its audio comes in, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable

from omnirt.resampling import Resampler

Key = tuple[str, int]
"""Item id, content index."""


class Outgoing:
    """The agent's audio on its way to the host: each part is a stream of its own.

    Args:
        make: Makes a converter.
    """

    def __init__(self, make: Callable[[], Resampler]) -> None:
        self._make = make
        self._streams: dict[Key, Resampler] = {}

    def convert(self, key: Key, data: bytes) -> bytes:
        """A chunk of a part."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = self._make()
        return stream.convert(data)

    def rest(self, key: Key) -> bytes:
        """What is still inside of a part that is complete."""
        stream = self._streams.pop(key, None)
        return b"" if stream is None else stream.flush()

    def drop(self, key: Key) -> None:
        """A part was cut: nothing more of it is played."""
        self._streams.pop(key, None)
