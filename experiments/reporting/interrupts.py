"""Ctrl-C ends a command at once: one line, exit status 130, no traceback, whatever it was doing.

Python's own way fails where it meets JAX. An exception that a signal raises inside a callback from
C++, such as jax's during garbage collection, is dropped and the command goes on; raised during an
import it becomes another error or a long traceback; and an interpreter that is torn down while
JAX's threads still compute may end in a segmentation fault.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

STATUS = 130
_AGAIN = 0.1  # seconds


def leave_while_importing() -> None:
    """Lets Ctrl-C end the process while modules are imported, when nothing was begun yet."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        # An exception would be caught or translated by whatever is being imported.
        os.write(2, b"interrupted before anything was begun\n")
        os._exit(STATUS)

    signal.signal(signal.SIGINT, leave)


def run(main: Callable[[], int]) -> NoReturn:
    """Calls `main`, which sees a KeyboardInterrupt on Ctrl-C, and ends the process with its status.

    Args:
      main: handles KeyboardInterrupt and gives the exit status.
    """
    report = sys.unraisablehook
    sys.unraisablehook = lambda dropped: (
        None if dropped.exc_type is KeyboardInterrupt else report(dropped)
    )
    for number in (signal.SIGINT, signal.SIGALRM):
        signal.signal(number, _interrupt)
    status, begun, over = STATUS, False, False
    while not over:
        try:
            if not begun:
                begun = True
                status = main()
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            over = True
        except KeyboardInterrupt:  # once more, while the first one was reported or after it
            status = STATUS
    # As Python ends a forked process: pools and temporary folders go, but the interpreter is not
    # torn down under JAX's threads, which may be computing ahead.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


def _interrupt(number: int, frame: Any) -> None:
    """Raises KeyboardInterrupt, and by a timer again until something handles it."""
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    handled = sys.exception()
    while handled is not None and not isinstance(handled, KeyboardInterrupt):
        handled = handled.__context__
    if number == signal.SIGINT or handled is None:
        raise KeyboardInterrupt
