"""`python -m facelearn`, and the `facelearn` command: from its first moment on, Ctrl-C and SIGTERM end it with one line."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _a_library_is_loading(frame: FrameType | None) -> bool:
    """Whether a module of somebody else's is running its first lines: an exception in C++ code below them (torch's) ends the process."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__", "").split(".")[0] not in (
            "__main__",
            "facelearn",
        ):
            return True
        frame = frame.f_back
    return False


def start() -> None:
    """Run the command line.

    Nothing of ours is imported before an interrupt can be answered. Python makes other exceptions of one that comes while it builds a
    class, and ends with a signal of its own after one inside `exec`; neither is what a shell should see.
    """
    code = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal code
        code = 128 + number  # as shells count: 130 for Ctrl-C, 143 for SIGTERM
        if _a_library_is_loading(frame) and hasattr(signal, "setitimer"):
            again()
        else:
            raise KeyboardInterrupt

    def again() -> None:
        signal.signal(signal.SIGALRM, lambda number, frame: stop(code - 128, frame))
        signal.setitimer(signal.ITIMER_REAL, 0.01)

    def lost(said: sys.UnraisableHookArgs) -> None:
        """An interrupt that came inside a callback, which Python can only report, comes again a moment later."""
        if issubclass(said.exc_type, KeyboardInterrupt) and hasattr(signal, "setitimer"):
            again()
        else:
            sys.__unraisablehook__(said)

    sys.unraisablehook = lost
    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        from facelearn.cores import wait_politely

        wait_politely()  # before anything loads OpenMP's library
        from facelearn.cli import main

        main()
    except SystemExit:  # whoever stopped has said so
        if not code:
            raise
    except BaseException:
        if not code:
            raise
        sys.stderr.write("facelearn: stopped\n")
    finally:
        sys.unraisablehook = sys.__unraisablehook__
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
    if code:
        atexit._run_exitfuncs()  # ends what was started beside this process
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    start()
