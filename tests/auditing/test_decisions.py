"""A queue that learns: decisions read from a file, and what ten of them are worth on queues whose truth is known."""

from __future__ import annotations

import csv
import json
from functools import partial

import numpy as np
import pytest

from facelearn.auditing.decisions import Decision, rank_again, ranking_text, read_decisions
from facelearn.auditing.fault import Fault
from facelearn.errors import DataError

KEYPOINTS = ("nose_tip", "left_eye_center", "mouth_left_corner", "mouth_right_corner")


def simulated(seed, count=300):
    """A queue whose scores are right but for two things the audit cannot know: low contrast is no fault to this person, and the labels of
    mouth_left_corner are all well. Returns findings, worst first, and whether each is real.
    """
    random = np.random.default_rng(seed)
    faults, truth = [], []
    for row in range(count):
        kind = str(random.choice(["misplaced", "low_contrast", "shifted"], p=[0.5, 0.3, 0.2]))
        keypoint = str(random.choice(KEYPOINTS)) if kind == "misplaced" else None
        score = float(random.beta(1.5, 1.5))
        never = kind == "low_contrast" or keypoint == "mouth_left_corner"
        truth.append(bool(random.random() < (0.03 if never else score)))
        faults.append(Fault(row, "training.csv", kind, keypoint, None, score, None, None, f"{kind} by {score:.2f}"))
    order = sorted(range(count), key=lambda i: -faults[i].score)
    return [faults[i] for i in order], np.asarray([truth[i] for i in order])


def place_of(fault):
    return fault.row, fault.kind, fault.keypoint


def average_precision(real):
    hits = np.flatnonzero(real)
    return float((np.arange(1, len(hits) + 1) / (hits + 1)).mean())


@pytest.mark.parametrize(("given", "least"), [(5, 0.06), (10, 0.12), (20, 0.15)])
def test_decisions_about_the_first_findings_bring_the_rest_into_better_order(given, least):
    gains, hits = [], []
    for seed in range(20):
        faults, real = simulated(seed)
        said = [
            Decision(one.row, one.kind, one.keypoint, bool(yes)) for one, yes in zip(faults[:given], real, strict=False)
        ]
        ranking = rank_again(faults, said)
        truth = dict(zip(map(place_of, faults), real, strict=True))
        undecided = ranking.faults[ranking.confirmed :]
        after = np.asarray([truth[place_of(one)] for one in undecided])
        assert len(undecided) == len(faults) - given and ranking.confirmed + ranking.refused == given
        gains.append(average_precision(after) - average_precision(real[given:]))
        hits.append((after[:50].sum() - real[given : given + 50].sum(), ranking.expected_now - ranking.expected_before))
    assert np.mean(gains) > least, np.mean(gains)
    # what is promised is not more than what comes
    assert 0 <= np.mean(hits, 0)[1] <= np.mean(hits, 0)[0] + 2


def test_where_the_scores_are_right_decisions_do_no_harm():
    losses = []
    for seed in range(10):
        faults, _ = simulated(seed)
        random = np.random.default_rng(seed)
        real = np.asarray([random.random() < one.score for one in faults])
        said = [
            Decision(one.row, one.kind, one.keypoint, bool(yes)) for one, yes in zip(faults[:10], real, strict=False)
        ]
        truth = dict(zip(map(place_of, faults), real, strict=True))
        ranking = rank_again(faults, said)
        after = [truth[place_of(one)] for one in ranking.faults[ranking.confirmed :]]
        losses.append(average_precision(real[10:]) - average_precision(after))
    assert np.mean(losses) < 0.03


def test_few_decisions_only_mark_what_they_are_about():
    faults, _ = simulated(0, 20)
    said = [Decision(faults[3].row, faults[3].kind, faults[3].keypoint, True),
            Decision(faults[0].row, faults[0].kind, faults[0].keypoint, False), Decision(999, "shifted", None, True)]  # fmt: skip
    ranking = rank_again(faults, said)
    assert [one.row for one in ranking.faults] == [
        faults[3].row,
        *[one.row for one in faults[1:] if one is not faults[3]],
    ]
    assert ranking.faults[0].score == 1 and (ranking.confirmed, ranking.refused, ranking.unknown) == (1, 1, 1)
    text = "\n".join(ranking_text(ranking, 3))
    assert "1 of 3 decisions are about findings that this audit does not have" in text and "5 to 10" in text


def test_read_from_csv_and_json_lines_alike(tmp_path):
    rows = [
        (3, "misplaced", "nose_tip", "confirmed"),
        (4, "swapped", "", "Refused"),
        (3, "misplaced", "nose_tip", "refused"),
    ]
    (tmp_path / "a.csv").write_text("Row,kind,keypoint,decision\n" + "\n".join(",".join(map(str, row)) for row in rows))
    keys = ("row", "kind", "keypoint", "decision")
    lines = [json.dumps({**dict(zip(keys, row, strict=True)), "score": 0.5, "data": "ab"}) for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    wanted = [Decision(3, "misplaced", "nose_tip", False), Decision(4, "swapped", None, False)]
    assert read_decisions(tmp_path / "a.csv") == read_decisions(tmp_path / "a.jsonl") == wanted


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("row,kind,keypoint,decision\n1,swapped,,yes\nx,swapped,,refused\n2,swopped,,refused\n", [2, 3, 4]),
        ('{"row": 1, "kind": "swapped", "decision": "refused"}\n{"row": 1\n{"row": true, "kind": "swapped"}', [2, 3]),
        ("row,kind,keypoint,decision\n1,swapped\n", [2]),
    ],
)  # fmt: skip
def test_lines_that_are_no_decisions_are_named(tmp_path, text, lines):
    (tmp_path / "decisions").write_text(text)
    with pytest.raises(DataError, match="confirmed or refused") as caught:
        read_decisions(tmp_path / "decisions")
    assert [problem.row for problem in caught.value.problems] == lines


def test_a_file_without_the_columns_says_which(tmp_path):
    (tmp_path / "decisions.csv").write_text("row,verdict\n1,confirmed\n")
    with pytest.raises(DataError, match="no column decision, kind"):
        read_decisions(tmp_path / "decisions.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_decisions(tmp_path / "nothing.csv")


def test_findings_that_only_their_suggestion_tells_apart_are_decided_one_by_one(tmp_path):
    faults = [Fault(0, "a", "two_names", None, "ann", 0.6, name, None, "alike") for name in ("bob", "eve")]
    with pytest.raises(DataError, match="bob, eve: say which"):
        rank_again(faults, [Decision(0, "two_names", None, False)])
    lines = [
        {**fault.to_dict(), "decision": said} for fault, said in zip(faults, ("refused", "confirmed"), strict=True)
    ]
    (tmp_path / "said.jsonl").write_text("\n".join(map(json.dumps, lines)))
    ranking = rank_again(faults, read_decisions(tmp_path / "said.jsonl"))
    assert [one.suggestion for one in ranking.faults] == ["eve"] and (ranking.confirmed, ranking.refused) == (1, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [("row;kind;keypoint;decision\n3;blurred;;refused\n", None), ("row\tkind\tdecision\n3\tblurred\trefused\n", None),
     ("3,blurred,,refused\n", "its first line is '3,blurred,,refused'"), ('[{"row": 3}]', "first line is row,kind,keypoint,decision"),
     ('row,kind,decision\n3,"' + "x" * 2_000, "line 2: field larger")],
)  # fmt: skip
def test_files_as_other_programs_write_them(tmp_path, text, said, request):
    request.addfinalizer(partial(csv.field_size_limit, csv.field_size_limit(1_000)))
    (tmp_path / "said.csv").write_text(text)
    if said is None:
        assert read_decisions(tmp_path / "said.csv") == [Decision(3, "blurred", None, False)]
    else:
        with pytest.raises(DataError, match=said):
            read_decisions(tmp_path / "said.csv")
