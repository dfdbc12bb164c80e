"""A run whose threads wait goes on with fewer, and with more where there is room; how they wait is said before OpenMP is loaded."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from facelearn import cores
from facelearn.training import contention
from facelearn.training.contention import Contention, Threads
from facelearn.training.device import DeviceSettings, choose_device


class Machine:
    """Clocks that only steps move."""

    def __init__(self, counts_waiting: bool = True) -> None:
        self.now = self.used = self.ready = self.taken = 0.0
        self.counts_waiting = counts_waiting

    def watch(self, threads: int, most: int = 1) -> Contention:
        return Contention(
            threads,
            most=most,
            taken=lambda: self.taken,
            wall=lambda: self.now,
            cpu=lambda: self.used,
            waited=lambda: self.ready if self.counts_waiting else None,
        )

    def steps(
        self, watch: Contention, count: int, seconds: float, used: float, waited: float = 0.0
    ) -> list[int | None]:
        said = []
        for _ in range(count):
            self.now, self.used, self.ready = self.now + seconds, self.used + used, self.ready + waited
            said.append(watch.other())
        return said


def test_threads_that_wait_become_fewer_after_two_looks():
    machine = Machine()
    watch = machine.watch(2)
    assert machine.steps(watch, 20, 1.0, 1.9, 0.1) == [None] * 20
    said = machine.steps(watch, 10, 2.0, 2.6, 1.3)  # a third of the time that they want
    assert said.index(1) == 9 and said.count(None) == 9
    assert watch.share == pytest.approx(1 / 3)


@pytest.mark.parametrize(("threads", "waited", "left"), [(2, 3.0, 1), (8, 3.0, 5), (8, 30.0, 1), (1, 30.0, None)])
def test_how_many_are_left(threads, waited, left):
    machine = Machine()
    assert machine.steps(machine.watch(threads), 10, 4.0, 8.0, waited)[-1] == left


def test_what_disturbs_for_a_moment_changes_nothing():
    machine = Machine()
    watch = machine.watch(2)
    for _ in range(4):
        assert machine.steps(watch, 5, 1.0, 1.0, 1.0) == [None] * 5
        assert machine.steps(watch, 5, 1.0, 2.0) == [None] * 5


def test_where_others_leave_cores_free_there_are_more(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    machine = Machine()
    watch = machine.watch(1, most=4)
    machine.taken = 3.0
    assert machine.steps(watch, 60, 1.0, 1.0) == [None] * 60
    machine.taken = 1.0
    said = machine.steps(watch, 25, 1.0, 1.0)
    assert said == [None] * 24 + [3], "five looks of five steps; one core is another's"
    watch = machine.watch(1, most=4)
    for _ in range(4):
        machine.taken = 0.0
        assert machine.steps(watch, 20, 1.0, 1.0) == [None] * 20
        machine.taken = 3.0
        assert machine.steps(watch, 5, 1.0, 1.0) == [None] * 5
    machine.taken = None
    assert machine.steps(machine.watch(1, most=4), 60, 1.0, 1.0) == [None] * 60, (
        "where nobody counts, nothing is known to be free"
    )


def test_where_waiting_is_not_counted_slower_steps_with_idle_threads_say_it():
    machine = Machine(counts_waiting=False)
    watch = machine.watch(2)
    assert machine.steps(watch, 10, 1.0, 1.2) == [None] * 10  # never all threads: parts of a step have one
    assert machine.steps(watch, 10, 3.0, 6.0) == [None] * 10  # slower, but nobody else has the cores
    assert machine.steps(watch, 10, 3.0, 2.4)[-1] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts it")
def test_waiting_is_counted_by_the_system(tmp_path, monkeypatch):
    assert contention.seconds_waited() >= 0
    monkeypatch.setattr(contention, "TASKS", tmp_path)
    assert contention.seconds_waited() is None


def settings(threads: int, *, adapts: bool = True) -> DeviceSettings:
    return DeviceSettings("cpu", 1, "32-true", torch.channels_last, threads, adapts=adapts)


@pytest.fixture
def counted(monkeypatch):
    """What torch was told, in place of telling it."""
    told: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    return told


def test_each_way_is_done_and_recorded_and_said_once(counted, monkeypatch):
    answers = iter([1, None, 2, 1, 2])
    monkeypatch.setattr(Contention, "other", lambda self: next(answers))
    notes: list[str] = []
    run = Threads(settings(2), notes.append)
    for step in range(7, 12):
        run.heed(step)
    assert counted == [1, 2, 1, 2] and run.since == [[0, 2], [7, 1], [9, 2], [10, 1], [11, 2]]
    assert (
        len(notes) == 2
        and "1 of 2" in notes[0]
        and "--threads 2 insists" in notes[0]
        and "2 threads instead of 1" in notes[1]
    )
    kept = Threads(settings(2, adapts=False), notes.append)
    kept.heed(7)
    assert len(counted) == 4 and kept.since == [[0, 2]]


def test_going_up_is_waited_for_twice_as_long_where_it_was_not_for_long(counted, monkeypatch):
    answers, now, patience = iter([1, 2, 1, 2, 1]), iter([0.0, 10.0, 20.0, 30.0, 500.0]), []
    monkeypatch.setattr(Contention, "other", lambda self: (patience.append(self._quiet_looks), next(answers))[1])
    run = Threads(dataclasses.replace(settings(2), most_threads=2), lambda text: None)
    monkeypatch.setattr(contention.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(
        Contention, "__init__", lambda self, threads, most, quiet_looks: setattr(self, "_quiet_looks", quiet_looks)
    )
    monkeypatch.setattr(Contention, "threads", property(lambda self: 2 if len(patience) % 2 else 1), raising=False)
    monkeypatch.setattr(Contention, "share", 0.3, raising=False)
    for step in range(5):
        run.heed(step)
    assert patience == [5, 5, 5, 10, 10] and run._quiet_looks == 5


def test_a_resumed_run_has_the_threads_it_had_or_says_otherwise(counted, monkeypatch):
    monkeypatch.setattr(contention, "usable_cores", lambda: 4)
    notes: list[str] = []
    run = Threads(settings(4), notes.append)
    run.take_up([[0, 4], [50, 2]], 80)
    assert counted == [2] and run.since == [[0, 4], [50, 2]] and not notes
    run.take_up([[0, 8]], 80)
    assert counted == [2, 4] and run.since == [[0, 8], [80, 4]] and "8 threads" in notes[0]
    run.take_up([], 80)  # a state of before there was a record
    assert counted == [2, 4]


def test_threads_that_were_asked_for_stay_and_are_never_more_than_cores(monkeypatch):
    monkeypatch.setattr("facelearn.training.device.usable_cores", lambda: 2)
    assert choose_device("cpu").adapts and not choose_device("cpu", threads=2).adapts
    assert not choose_device("cpu", devices=2).adapts
    many = choose_device("cpu", threads=9)
    assert many.threads == 2 and "9 threads were asked for" in many.note


@pytest.fixture
def machine_of_two(monkeypatch, tmp_path):
    """Two cores; call it with how many threads are ready, this one too, or None where the system does not count them."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(cores, "usable_threads", lambda: 2)
    monkeypatch.setattr(cores, "_own_running", lambda: 1)

    monkeypatch.setattr(cores, "usable_cores", lambda: 2)

    def ready(count: int | None) -> None:
        monkeypatch.setattr(cores, "LOAD", tmp_path / "loadavg")
        if count is not None:
            (tmp_path / "loadavg").write_text(f"0.20 0.18 0.12 {count}/80 11206\n")

    return ready


@pytest.mark.parametrize(
    ("ready", "own", "busy"), [(1, 2, False), (2, 2, True), (9, 2, True), (2, 1, False), (3, 1, True)]
)
def test_a_machine_is_busy_where_others_leave_fewer_cores_than_we_may_use(
    machine_of_two, monkeypatch, ready, own, busy
):
    machine_of_two(ready)
    monkeypatch.setattr(cores, "usable_cores", lambda: own)
    assert cores.is_busy() == busy


@pytest.mark.parametrize(("load", "busy"), [(0.1, False), (1.0, True), (9.0, True)])
@pytest.mark.parametrize("counted", [None, 0])
def test_where_nothing_counts_threads_the_load_says_it_and_no_thread_is_left_out(
    machine_of_two, monkeypatch, load, busy, counted
):
    machine_of_two(counted)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0), raising=False)
    assert cores.is_busy() == busy and cores.cores_taken() is None and cores.free_threads() == 2


def test_without_a_load_a_machine_is_not_busy(machine_of_two, monkeypatch):
    def none() -> tuple[float, float, float]:
        raise OSError("load averages are unobtainable")

    machine_of_two(None)
    monkeypatch.setattr(os, "getloadavg", none, raising=False)
    assert not cores.is_busy()


def test_on_a_part_of_the_cores_it_is_not_to_be_seen_which_of_them_others_want(machine_of_two, monkeypatch):
    machine_of_two(2)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cores.cores_taken() is None and cores.free_threads() == 2


@pytest.mark.parametrize(("ready", "threads"), [(1, 2), (2, 1), (5, 1)])
def test_a_run_begins_with_the_threads_that_others_leave(machine_of_two, monkeypatch, ready, threads):
    machine_of_two(ready)
    monkeypatch.setattr("facelearn.training.device.usable_threads", lambda: 2)
    settings = choose_device("cpu")
    assert (settings.threads, settings.most_threads, settings.note) == (threads, 2, "")
    assert choose_device("cpu", threads=2).threads == min(2, cores.usable_cores())


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts them")
def test_a_process_that_only_computes_takes_a_core():
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            assert (cores._threads_elsewhere(10, 0.01) or 1.0) > 0.5
        finally:
            other.kill()


def test_the_users_word_on_waiting_stands(monkeypatch):
    monkeypatch.setattr(cores, "is_busy", lambda: True)
    for name, value in (("OMP_WAIT_POLICY", "active"), ("GOMP_SPINCOUNT", "10"), ("KMP_BLOCKTIME", "5")):
        with monkeypatch.context() as patch:
            patch.setattr(os, "environ", {name: value})
            cores.wait_politely()
            assert os.environ == {name: value} and not cores.waits_passively()


OPENMP = next((Path(find_spec("torch").submodule_search_locations[0]) / "lib").glob("libgomp*"), None)
START = """
import ctypes, os, pathlib, sys
os.getloadavg = lambda: ({load}, 0, 0)
before = dict(os.environ)
import facelearn, facelearn.__main__, facelearn.cli, facelearn.cores
assert dict(os.environ) == before, "an import changed the environment"
facelearn.cores.LOAD = pathlib.Path("nowhere")
sys.argv = ["facelearn", "--version"]
try: facelearn.__main__.start()
except SystemExit: pass
assert "torch" not in sys.modules
ctypes.CDLL({library!r})
"""


@pytest.mark.skipif(OPENMP is None, reason="this build of torch brings another OpenMP than GNU's")
@pytest.mark.parametrize(("load", "policy", "passive"), [(1e6, None, True), (0, None, False), (1e6, "active", False)])
def test_the_command_line_on_a_busy_machine_makes_openmps_threads_sleep_while_they_wait(load, policy, passive):
    own = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", START.format(load=load, library=str(OPENMP))], capture_output=True, text=True,
        env={**own, "OMP_DISPLAY_ENV": "verbose", **({} if policy is None else {"OMP_WAIT_POLICY": policy})},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ("GOMP_SPINCOUNT = '0'" in done.stderr) == passive and "OMP_WAIT_POLICY = " in done.stderr
