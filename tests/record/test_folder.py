"""A run's folder: who may begin or go on in it, one writer at a time however the one before ended, and what overwriting takes away."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest

from facelearn.errors import FacelearnError, RecipeError, WriteError
from facelearn.recipe.recipe import Recipe
from facelearn.record import folder as folder_module
from facelearn.record.folder import RunFolder

HOLD = """
import sys, time
from facelearn.record import folder as folder_module
from facelearn.record.folder import RunFolder
with RunFolder(sys.argv[1]).locked():
    print("locked", flush=True)
    time.sleep(120)
"""


@contextmanager
def another_process(folder, code=HOLD):
    """A process that holds the lock on `folder`; killed at the end if it still lives."""
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "run")


def begin(run, *, folds=None):
    """The files of a run that has begun."""
    run.path.mkdir()
    run.recipe.write_text(Recipe().to_toml())
    if folds:
        run.folds.write_text(json.dumps({"count": folds}))
    return run


def finish(run):
    run.model.write_bytes(b"weights")
    return run


def test_the_names_on_the_disk_stay(run):
    files = {
        "recipe.toml": run.recipe, "data.txt": run.source, "skipped.csv": run.skipped, "last.safetensors": run.last,
        "state.json": run.state, "history.csv": run.history, "model.safetensors": run.model, "metrics.json": run.metrics,
        "evaluation.npz": run.evaluation, "report.html": run.report, "kfold.json": run.folds, "kfold.md": run.folds_page,
        "cell.json": run.cell, "fold-3": run.fold(3).path,
    }  # fmt: skip
    assert files == {name: run.path / name for name in files}
    assert RunFolder(os.fspath(run)).path == run.path and str(run) == str(run.path)


def test_a_free_folder_is_anyones(run):
    assert run.claim(resume=False, overwrite=False) is None
    assert run.claim(resume=False, overwrite=False, folds=3) is None
    assert not run.path.exists()


@pytest.mark.parametrize("folds", [None, 2])
def test_going_on_and_replacing_are_two_things(run, folds):
    with pytest.raises(FacelearnError, match="give one of the two"):
        run.claim(resume=True, overwrite=True, folds=folds)


def test_a_finished_run_is_replaced_only_when_asked(run):
    finish(begin(run))
    for folds in (None, 2):
        with pytest.raises(FacelearnError, match=r"already holds a (finished )?run.*overwrite=True"):
            run.claim(resume=False, overwrite=False, folds=folds)
        assert run.claim(resume=False, overwrite=True, folds=folds) is None


def test_an_unfinished_run_is_gone_on_with_or_replaced(run):
    begin(run).last.write_bytes(b"state")
    assert run.can_go_on and not run.is_finished
    with pytest.raises(FacelearnError, match="unfinished run; go on with resume=True"):
        run.claim(resume=False, overwrite=False)
    with pytest.raises(FacelearnError, match="already holds a run"):  # folds would begin over it
        run.claim(resume=False, overwrite=False, folds=2)
    assert run.claim(resume=True, overwrite=False) == Recipe()
    assert run.claim(resume=False, overwrite=True) is None


def test_nothing_to_go_on_with_is_said(run):
    with pytest.raises(FacelearnError, match="holds no run to resume"):
        run.claim(resume=True, overwrite=False)
    with pytest.raises(FacelearnError, match="no run in folds to resume"):
        run.claim(resume=True, overwrite=False, folds=2)
    begin(run)
    with pytest.raises(FacelearnError, match="no run in folds to resume"):
        run.claim(resume=True, overwrite=False, folds=2)


def test_a_run_in_folds_goes_on_with_its_own_number_of_them(run):
    begin(run, folds=3)
    assert run.fold_count == 3
    assert run.claim(resume=True, overwrite=False, folds=3) == Recipe()
    with pytest.raises(FacelearnError, match="started with 3 folds; go on with folds=3, received 2"):
        run.claim(resume=True, overwrite=False, folds=2)
    with pytest.raises(FacelearnError, match="already holds a run"):
        run.claim(resume=False, overwrite=False, folds=3)
    for resume in (False, True):
        with pytest.raises(FacelearnError, match="holds a run in folds"):
            run.claim(resume=resume, overwrite=False)
    assert run.claim(resume=False, overwrite=True) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"count": "3"}'])
def test_a_broken_list_of_folds_is_none(run, content):
    begin(run).folds.write_text(content)
    assert run.fold_count is None


def test_the_weights_to_start_from_are_not_deleted(run, tmp_path):
    begin(run)
    inside, outside = (
        Recipe().with_changes(transfer__source=str(place / "model.safetensors")) for place in (run.path, tmp_path)
    )
    with pytest.raises(RecipeError, match="overwrite=True would delete the weights to start from"):
        run.check_source_stays(inside, overwrite=True)
    run.check_source_stays(inside, overwrite=False)
    run.check_source_stays(outside, overwrite=True)
    run.check_source_stays(Recipe(), overwrite=True)


def test_the_place_of_the_data(run, tmp_path, monkeypatch):
    with pytest.raises(FacelearnError, match="there is no run in"):
        run.read_source()
    begin(run)
    with pytest.raises(FacelearnError, match="give it again with data"):
        run.read_source()
    monkeypatch.chdir(tmp_path)
    run.write_source("photos")
    assert run.read_source() == tmp_path.resolve() / "photos"


def test_clearing_takes_what_a_run_left_and_nothing_else(run):
    finish(begin(run, folds=2)).write_source("photos")
    for file in (run.last, run.state, run.history, run.metrics, run.evaluation, run.report, run.folds_page):
        file.write_text("x")
    begin(run.fold(1))
    finish(begin(run.fold(2)))
    mine = [run.path / "notes.txt", run.path / "fold-marks" / "a.txt", run.skipped]
    for file in mine:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    run.clear()
    assert {path.name for path in run.path.iterdir()} == {"recipe.toml", "notes.txt", "fold-marks", "skipped.csv"}
    assert all(file.read_text() == "mine" for file in mine)
    RunFolder(run.path / "none").clear()


def test_results_and_state_go_alone(run):
    begin(run)
    for file in (run.last, run.state, run.history, run.model, run.metrics, run.evaluation, run.report):
        file.write_text("x")
    run.drop_state()
    assert not run.can_go_on and run.is_finished and run.history.exists()
    run.drop_results()
    assert {path.name for path in run.path.iterdir()} == {"recipe.toml", "history.csv"}


def test_the_second_is_refused_and_told_who_the_first_is(run):
    with another_process(run) as first:
        with pytest.raises(FacelearnError) as refused, run.locked():
            raise AssertionError("both are in")
        text = str(refused.value)
        assert f"process {first.pid} on " in text and ", since 2" in text and "choose another out" in text
        with pytest.raises(FacelearnError, match="is being written to"), run.locked():
            raise AssertionError("a refusal lets the next one in")
        with RunFolder(run.path.parent / "other").locked():
            pass


def test_two_in_one_process_are_two(run):
    with run.locked(), pytest.raises(FacelearnError, match=f"process {os.getpid()}"), RunFolder(run.path).locked():
        raise AssertionError("both are in")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_goes_with_a_killed_process(run, how):
    with another_process(run) as first:
        first.send_signal(how)
        first.wait()
    assert run.lock.exists()  # it had no time to take it away, and it means nothing
    with run.locked():
        assert f'"process": {os.getpid()}' in run.lock.read_text()
    assert not run.path.exists() or not run.lock.exists()


def test_nothing_of_the_lock_stays(run):
    with run.locked():
        assert run.path.is_dir()
    assert not run.path.exists()
    with pytest.raises(KeyError), run.locked():
        run.history.write_text("epoch\n")
        raise KeyError
    assert [path.name for path in run.path.iterdir()] == ["history.csv"]
    with run.locked(), pytest.raises(FacelearnError), run.locked():
        pass
    assert [path.name for path in run.path.iterdir()] == ["history.csv"]


def test_an_interrupt_while_the_lock_is_taken_or_given_back_leaves_no_file(run):
    """At every line that holds an open file which nobody has noted yet, and of the tidying after it."""
    run.path.mkdir()
    (run.path / ".0a1b2c3d.last.safetensors").write_text("")
    watched = {RunFolder._lock.__code__, RunFolder._drop_scratch.__code__, folder_module._is_file_at.__code__}
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        if frame.f_code not in watched:
            return None
        lines += event == "line"
        if event == "line" and lines == wanted:
            signal.raise_signal(signal.SIGINT)
        return trace

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    wanted = 0
    while lines >= wanted:
        wanted, lines = wanted + 1, 0
        tracing = sys.gettrace()
        sys.settrace(trace)
        try:
            with suppress(KeyboardInterrupt), run.locked():
                pass
        finally:
            sys.settrace(tracing)
        assert not run.lock.exists(), wanted
    assert wanted > 20
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_folder_that_is_deleted_meanwhile_belongs_to_the_next(run):
    with run.locked():
        run.lock.unlink()
        with run.locked():
            assert run.lock.exists()
        run.path.mkdir(exist_ok=True)
    with run.locked():
        pass


def test_cells_wait_for_their_turn(run):
    """Many at one folder, each of which would see another inside."""
    inside, most, done = [], [], []

    def work():
        for _ in range(50):
            with RunFolder(run.path).locked(wait=True):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()
        done.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 4 and max(most) == 1 and len(most) == 200


def test_one_that_waits_goes_on_when_the_first_is_killed(run):
    got = []
    with another_process(run) as first:
        waiting = threading.Thread(target=lambda: got.append(_locked_once(run)))
        waiting.start()
        time.sleep(0.2)
        assert not got
        first.kill()
        waiting.join(30)
    assert got == [True]


def _locked_once(run):
    with run.locked(wait=True):
        return run.lock.exists()


def test_a_file_is_no_folder(run):
    run.path.write_text("a file")
    with pytest.raises(FacelearnError, match="is no folder"), run.locked():
        pass


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "NODE_RANK"])
def test_the_further_processes_of_one_run_pass(run, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with (
        another_process(run, HOLD.replace("import sys", f"import os; os.environ.pop('{name}'); import sys")),
        run.locked(),
    ):
        pass
    assert run.lock.exists()
    monkeypatch.setenv(name, "0")
    with run.locked(), pytest.raises(FacelearnError), run.locked():
        pass


def test_a_system_without_locks_keeps_nobody_out(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with run.locked(), run.locked():
        assert not run.lock.exists()


def test_a_write_that_fails_says_that_what_was_trained_is_kept_with_locks_or_without(run, monkeypatch):
    begin(run)
    for file in (run.last, run.state):
        file.write_text("{}")
    for modules in ({}, {"fcntl": None}):
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        with pytest.raises(WriteError, match="What was trained before is kept"), run.locked():
            raise WriteError("the disk is full")


def test_handlers_of_a_program_around_python_are_left_alone(run, monkeypatch):
    monkeypatch.setattr(folder_module, "signal", SimpleNamespace(getsignal=lambda number: None))
    with run.locked():
        assert run.lock.exists()
    assert not run.path.exists()


def test_a_claim_under_the_lock_sees_what_the_one_before_made(run):
    """The second of two that found the folder free is told, not let in: it asks again once it has the lock."""
    assert run.claim(resume=False, overwrite=False) is None
    with run.locked():
        run.recipe.write_text(Recipe().to_toml())
        finish(run)
    with run.locked(), pytest.raises(FacelearnError, match="already holds a finished run"):
        run.claim(resume=False, overwrite=False)


def test_what_killed_runs_had_begun_to_write_goes_with_the_next_one(tmp_path):
    folder = RunFolder(tmp_path / "run")
    (folder.path / "scratch-0" / "train").mkdir(parents=True)
    (folder.fold(2).path / "scratch-1").mkdir(parents=True)
    begun = [folder.path / ".0a1b2c3d.last.safetensors", folder.fold(2).path / ".ffffffff.metrics.json"]
    kept = [folder.path / ".gitignore", folder.path / "scratch-notes", folder.recipe, folder.path / ".0a1b.x"]
    for file in (*begun, *kept):
        file.write_text("")
    with folder.locked():
        assert not any(file.exists() for file in begun) and all(file.exists() for file in kept)
        assert not list(folder.path.rglob("scratch-[01]"))
