"""The floor: a bare blocking relay between stdin/stdout and a WebSocket, two threads, no checks, no JSON.

What it reads on stdin it sends as it stands, and what it receives it prints as it stands: the host speaks the
provider's own protocol through it.
"""

from __future__ import annotations

import os
import sys
import threading

from websockets.sync.client import connect


def main(url: str) -> None:
    """Relay until stdin ends."""
    with connect(url, compression=None, max_size=None) as socket:

        def down() -> None:
            for message in socket:
                data = message.encode() if isinstance(message, str) else message
                os.write(1, data + b"\n")

        threading.Thread(target=down, daemon=True).start()
        for line in sys.stdin.buffer:
            socket.send(line.rstrip(b"\n"), text=True)


if __name__ == "__main__":
    main(sys.argv[1])
