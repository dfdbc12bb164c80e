"""The results page is in step with the stored results, the studies' files and the remarks."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
from PIL import Image

from facelearn.studies.definition import load_study
from support.scripts import script


@pytest.fixture(scope="module")
def results():
    return script("docs", "results")


def test_every_picture_shows_the_stored_numbers_and_no_other_is_kept(results):
    shown = set()
    for run in results.everything():
        for name in ("curves", "sweep", "cost"):
            path = results.PICTURES / f"{run.label}-{name}.png"
            if path.exists():
                shown.add(path)
                with Image.open(path) as picture:
                    assert picture.info.get("Comment") == run.fingerprint, (
                        f"{path} is old; type: python docs/results.py"
                    )
        assert results.PICTURES / f"{run.label}-curves.png" in shown
        for sheet in results.kernels.sheets(run.label):
            path = results.PICTURES / sheet.picture
            shown.add(path)
            with Image.open(path) as picture:
                assert picture.info.get("Comment") == sheet.fingerprint, f"{path} is old; type: python docs/results.py"
    assert shown == set(results.PICTURES.glob("*.png"))


def test_every_study_stands_in_the_table_on_top_and_has_its_verdicts(results):
    page = results.PAGE.read_text(encoding="utf-8")
    table = page.split("## All studies")[1].split("**The rule.**")[0]
    for run in results.everything():
        assert f"| [{run.label}](#{run.label}) |" in table and f'<a id="{run.label}"></a>' in page
        assert all(claim.text.rstrip(".") in page for claim in run.study.claims)
    assert page.count("- **Not decided**: ") + page.count("- **Holds**: ") + page.count("- **Does not hold**: ") == sum(
        len(run.study.claims) for run in results.everything()
    )


def test_claims_that_a_later_run_of_a_study_leaves_out_stand_in_its_first(results):
    runs = results.everything()
    first: dict[str, object] = {}
    for run in runs:
        whole = first.setdefault(run.study.name, run)
        assert {claim.text for claim in run.study.claims} <= {claim.text for claim in whole.study.claims}
        left = len(whole.study.claims) - len(run.study.claims)
        assert any(
            f"{left} claim{'' if left == 1 else 's'} that" in note and f"(#{whole.label})" in note
            for note in run.study.notes
        ) == bool(left)
    catalogue = {name: len(load_study(name).claims) for name in first}
    assert {name: len(run.study.claims) for name, run in first.items()} == catalogue


def test_a_later_run_keeps_what_it_decides_and_leaves_out_what_waits(results, monkeypatch):
    from facelearn.studies import verdicts as module

    (run,) = (one for one in results.everything() if one.label == "w207_hidden_units")
    first, *_ = run.study.claims
    answers = [
        module.Verdict(first, None, "", "10 of 10 epochs", ("a and b are not apart",)),
        module.Verdict(first, False, "", "10 of 10 epochs", ("not run: b",), waits=True),
        module.Verdict(first, None, "", "10 of 10 epochs", ("not run: b",), waits=True),
        module.Verdict(first, None, "", "1 of 10 epochs", ("too short: 1 of 10 epochs",), waits=True),
        module.Verdict(first, True, "By arithmetic"),
    ]
    monkeypatch.setattr(module, "verdicts", lambda *_: answers)
    study = results._with_own_claims(run, "first")
    assert len(study.claims) == 2 and study.notes[-1].startswith("3 claims") and "(#first)" in study.notes[-1]


def test_a_section_is_headed_by_the_command_that_ran_it(results):
    (run,) = (one for one in results.everything() if one.label == "w207_hidden_units")
    for label, heading, options in (
        ("w207_hidden_units", "perceptron", ""),
        ("w207_hidden_units-cpu", "perceptron (cpu)", ""),
        ("w207_hidden_units-30-epochs-500-rows-seed-4", "perceptron (30 epochs 500 rows seed 4)", " --epochs 30 --rows 500 --seed 4"),
    ):  # fmt: skip
        lines = results._section(replace(run, label=label), {}).splitlines()
        assert f"## Hidden units of the multilayer {heading}" in lines
        assert f"facelearn study w207_hidden_units --data training.zip{options}" in lines


def test_remarks_belong_to_stored_results(results):
    remarks = tomllib.loads(results.REMARKS.read_text(encoding="utf-8"))
    labels = {run.label for run in results.everything()}
    assert {name for name in remarks if isinstance(remarks[name], dict)} <= labels


def test_cells_of_an_earlier_form_are_said_to_be_so(results):
    page = results.PAGE.read_text(encoding="utf-8")
    for run in results.everything():
        for row in run.rows:
            if row.earlier:
                assert f"{row.name} was trained in an earlier form of this study" in page
