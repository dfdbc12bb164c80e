"""What a run says it was made with, also where a library came under another name or not as a package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import facelearn
from facelearn.prediction import runtimes
from facelearn.runs.train_result import versions


def test_a_library_that_is_not_a_package_costs_its_version_and_not_the_run(monkeypatch):
    there = {"torch": "2.13.0", "opencv-python": "4.12.0"}

    def version(name: str) -> str:
        if name not in there:
            raise PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(runtimes, "version", version)
    assert versions() == {"facelearn": facelearn.__version__, **there}
