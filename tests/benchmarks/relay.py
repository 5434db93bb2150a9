"""The floor: a bare blocking relay between stdin/stdout and WebSockets, no checks, no JSON, no asyncio.

`INDEX MESSAGE` on stdin goes to that connection as it stands, and what a connection receives is printed the
same way: the host speaks the provider's own protocol through it.
"""

from __future__ import annotations

import os
import sys
import threading

from websockets.sync.client import ClientConnection, connect


def main(url: str, count: int) -> None:
    """Relay until stdin ends."""
    sockets = [connect(url, compression=None, max_size=None) for _ in range(count)]

    def down(index: int, socket: ClientConnection) -> None:
        head = b"%d " % index
        for message in socket:
            data = message.encode() if isinstance(message, str) else message
            os.write(1, b"%b%b\n" % (head, data))

    for index, socket in enumerate(sockets):
        threading.Thread(target=down, args=(index, socket), daemon=True).start()
    for line in sys.stdin.buffer:
        to, _, message = line.partition(b" ")
        sockets[int(to)].send(message.rstrip(b"\n"), text=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
