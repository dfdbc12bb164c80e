"""What every test shares: how hypothesis behaves, and no window where a test draws."""

from __future__ import annotations

import os
import signal
import tempfile

from hypothesis import settings

from support.pages import _make_class_run, _make_run, _self_contained  # noqa: F401 - fixtures

os.environ.setdefault("MPLBACKEND", "Agg")
# One thread: the tests' networks are small, and threads that wait for each other on a busy machine cost more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that starts the tests in the background makes them ignore Ctrl-C, and every process they start too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Not the user's own cache of decoded data.
_cache = tempfile.TemporaryDirectory(prefix="facelearn-tests-")
os.environ["FACELEARN_CACHE"] = _cache.name

# No deadline: a busy machine must not fail a test. Derandomised: the same tests on every run.
settings.register_profile("facelearn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("facelearn")
