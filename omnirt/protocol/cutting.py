"""Base64 cut out of a message before the rest is decoded: it is nearly all of it, and needs no JSON.

Sans-IO. A decoder looks at each of its characters; to find its end takes a tenth of that.
"""

from __future__ import annotations


def cut(message: bytes, name: bytes) -> tuple[bytes, bytes] | None:
    """The message with an empty string in the place of a long one, and what stood there.

    The string may belong to another member of that name, further inside: then the one that is meant is not
    empty when the rest is decoded, or not there. And it ends at the first quote, even at an escaped one: a
    backslash is no base64.

    Args:
        message: JSON.
        name: The member's, with quotes and colon.

    Returns:
        None where there is not exactly one such member, or it has no string.
    """
    begin = message.find(name) + len(name)
    if begin < len(name):
        return None
    begin += message[begin : begin + 1] == b" "
    end = message.find(b'"', begin + 1)
    if end < 0 or message[begin : begin + 1] != b'"':
        return None
    rest = message[: begin + 1] + message[end:]
    return None if rest.find(name, begin) >= 0 else (rest, message[begin + 1 : end])
