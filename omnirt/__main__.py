"""Entry point of `omnirt` and `python -m omnirt`."""

from __future__ import annotations

import sys

from omnirt.cli import main as run_command


def main() -> int:
    """Runs the command that the arguments name."""
    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
