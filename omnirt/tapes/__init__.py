"""Tapes: recorded conversations between a host and the daemon, as files (docs/TESTING.md has the format).

A recording has every message as it was. Where a value may differ it is replaced by a pattern, by hand; that
is all that sets the transcripts of our own tests apart from a recording.
"""
