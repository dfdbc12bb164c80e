"""A fault goes to a line of a patch file and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from facelearn.auditing.fault import KINDS, Fault
from facelearn.errors import DataError

FAULT = Fault(3, "training.csv", "misplaced", "nose_tip", (48.25, 60.5), 0.91, (50.0, 55.25), 1.2, "10 px away")


@pytest.mark.parametrize(
    "fault",
    [
        FAULT,
        replace(FAULT, kind="missing", value=None),
        replace(FAULT, kind="duplicate", keypoint=None, value=None, suggestion="17", uncertainty=None),
        replace(FAULT, kind="no_face", keypoint=None, value=None, suggestion=None, uncertainty=None),
    ],
)
def test_a_line_of_json_reads_back(fault: Fault) -> None:
    line = json.dumps(fault.to_dict())
    assert Fault.from_dict(json.loads(line)) == fault
    keys = ["row", "source", "kind", "keypoint", "value", "score", "suggestion", "uncertainty", "reason"]
    assert list(json.loads(line)) == keys


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("row", -1), ("row", True), ("row", "3"), ("kind", "ugly"), ("score", 1.5), ("score", None), ("value", [1, "2"]),
        ("value", [1, 2, 3]), ("suggestion", [float("nan"), 1]), ("uncertainty", "wide"), ("keypoint", 3),
    ],
)  # fmt: skip
def test_what_it_cannot_be_is_named(key: str, value: object) -> None:
    with pytest.raises(DataError, match=f"{key} must be"):
        Fault.from_dict(FAULT.to_dict() | {key: value})


def test_kinds_are_told_apart() -> None:
    assert len(set(KINDS)) == len(KINDS)
