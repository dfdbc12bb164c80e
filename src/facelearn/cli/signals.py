"""Ctrl-C and SIGTERM as a request that a long function answers between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked that the work ends, as the `stop` that long functions take.

    Attributes:
        number: of the signal that asked, 0 where none did.
        heard: whether anybody has asked this object, and so would answer.
    """

    def __init__(self) -> None:
        self.number, self.heard = 0, False

    def __call__(self) -> bool:
        self.heard = True
        return self.number != 0

    @property
    def exit_code(self) -> int:
        """Of a command that ended early: 130 after Ctrl-C and 143 after SIGTERM, as shells have it; 1 where no signal was the reason."""
        return 128 + self.number if self.number else 1


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Within the block the first Ctrl-C or SIGTERM only makes the yielded request say True; a second one acts as it always does.

    As long as nobody has asked it, nobody would answer (data are still being read, say), and the first one acts as always
    too. Outside the main thread, where Python allows no handlers, signals are left alone.
    """
    request = StopRequest()
    previous: dict[signal.Signals, Any] = {}

    def remember(number: int, frame: FrameType | None) -> None:
        signal.signal(number, previous[signal.Signals(number)])
        if request.heard:
            request.number = number
        else:
            signal.raise_signal(number)

    if threading.current_thread() is threading.main_thread():
        previous = {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
