"""Which processor this is, and how many of its cores this process may use."""

from __future__ import annotations

import math
import os
import platform
import time
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
LOAD, OWN_THREADS = Path("/proc/loadavg"), Path("/proc/self/task")


def usable_cores() -> int:
    """Cores that this process may run on, at least 1: the processors it is allowed, and no more than its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def usable_threads() -> int:
    """`usable_cores`, and no more than OMP_NUM_THREADS where that is set to a number."""
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(usable_cores(), int(said)) if said.isdecimal() and int(said) > 0 else usable_cores()


def cores_taken(looks: int = 1, apart: float = 0.0) -> float | None:
    """How many cores other processes want at this moment: their threads that run or are ready to, as the mean of some looks.

    None where the system does not count them (Linux does), or where this process may not run on all cores: which of those the others'
    threads wait for is not to be seen.

    Args:
        looks: how often to look.
        apart: seconds between two looks.
    """
    return None if usable_cores() < (os.cpu_count() or 1) else _threads_elsewhere(looks, apart)


def _threads_elsewhere(looks: int, apart: float) -> float | None:
    counted = 0
    for look in range(looks):
        if look:
            time.sleep(apart)
        try:
            ready = int(LOAD.read_text().split()[3].split("/")[0])
        except (OSError, ValueError, IndexError):
            return None
        if ready < 1:  # this thread runs, so that nothing is counted here
            return None
        counted += max(0, ready - _own_running())
    return counted / looks


def _own_running() -> int:
    """Threads of this process that run or are ready to; the one that asks is one."""
    running = 0
    for thread in OWN_THREADS.glob("*/stat"):
        try:
            running += thread.read_text().rpartition(")")[2].split()[0] == "R"
        except (OSError, IndexError):  # it has just ended
            continue
    return max(1, running)


def is_busy() -> bool:
    """Whether other processes keep this one from having its cores for itself; where nothing counts them, by the load of the last minute.

    On an idle machine it takes one look; what is busy at the first is looked at for 50 ms.
    """
    enough = (os.cpu_count() or 1) - usable_cores() + 0.5
    wanted = _threads_elsewhere(1, 0.0)
    if wanted is None:
        try:
            return os.getloadavg()[0] > enough
        except (AttributeError, OSError):  # not on Windows
            return False
    return wanted > enough and (_threads_elsewhere(6, 0.01) or 0.0) > enough


def free_threads() -> int:
    """`usable_threads`, less those whose cores other processes want at this moment, at least 1; all where that is not to be seen."""
    wanted = cores_taken(10, 0.02)
    return usable_threads() if wanted is None else min(usable_threads(), max(1, round((os.cpu_count() or 1) - wanted)))


def wait_politely() -> None:
    """Let threads that wait for others sleep, on a machine that is busy, unless the user has said how they wait.

    It changes the environment of this process, which OpenMP's library reads when it is loaded: for a command line to call, before torch.
    Beside one busy process, threads that spin made a training step three times as long; on an idle machine sleeping costs a fifth.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys() and is_busy():
        os.environ["OMP_WAIT_POLICY"] = "passive"


def waits_passively() -> bool:
    """Whether threads that wait for others are to sleep and not to spin, as OMP_WAIT_POLICY says."""
    return os.environ.get("OMP_WAIT_POLICY", "").strip().lower() == "passive"


def _quota() -> float | None:
    """Processors' worth of time that a container is given (cgroup version 2, then 1); None where there is no limit."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (CGROUP / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (CGROUP / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):  # "max"
        return None


def processor_name() -> str:
    """What the processor calls itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
