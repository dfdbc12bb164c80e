"""What every test shares: how hypothesis behaves, and no window where a test draws."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")

# No deadline: a busy machine must not fail a test. Derandomised: the same tests on every run.
settings.register_profile("facelearn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("facelearn")
