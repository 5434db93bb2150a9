"""Which endpoint a session talks to, with what authorization, and nothing of it in a log."""

from omnirt.providers.endpoint import Endpoint, resolve

__all__ = ["Endpoint", "resolve"]
