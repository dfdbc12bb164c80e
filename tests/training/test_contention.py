"""A run whose threads are kept waiting goes on with fewer, once; how threads wait is the command line's to say, before OpenMP is loaded."""

from __future__ import annotations

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
        self.now = self.used = self.ready = 0.0
        self.counts_waiting = counts_waiting

    def watch(self, threads: int) -> Contention:
        return Contention(
            threads,
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
            said.append(watch.fewer())
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


def test_it_is_done_and_said_once_and_recorded(counted, monkeypatch):
    monkeypatch.setattr(Contention, "fewer", lambda self: 1)
    notes: list[str] = []
    run = Threads(settings(2), notes.append)
    run.heed(7)
    run.heed(8)
    assert counted == [1] and run.since == [[0, 2], [7, 1]] and len(notes) == 1
    assert "1 of 2" in notes[0] and "--threads 2 insists" in notes[0]
    kept = Threads(settings(2, adapts=False), notes.append)
    kept.heed(7)
    assert counted == [1] and kept.since == [[0, 2]]


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


@pytest.mark.parametrize(("load", "own", "busy"), [(0.1, 2, False), (1.0, 2, True), (9.0, 2, True), (0.9, 1, False)])
def test_a_machine_is_busy_where_its_load_leaves_fewer_cores_than_we_may_use(monkeypatch, load, own, busy):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(cores, "usable_cores", lambda: own)
    assert cores.is_busy() == busy


def test_the_users_word_on_waiting_stands(monkeypatch):
    monkeypatch.setattr(cores, "is_busy", lambda: True)
    for name, value in (("OMP_WAIT_POLICY", "active"), ("GOMP_SPINCOUNT", "10"), ("KMP_BLOCKTIME", "5")):
        with monkeypatch.context() as patch:
            patch.setattr(os, "environ", {name: value})
            cores.wait_politely()
            assert os.environ == {name: value} and not cores.waits_passively()


OPENMP = next((Path(find_spec("torch").submodule_search_locations[0]) / "lib").glob("libgomp*"), None)
START = """
import ctypes, os, sys
os.getloadavg = lambda: ({load}, 0, 0)
before = dict(os.environ)
import facelearn, facelearn.__main__, facelearn.cli, facelearn.cores
assert dict(os.environ) == before, "an import changed the environment"
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
