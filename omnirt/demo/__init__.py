"""`omnirt demo`: a host and its daemon hold a voice conversation, offline, and show what happens."""

from omnirt.demo.command import run

__all__ = ["run"]
