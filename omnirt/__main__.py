"""Entry point of `omnirt` and `python -m omnirt`."""

from __future__ import annotations

import errno
import os
import signal
import sys


def main() -> int:
    """Runs the command that the arguments name."""
    try:
        from omnirt.cli import main as run_command  # here, for an interrupt may come as early as that

        code = run_command(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:  # before a command has handlers of its own
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `omnirt schema | head`
        return _quiet(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write(f"omnirt: {error.strerror}.\n")
        return _quiet(1)
    return code


def _quiet(code: int) -> int:
    """`code`, with stdout turned away, where Python would fail again to write what is left."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return code


if __name__ == "__main__":
    sys.exit(main())
