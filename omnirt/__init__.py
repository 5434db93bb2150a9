"""omnirt: a realtime voice agent as a child process."""

__version__ = "0.1.0"
