"""Whether other processes keep the threads of a run waiting, seen from its steps, and with how many threads it should then go on.

Threads of one step wait for the slowest of them. Where another process takes a core for a while, all others spin or
sleep until the thread that was put aside comes back: with one busy process beside it, a run of two threads on two
cores was slower than one of one thread. Linux counts for every thread how long it was ready and not running
(schedstat); elsewhere processor time falling short of the threads, while steps take longer than they did, says the
same. A run with fewer threads than there are cores goes back to more once nobody else wants them.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from facelearn.cores import cores_taken, usable_cores
from facelearn.training.device import DeviceSettings

TASKS = Path("/proc/self/task")
WINDOW_SECONDS, WINDOW_STEPS = 4.0, 5
"""One look is over at least so long and so many steps."""
LOOKS = 2
"""So many in a row must show it: what runs for a moment changes nothing."""
WAITING = 0.2
"""Share of the time in which threads want to run that they wait. Beside one busy process two threads on two cores wait a third of it."""
QUIET_LOOKS = 5
"""So many in a row must show that a core is free for one more thread; twice as many where that was not for long the last time."""
SOON_SECONDS = 60.0
"""A run that goes down so soon after it went up was wrong to."""
FREE = 0.5
"""Cores that others may want of one that is free, as a mean over a look."""
SLOWER = 2.0
"""Where waiting is not counted: steps take so many times what they did."""


def seconds_waited() -> float | None:
    """Seconds that the threads of this process were ready and did not run, all added up; None where the system does not count them."""
    found = None
    for task in TASKS.glob("*/schedstat"):
        try:
            found = (found or 0.0) + int(task.read_text().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):  # a thread that has just ended
            continue
    return found


class Contention:
    """Watches the steps of a run on several threads.

    Args:
        threads: that it computes with.
        most: that it may; with fewer, it is watched whether others leave cores free.
        quiet_looks: so many looks in a row must show that.
        wall, cpu: seconds, ever growing: gone by, and used by all threads of this process.
        waited: as `seconds_waited`.
        taken: cores that other processes want at this moment; None where that is not to be seen: there are never more threads then.
    """

    def __init__(
        self,
        threads: int,
        *,
        most: int = 1,
        quiet_looks: int = QUIET_LOOKS,
        wall: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.process_time,
        waited: Callable[[], float | None] = seconds_waited,
        taken: Callable[[], float | None] = cores_taken,
    ) -> None:
        self.threads, self.most, self._quiet_looks = threads, most, quiet_looks
        self._taken, self._wanted, self._quiet = taken, 0.0, 0
        self.share = 0.0
        self._clocks = (wall, cpu, waited)
        self._begin = (wall(), cpu(), waited())
        self._steps = self._looks = 0
        self._fastest = math.inf

    def other(self) -> int | None:
        """Called after every step: the number of threads to go on with, once it is clear that it should be another; None otherwise.

        `share` then says which share of their time the threads waited.
        """
        self._steps += 1
        if self.threads < self.most:
            wanted = self._taken()
            self.most = self.threads if wanted is None else self.most
            self._wanted += wanted or 0.0
        wall, cpu, waited = self._clocks
        alone = self.threads < 2 and self.most < 2
        if alone or self._steps < WINDOW_STEPS or wall() - self._begin[0] < WINDOW_SECONDS:
            return None
        now = (wall(), cpu(), waited())
        gone, used, step = now[0] - self._begin[0], now[1] - self._begin[1], (now[0] - self._begin[0]) / self._steps
        if now[2] is not None and self._begin[2] is not None:
            ready = max(0.0, now[2] - self._begin[2])  # less than before where a thread has ended
            self.share = ready / (ready + used) if ready + used > 0 else 0.0
        else:
            lacking = 1 - min(1.0, used / (gone * self.threads))
            self.share = lacking if step > SLOWER * self._fastest else 0.0
        self._fastest = min(self._fastest, step)
        free = (os.cpu_count() or 1) - self._wanted / self._steps - self.threads  # beside those that this run has
        self._begin, self._steps, self._wanted = now, 0, 0.0
        self._quiet = self._quiet + 1 if self.threads < self.most and free > 1 - FREE else 0
        if self._quiet >= self._quiet_looks:
            return min(self.most, self.threads + max(1, round(free)))
        self._looks = self._looks + 1 if self.threads > 1 and self.share > WAITING else 0
        if self._looks < LOOKS:
            return None
        return max(1, math.floor(self.threads * (1 - self.share)))


class Threads:
    """The threads of a run: how many, since which step, and what changes them.

    Args:
        settings: of the run; `training.device.apply` has set them.
        note: told, in words, what changes.

    Attributes:
        since: [step, number of threads from it on], for `state.Progress`.
    """

    def __init__(self, settings: DeviceSettings, note: Callable[[str], None]) -> None:
        self.since = [[0, settings.threads]]
        self._note, self._adapts, self._most = note, settings.adapts, settings.most_threads
        self._said: set[str] = set()
        self._quiet_looks, self._raised = QUIET_LOOKS, -math.inf
        self._watch = self._watching(settings.threads) if settings.adapts else None

    def _watching(self, threads: int) -> Contention:
        return Contention(threads, most=self._most, quiet_looks=self._quiet_looks)

    def take_up(self, recorded: list[list[int]], step: int) -> None:
        """Go on as a stopped run did, with as many threads as it had last, where there are so many cores; an old state knows of none."""
        if not recorded:
            return
        before = recorded[-1][1]
        self.since = [list(one) for one in recorded]
        if before > usable_cores():
            self._note(
                f"the run had {before} threads so far and goes on with the {usable_cores()} that there are here: what it learns from now "
                "on differs in the last digits from what it would have learned"
            )
        self._set(min(before, usable_cores()), step)
        if self._adapts:
            self._watch = self._watching(self.since[-1][1])

    def heed(self, step: int) -> None:
        """Called after every step: fewer threads where others keep them waiting, more where there is room; each is said once."""
        other = None if self._watch is None else self._watch.other()
        if self._watch is None or other is None:
            return
        before, share = self._watch.threads, self._watch.share
        self._set(other, step)
        if other < before:
            soon = time.perf_counter() - self._raised < SOON_SECONDS
            self._quiet_looks = 2 * self._quiet_looks if soon else QUIET_LOOKS
            self._say(
                "fewer",
                f"other processes keep the threads of this run waiting for {share:.0%} of their time: it goes on with {other} of {before} "
                f"(--threads {before} insists); run again or resumed, it is the same bit for bit only with the same numbers of threads",
            )
        else:
            self._raised = time.perf_counter()
            self._say(
                "more",
                f"other processes have left cores free: this run goes on with {other} threads instead of {before}",
            )
        self._watch = self._watching(other)

    def _say(self, what: str, text: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._note(text)

    def _set(self, threads: int, step: int) -> None:
        torch.set_num_threads(threads)
        if self.since[-1][1] != threads:
            self.since.append([step, threads])
