"""Ctrl-C and SIGTERM: what a command makes of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from facelearn.cli.signals import SIGNALS, stop_requests
from facelearn.data.synthetic import synthetic_faces
from support.commands import run_quietly


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_request_is_remembered_and_the_second_acts(number):
    before = {one: signal.getsignal(one) for one in SIGNALS}
    acted = []
    signal.signal(number, lambda *_: acted.append("acted"))
    ours = signal.getsignal(number)
    try:
        with stop_requests() as stop:
            assert not stop()
            signal.raise_signal(number)
            assert stop() and not acted
            signal.raise_signal(number)
            assert acted == ["acted"]
        assert signal.getsignal(number) is ours
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert {one: signal.getsignal(one) for one in SIGNALS} == before


def test_before_anybody_listens_ctrl_c_acts_at_once():
    before = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(KeyboardInterrupt), stop_requests():
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_outside_the_main_thread_signals_are_left_alone():
    seen = []

    def ask():
        with stop_requests() as stop:
            seen.append((stop(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [(False, signal.getsignal(signal.SIGINT))]


def test_ctrl_c_ends_a_command_with_one_line_and_130(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("facelearn.models.zoo.models", interrupted)
    assert run_quietly("models") == 130
    printed = capsys.readouterr()
    assert printed.err == "facelearn: stopped\n" and not printed.out


def test_a_real_interrupt_reaches_the_shell_as_130():
    code = (
        "import os, signal, sys\nimport facelearn.models.zoo as zoo\n"
        "zoo.models = lambda task: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['facelearn', 'models']\nfrom facelearn.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130 and done.stderr == "facelearn: stopped\n"


STOPPING = """
import os, signal, sys
from facelearn.training import loop
once = loop._Fit.finish_epoch
def interrupted(self):
    once(self)
    os.kill(os.getpid(), signal.SIGINT)
loop._Fit.finish_epoch = interrupted
from facelearn.cli import main
main()
"""


@pytest.mark.slow
def test_ctrl_c_saves_a_run_that_is_training_and_resume_ends_it(tmp_path, capsys):
    synthetic_faces(60, seed=1).save(tmp_path / "faces")
    typed = ["train", "--data", tmp_path / "faces", "--out", tmp_path / "run", "--model", "mlp", "--epochs", "3"]
    done = subprocess.run(
        [sys.executable, "-c", STOPPING, *map(str, typed)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 130 and "go on with: facelearn train --resume" in done.stderr, done.stderr
    assert "stopped after 1 epochs" in done.stderr
    assert (tmp_path / "run" / "last.safetensors").exists() and not (tmp_path / "run" / "model.safetensors").exists()
    assert run_quietly("train", "--resume", "--out", tmp_path / "run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 3


INTERRUPTED_AT = """
import os, sys
_, at, number, *sys.argv[1:] = sys.argv
class Watch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == at:
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Watch)
from facelearn.__main__ import start
start()
"""


@pytest.mark.parametrize(
    ("at", "number", "code"),
    [
        ("typer", signal.SIGINT, 130),
        ("facelearn.models.zoo", signal.SIGINT, 130),
        ("facelearn.models.zoo", signal.SIGTERM, 143),
    ],
)
def test_an_interrupt_while_modules_load_is_one_line(at, number, code):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT, at, str(int(number)), "models"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "facelearn: stopped\n")


def test_an_interrupt_while_another_library_loads_waits_until_it_has_loaded(tmp_path):
    """An exception in the middle of torch's own first lines ends the process with an abort of C++."""
    (tmp_path / "elsewhere.py").write_text(
        "import os, time\nos.kill(os.getpid(), 2)\ntime.sleep(0.1)\nprint('loaded')\n"
    )
    code = INTERRUPTED_AT.replace("os.kill(os.getpid(), int(number))", "sys.path.insert(0, number); import elsewhere")
    done = subprocess.run(
        [sys.executable, "-c", code, "facelearn.models.zoo", str(tmp_path), "models"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "loaded\n", "facelearn: stopped\n")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_at_any_moment_is_one_line_and_leaves_no_half_files(tmp_path, number):
    """From a fifth of a second on (before that Python itself is starting) until after the run has ended, however slow the machine is."""
    synthetic_faces(60, seed=1).save(tmp_path / "faces")
    typed = ["train", "--data", tmp_path / "faces", "--model", "mlp", "--epochs", "60"]
    ended = 0
    for moment in range(70):
        run = tmp_path / f"run-{moment}"
        process = subprocess.Popen(
            [sys.executable, "-m", "facelearn", *map(str, typed), "--out", str(run)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        time.sleep(0.2 * 1.12**moment)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert "Traceback" not in said, said
        assert not run.exists() or not list(run.glob(".*")), list(run.iterdir())
        ended += process.returncode == 0
        if process.returncode:
            assert process.returncode in (128 + number, -number), said  # the second: it was over, and Python was ending
            saved = "go on with: facelearn train --resume" in said
            assert process.returncode < 0 or saved or said.endswith("facelearn: stopped\n"), said
        if ended > 1:
            break
    assert ended > 1
