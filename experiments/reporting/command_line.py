"""How every script meets its user: one line for an error, and a clean stop on Ctrl-C."""

import logging
import sys
from collections.abc import Callable

from absl import app


def run(main: Callable[[], None], *, resume: str = "run again to go on where it stopped") -> None:
    """Parses flags, calls `main` and ends the process.

    Args:
      main: the script; reads its flags itself.
      resume: what to tell a user who interrupts it.
    """

    def call(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unexpected argument {argv[1]!r}")
        # jax reports at INFO every platform that it looked for and did not find.
        logging.getLogger("jax").setLevel(logging.WARNING)
        try:
            main()
        except KeyboardInterrupt:
            print(f"\ninterrupted; {resume}", file=sys.stderr)
            sys.exit(130)
        except (ValueError, OSError, RuntimeError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            sys.exit(1)

    app.run(call)
