"""The verb `audit`: what it writes, how it is gone on with, decisions, and the page of the queue."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facelearn.auditing import audit as verb
from facelearn.auditing.audit import audit, audit_text
from facelearn.auditing.fault import Fault
from facelearn.auditing.keypoint_audit import AuditResult
from facelearn.auditing.patch import patch
from facelearn.auditing.queue_page import FIRST_PICTURES, PICTURES_OF_A_KIND, panel_of, pictured, queue_html
from facelearn.data.faces import Faces
from facelearn.data.synthetic import synthetic_faces
from facelearn.errors import DataError, FacelearnError
from support.commands import run_quietly


def queue(faces, count=30):
    """Findings as an engine would give them; every second one is about blur."""
    made = []
    for i in range(count):
        row, score = i % len(faces), 0.99 - i / (count + 10)
        if i % 2:
            made.append(
                Fault(
                    row, str(faces.source[row]), "blurred", None, None, score, None, None, f"its edges are {i} px wide"
                )
            )
        else:
            place = tuple(map(float, faces.keypoints[row][10] + 5))
            reason = f"models put it {i}.5 px away"
            made.append(
                Fault(row, str(faces.source[row]), "misplaced", "nose_tip", (1.0, 2.0), score, place, 1.0, reason)
            )
    return tuple(made)


@pytest.fixture
def engine(monkeypatch):
    """An engine of keypoints that finds `queue`, and what it was called with."""
    calls = []

    def look(faces, **options):
        calls.append(options)
        if options["stop"] is not None and options["stop"]():
            return AuditResult((), {}, stopped=True)
        return AuditResult(queue(faces), {"rows": len(faces), "expected_faults": 12.5})

    monkeypatch.setattr(verb, "audit_keypoints", look)
    return calls


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return synthetic_faces(16, seed=2).save(tmp_path_factory.mktemp("audit") / "faces")


def test_the_queue_is_written_as_patch_and_page_and_replays(engine, data, tmp_path):
    result = audit(data, tmp_path / "audit")
    lines = [json.loads(line) for line in (tmp_path / "audit" / "patch.jsonl").read_text().splitlines()]
    scores = [line["score"] for line in lines]
    assert len(lines) == 30 and scores == sorted(scores, reverse=True) and lines[0]["row"] == 0
    text = "\n".join(audit_text(result))
    assert (
        "30 findings in 16 of 16 rows" in text
        and "misplaced: 15" in text
        and "row 0: misplaced nose_tip: models put it 0.5 px" in text
    )
    assert "expected faults" in (tmp_path / "audit" / "audit.html").read_text()
    replayed = patch(data, tmp_path / "audit" / "patch.jsonl", tmp_path / "mended", min_score=0.5)
    assert replayed.applied["misplaced"] > 5
    assert engine[0]["folds"] == 5 and engine[0]["out"] == tmp_path / "audit"


def test_nothing_is_overwritten_and_decisions_need_no_second_search(engine, data, tmp_path):
    audit(data, tmp_path / "audit")
    with pytest.raises(FacelearnError, match="resume=True to go on"):
        audit(data, tmp_path / "audit")
    said = [
        f"{i},{'blurred' if i % 2 else 'misplaced'},{'' if i % 2 else 'nose_tip'},{'refused' if i % 2 else 'confirmed'}"
        for i in range(8)
    ]
    (tmp_path / "said.csv").write_text("row,kind,keypoint,decision\n" + "\n".join(said) + "\n")
    result = audit(data, tmp_path / "audit", resume=True, decisions=tmp_path / "said.csv")
    # row 0 .. 7 stand twice in the queue, as do their keys: findings of one row, kind and keypoint are decided together
    assert len(engine) == 1 and result.ranking.confirmed == 8 and result.ranking.refused == 8
    lines = [json.loads(line) for line in (tmp_path / "audit" / "patch.jsonl").read_text().splitlines()]
    assert len(lines) == 22 and [line["score"] for line in lines[:8]] == [1.0] * 8
    assert [line["kind"] for line in lines[8:]] == ["misplaced"] * 7 + ["blurred"] * 7
    assert (
        "ranked again" in "\n".join(audit_text(result))
        and "8 refused and taken out" in (tmp_path / "audit" / "audit.html").read_text()
    )
    # other decisions start from what was found, not from what the first ones left
    (tmp_path / "said.csv").write_text("row,kind,keypoint,decision\n0,misplaced,nose_tip,refused\n")
    assert len(audit(data, tmp_path / "audit", resume=True, decisions=tmp_path / "said.csv").faults) == 28
    assert len(audit(data, tmp_path / "audit", resume=True).faults) == 30


def test_an_audit_that_was_stopped_is_gone_on_with(engine, data, tmp_path):
    result = audit(data, tmp_path / "audit", stop=lambda: True)
    assert result.stopped and result.patch is None and not (tmp_path / "audit" / "patch.jsonl").exists()
    assert len(audit(data, tmp_path / "audit", resume=True, stop=lambda: False).faults) == 30 and len(engine) == 2


def test_what_was_asked_for_holds_for_an_audit_that_is_gone_on_with(engine, data, tmp_path):
    audit(data, tmp_path / "audit", folds=3, stop=lambda: True)
    for name, value, was in (("folds", 4, "3"), ("subject", "people", "keypoints"), ("model", "m", "none")):
        with pytest.raises(FacelearnError, match=rf"audit whose {name} is {was}; received .*{value}: leave {name} out"):
            audit(data, tmp_path / "audit", resume=True, **{name: value})
    audit(data, tmp_path / "audit", resume=True, stop=lambda: False)
    assert engine[-1]["folds"] == 3
    with pytest.raises(FacelearnError, match="whose folds is 3"):
        audit(data, tmp_path / "audit", resume=True, folds=5)
    (tmp_path / "audit" / "audit.json").write_text("{")
    with pytest.raises(DataError, match=r"audit\.json cannot be read"):
        audit(data, tmp_path / "audit", resume=True)


def test_a_patch_that_was_edited_is_kept(engine, data, tmp_path):
    audit(data, tmp_path / "audit")
    for name in ("patch.edited.jsonl", "patch.edited-2.jsonl"):
        file = tmp_path / "audit" / "patch.jsonl"
        edited = "".join(file.read_text().splitlines(True)[:3])
        file.write_text(edited)
        result = audit(data, tmp_path / "audit", resume=True)
        assert (tmp_path / "audit" / name).read_text() == edited and any(name in note for note in result.warnings)
        assert len(file.read_text().splitlines()) == 30
    assert not audit(data, tmp_path / "audit", resume=True).warnings


def test_decisions_need_findings_and_the_rest_is_expected_anew(engine, data, tmp_path):
    said = tmp_path / "said.csv"
    said.write_text("row;kind;keypoint;decision\n" + "".join(f"{i};blurred;;refused\n" for i in range(1, 16, 2)))
    with pytest.raises(FacelearnError, match="no finished audit"):
        audit(data, tmp_path / "audit", decisions=said)
    assert not engine
    audit(data, tmp_path / "audit")
    result = audit(data, tmp_path / "audit", resume=True, decisions=said)
    assert result.ranking.refused == 15 and result.facts["expected_faults"] == pytest.approx(
        sum(one.score for one in result.faults)
    )


def test_other_data_and_data_without_labels_are_refused(engine, data, tmp_path):
    audit(data, tmp_path / "audit")
    other = synthetic_faces(16, seed=3).save(tmp_path / "other")
    with pytest.raises(DataError, match="other data"):
        audit(other, tmp_path / "audit", resume=True)
    with pytest.raises(FacelearnError, match="holds no audit"):
        audit(data, tmp_path / "nothing", resume=True)
    bare = Faces.create(np.zeros((3, 24, 24), np.uint8)).save(tmp_path / "bare")
    with pytest.raises(DataError, match="facelearn inspect"):
        audit(bare, tmp_path / "b")
    with pytest.raises(FacelearnError, match="keypoints or people"):
        audit(data, tmp_path / "b", subject="names")


def test_people_are_audited_where_there_are_no_keypoints(monkeypatch, tmp_path):
    def look(faces, **options):
        fault = Fault(
            0, str(faces.source[0]), "wrong_name", None, "ann", 0.8, "bob", None, "taken for bob (90%), not ann (1.0%)"
        )
        return verb.PeopleAudit((fault,), {"rows": len(faces)}, ("a note",))

    monkeypatch.setattr(verb, "audit_people", look)
    images = np.random.default_rng(0).integers(0, 255, (6, 24, 24), np.uint8)
    faces = Faces.create(images, identity=[0, 0, 0, 1, 1, 1], people=("ann", "bob"))
    result = audit(faces.save(tmp_path / "faces"), tmp_path / "audit")
    page = result.page.read_text()
    assert "a note" in result.warnings and "a note" in page and "instead: bob" in page


def test_as_typed(engine, data, tmp_path, capsys):
    assert run_quietly("audit", data, "--out", tmp_path / "audit", "--folds", "3") == 0
    said = capsys.readouterr().out
    assert "30 findings" in said and "audit.html" in said and "facelearn patch" in said and engine[0]["folds"] == 3
    assert run_quietly("audit", data, "--out", tmp_path / "audit", "--resume", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 30
    assert run_quietly("audit", data, "--out", tmp_path / "audit") == 1
    assert "--resume" in capsys.readouterr().err


def test_a_long_queue_is_a_small_page_and_shows_every_kind():
    faces = synthetic_faces(8, seed=5)
    faults = [*queue(faces, 3000), Fault(2, "a", "duplicate", None, None, 0.01, "3", None, "as row 3")]
    shown = pictured(faults)
    assert len(shown) == FIRST_PICTURES + 1 and shown[-1] == 3000
    rare = [Fault(1, "a", "no_face", None, None, 0.5, None, None, "none")] * 200
    assert len(pictured([*faults[:200], *rare])) == FIRST_PICTURES + PICTURES_OF_A_KIND
    page = queue_html(faults, faces, {"source": "<b>"})
    assert len(page) < 2_000_000 and "The first 1,000 of 3,001 as a list" in page and "<b></b>" not in page
    assert page.count('type="radio"') == 4 and "<script" not in page


def test_what_is_drawn():
    faces = synthetic_faces(4, seed=5).replace(to_photo=np.tile([[2.0, 0, 0], [0, 2, 0]], (4, 1, 1)))
    plain = panel_of(Fault(0, "a", "blurred", None, None, 0.5, None, None, ""), faces)
    assert plain.shape == (176, 176, 3)
    orange = lambda panel: (panel[..., 0] > 200) & (panel[..., 1] > 80) & (panel[..., 1] < 160) & (panel[..., 2] < 60)  # noqa: E731
    assert not orange(plain).any()
    misplaced = Fault(0, "a", "misplaced", "nose_tip", None, 0.5, (40.0, 160.0), None, "")
    ys, xs = np.nonzero(orange(panel_of(misplaced, faces)))
    assert abs(xs.mean() - 20 / 96 * 176) < 4 and abs(ys.mean() - 80 / 96 * 176) < 4  # photo pixels are halved
    shifted = orange(panel_of(Fault(0, "a", "shifted", None, None, 0.5, (20.0, 0.0), None, ""), faces))
    assert shifted.sum() > 3 * orange(panel_of(misplaced, faces)).sum()
    twice = panel_of(Fault(0, "a", "duplicate", None, None, 0.5, "1", None, ""), faces)
    assert twice.shape[1] > 2 * 176
