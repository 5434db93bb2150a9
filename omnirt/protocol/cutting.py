"""Base64 cut out of a message before the rest is decoded: it is nearly all of it, and needs no JSON.

Sans-IO. A decoder looks at each of its characters; to find its end takes a tenth of that.
"""

from __future__ import annotations


def cut(message: bytes, name: bytes) -> tuple[bytes, bytes] | None:
    """The message with an empty string in the place of a member's, and what stood there.

    The name is nowhere else in the message, and no character is escaped: so the member is the one of that
    name that is decoded, or there is none where it is looked for.

    Args:
        message: JSON.
        name: The member's, with its quotes.

    Returns:
        None where that is not so, or the member is no string.
    """
    begin = message.find(name) + len(name) + 1
    if begin <= len(name) or message[begin - 1 : begin] != b":":
        return None
    begin += message[begin : begin + 1] == b" "
    end = message.find(b'"', begin + 1)
    if end < 0 or message[begin : begin + 1] != b'"':
        return None
    rest = message[: begin + 1] + message[end:]
    if rest.find(name, begin) >= 0 or rest.find(b"\\") >= 0:
        return None
    return rest, message[begin + 1 : end]
