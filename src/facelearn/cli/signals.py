"""Ctrl-C and SIGTERM as a request that a long function answers between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Within the block the first Ctrl-C or SIGTERM only makes the yielded function return True; a second one acts as it always does.

    As long as nobody has called that function, nobody would answer (data are still being read, say), and the first one acts as always
    too. Outside the main thread, where Python allows no handlers, signals are left alone.
    """
    asked = listening = False
    previous: dict[signal.Signals, Any] = {}

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        signal.signal(number, previous[signal.Signals(number)])
        if listening:
            asked = True
        else:
            signal.raise_signal(number)

    def stop() -> bool:
        nonlocal listening
        listening = True
        return asked

    if threading.current_thread() is threading.main_thread():
        previous = {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
