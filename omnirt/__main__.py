"""Entry point of `omnirt` and `python -m omnirt`."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` looks for modules in the working directory first: anyone's workspace, maybe, and the modules
    # that agents name must not come from there.
    del sys.path[0]

import signal


def main() -> int:
    """Runs the command that the arguments name."""
    try:
        from omnirt.cli import main as run_command  # here, for an interrupt may come as early as that

        return run_command(sys.argv[1:])
    except KeyboardInterrupt:  # before a command has handlers of its own
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
