"""Each kind of claim against cells made by hand: what holds, what does not, and what is not decided."""

import math
from types import SimpleNamespace

import pytest

from facelearn.errors import RecipeError
from facelearn.studies.cell_numbers import machine, rows
from facelearn.studies.definition import load_study
from facelearn.studies.verdicts import RULE, tally, too_short, verdict_text, verdicts

CELLS = ("a", "b", "c")


def cell(train, valid, *, rmse=2.0, wide=0.05, seconds=1.0, epochs=None, processor="one"):
    """A finished run of ten epochs or more: `train` and `valid` are its last losses, or whole curves."""
    train, valid = ([x] * 10 if isinstance(x, float) else x for x in (train, valid))
    history = [
        {"epoch": i + 1, "train_loss": t, "valid_loss": v, "seconds": seconds * (i + 1)}
        for i, (t, v) in enumerate(zip(train, valid, strict=True))
    ]
    errors = {"value": rmse, "low": rmse * (1 - wide), "high": rmse * (1 + wide)}
    return [{
        "key": "k", "fold": None, "data": {"counts": {"valid_faces": 20, "train_faces": 80, "train_labels": 240}},
        "recipe": {}, "history": history,
        "summary": {"epochs": epochs or len(train), "steps": 30, "parameters": 10},
        "metrics": {"rmse_error": errors, "mean_face": {"rmse_error": {"value": 5.0}}},
        "environment": {"processor": processor, "threads": 1, "precision": "32-true", "torch": "2"},
    }]  # fmt: skip


@pytest.fixture
def judge(tmp_path):
    """(claim as TOML, cells) -> its verdict, in a study of three cells of ten epochs each."""

    def judged(claim, *, epochs=10, more="", **cells):
        path = tmp_path / "study.toml"
        named = "".join(f'[[cells]]\nname = "{name}"\nrecipe.seed = {i}\n' for i, name in enumerate(CELLS))
        path.write_text(
            f'title = "t"\nsource = "s"\nquestion = "q"\nrecipe.epochs = {epochs}\n{named}{more}[[claims]]\ntext = "It is so."\n{claim}\n'
        )
        study = load_study(path)
        (verdict,) = verdicts(study, rows(study, cells), cells)
        return verdict

    return judged


ORDER = 'measure = "valid_loss"\norder = ["a", "b"]'


def test_an_order_holds_where_the_intervals_are_apart(judge):
    low, high, near = cell(0.1, 0.1), cell(0.1, 0.4), cell(0.1, 0.102)
    assert judge(ORDER, a=low, b=high).holds is True
    turned = judge(ORDER, a=high, b=low)
    assert turned.holds is False and "b is below a, apart" in turned.reasons
    close = judge(ORDER, a=low, b=near)
    assert close.holds is None and close.reasons == ("a and b are not apart: their intervals overlap",)
    assert "a 0.10000 (0.09025 to 0.11025)" in close.found
    missing = judge(ORDER, a=low)
    assert missing.holds is None and missing.reasons == ("not run: b",)


def test_a_claim_about_imagenets_weights_is_not_decided_by_others(judge):
    def started(cells, **transfer):
        return [{**run, "recipe": {"transfer": transfer}} for run in cells]

    claim, low, high = f'{ORDER}\nweights = "ImageNet"', cell(0.1, 0.1), cell(0.1, 0.4)
    assert judge(claim, a=low, b=high).holds is True  # trained from the start: nothing is asked of them
    published = started(low, source="resnet18.pth", sha256="f37072fd" + 56 * "0")
    assert judge(claim, a=published, b=high).holds is True
    own = judge(claim, a=started(low, source="model.safetensors", sha256="ab" * 32), b=high)
    assert own.holds is None and own.reasons == ("starts from weights that are not ImageNet's: a",)
    assert judge(ORDER, a=started(low, source="model.safetensors"), b=high).holds is True


def test_a_tie_holds_where_they_are_not_apart(judge):
    tie = 'measure = "valid_loss"\norder = [["a", "b"], "c"]'
    low, near, high = cell(0.1, 0.1), cell(0.1, 0.102), cell(0.1, 0.4)
    assert judge(tie, a=low, b=near, c=high).holds is True
    broken = judge(tie, a=low, b=high, c=high)
    assert broken.holds is False and "a and b are published as equal and are apart" in broken.reasons


def test_an_order_at_an_epoch_reads_the_curves(judge):
    crossing, level = cell(0.1, [0.9] * 5 + [0.1] * 5), cell(0.1, 0.5)
    assert judge(ORDER, a=crossing, b=level).holds is True
    assert judge(f"{ORDER}\nepoch = 5", a=crossing, b=level).holds is False
    short = judge(f"{ORDER}\nepoch = 12", a=crossing, b=level)
    assert short.holds is None and "fewer than 12 epochs: a, b" in short.reasons


def test_the_best_is_the_lowest_error_and_the_highest_score(judge):
    best = 'kind = "best"\nmeasure = "valid_loss"\ncells = ["a"]'
    assert judge(best, a=cell(0.1, 0.1), b=cell(0.1, 0.4), c=cell(0.1, 0.3)).holds is True
    beaten = judge(best, a=cell(0.1, 0.4), b=cell(0.1, 0.1), c=cell(0.1, 0.3))
    assert beaten.holds is False and "b is better than a, apart" in beaten.reasons
    assert judge(best, a=cell(0.1, 0.1), b=cell(0.1, 0.4)).reasons == ("not run: c",)
    assert judge(f'{best}\namong = ["b"]', a=cell(0.1, 0.1), b=cell(0.1, 0.4)).holds is True
    assert judge(best, a=cell(0.1, 0.1), b=cell(0.1, 0.101), c=cell(0.1, 0.3)).holds is None


def test_one_of_several_that_is_best_is_enough_and_one_not_run_might_be(judge):
    either = 'kind = "best"\nmeasure = "valid_loss"\ncells = ["a", "b"]\namong = ["c"]'
    low, high = cell(0.1, 0.1), cell(0.1, 0.4)
    assert judge(either, a=low, c=high).holds is True
    waits = judge(either, a=high, c=low)
    assert waits.holds is None and waits.reasons == ("c is better than a, apart", "not run: b")
    assert judge(either, a=high, b=high, c=low).holds is False
    assert judge(either, a=low, b=high).reasons == ("not run: c",)


def test_a_ratio_has_an_interval_of_its_own(judge):
    eight = 'kind = "ratio"\nmeasure = "rmse_error"\nof = "a"\nto = "b"\nat_least = 3.0'
    assert judge(eight, a=cell(0.1, 0.1, rmse=4.0), b=cell(0.1, 0.1, rmse=1.0)).holds is True
    near = judge(eight, a=cell(0.1, 0.1, rmse=3.1), b=cell(0.1, 0.1, rmse=1.0))
    assert near.holds is None and "3.10 times (2.80 to 3.43)" in near.found
    assert judge(eight, a=cell(0.1, 0.1, rmse=2.0), b=cell(0.1, 0.1, rmse=1.0)).holds is False
    most = 'kind = "ratio"\nmeasure = "train_loss"\nof = "a"\nto = "b"\nat_most = 2.0'
    assert judge(most, a=cell(0.2, 0.1), b=cell(0.1, 0.1)).holds is True
    assert judge(most, a=cell(0.3, 0.1), b=cell(0.1, 0.1)).holds is False


def test_a_range_is_kept_by_every_cell(judge):
    none_above = 'kind = "range"\nmeasure = "rmse_error"\ncells = ["a", "b"]\nat_most = 2.5'
    two = cell(0.1, 0.1, rmse=2.0)
    assert judge(none_above, a=two, b=two).holds is True
    assert judge(none_above, a=two, b=cell(0.1, 0.1, rmse=3.0)).holds is False
    assert judge(none_above, a=two, b=cell(0.1, 0.1, rmse=2.5)).holds is None
    assert judge(none_above, a=two).holds is None


def test_a_trend_is_a_rank_correlation(judge):
    falls = 'kind = "trend"\nmeasure = "train_loss"\ngoes = "falls"\ncells = ["a", "b", "c"]'
    down = [cell(x, 0.1) for x in (0.5, 0.4, 0.1)]
    assert judge(falls, a=down[0], b=down[1], c=down[2]).holds is True
    assert judge(falls, a=down[2], b=down[1], c=down[0]).holds is False
    assert judge(falls, a=down[0], b=down[2], c=down[1]).holds is None  # correlation 0.5
    assert judge(falls, a=down[0], b=down[1]).reasons == ("not run: c",)
    noise = [cell(x, x) for x in (0.51, 0.505, 0.5)]  # in order, and each within the others' intervals
    for rows_of_three in (noise, noise[::-1]):
        alike = judge(falls.replace("train_loss", "valid_loss"), **dict(zip(CELLS, rows_of_three, strict=True)))
        assert alike.holds is None and alike.reasons == ("no two of them are apart",)
    time = (
        'kind = "trend"\nmeasure = "seconds_per_epoch"\nalong = "parameters"\ngoes = "rises"\ncells = ["a", "b", "c"]'
    )
    sized = [cell(0.1, 0.1, seconds=s) for s in (1.0, 3.0, 9.0)]
    for run, parameters in zip(sized, (30, 10, 20), strict=True):
        run[0]["summary"]["parameters"] = parameters
    assert judge(time, a=sized[0], b=sized[1], c=sized[2]).holds is False


def test_overfitting_is_read_off_the_curves(judge):
    overfits = 'kind = "overfits"\ncells = ["a"]'
    rising, fitted = cell(0.1, [0.2, 0.15, *[0.1] * 4, 0.11, 0.12, 0.13, 0.14]), cell(0.1, 0.12)
    found = judge(overfits, a=rising)
    assert found.holds is True and "40% above its lowest" in found.found
    assert judge(overfits, a=cell(0.1, 0.25)).holds is True  # two and a half times the training loss
    assert judge(overfits, a=fitted).holds is False
    assert judge(f"{overfits}\ngap = 3.0", a=cell(0.1, 0.25)).holds is False
    assert judge(f"{overfits}\nprevented = true", a=fitted).holds is True
    assert judge(f"{overfits}\nprevented = true", a=rising).holds is False


def test_overfitting_that_is_seen_is_decided_however_short_the_run(judge):
    overfits = 'kind = "overfits"\ncells = ["a"]'
    seen, unseen = cell(0.1, 0.25), cell(0.1, 0.12)
    assert judge(overfits, epochs=1000, a=seen).holds is True
    assert judge(overfits, epochs=1000, a=unseen).holds is None
    assert judge(f"{overfits}\nprevented = true", epochs=1000, a=seen).holds is False
    assert judge(f"{overfits}\nprevented = true", epochs=1000, a=unseen).holds is None


def test_one_overfits_more_than_another_by_its_gap_or_its_rise(judge):
    gap = 'kind = "gap"\nlarger = "a"\nsmaller = "b"'
    rising = cell(0.1, [0.1] * 9 + [0.12])
    assert judge(gap, a=cell(0.1, 0.2), b=cell(0.1, 0.1)).holds is True
    assert judge(gap, a=cell(0.1, 0.1), b=cell(0.1, 0.2)).holds is False
    assert judge(gap, a=cell(0.1, 0.104), b=cell(0.1, 0.1)).holds is None
    # with dropout at work a training loss is high: the gap says no, the rise says yes
    assert judge(gap, a=rising, b=cell(0.02, 0.1)).holds is False
    assert judge(f'{gap}\nby = "rise"', a=rising, b=cell(0.02, 0.1)).holds is True


def test_time_is_counted_until_anothers_best_loss_is_reached(judge):
    reach = 'kind = "reach"\nmeasure = "epochs_to_reach"\ncell = "a"\nthan = "b"\nshare = 0.7'
    of = '[reach]\nof = "b"\n'
    slow = cell(0.1, [0.9] * 9 + [0.3])
    quick = cell(0.1, [0.9] * 5 + [0.2] * 5)
    found = judge(reach, more=of, a=quick, b=slow)
    assert found.holds is True and "0.60 times" in found.found
    assert judge(reach, more=of, a=cell(0.1, [0.9] * 8 + [0.2] * 2), b=slow).holds is False
    never = judge(reach, more=of, a=cell(0.1, 0.4), b=slow)
    assert never.holds is False and never.reasons == ("a never reached that loss",)
    stuck = judge(reach, more=of, a=quick, b=cell(0.1, [0.9] * 9 + [0.88]))
    assert stuck.holds is None and stuck.reasons == (
        "b has hardly learned: its best validation loss is near its first",
    )
    seconds = reach.replace("epochs_to_reach", "seconds_to_reach")
    dear = cell(0.1, [0.9] * 5 + [0.2] * 5, seconds=3.0)
    assert judge(seconds, more=of, a=dear, b=slow).holds is False
    with pytest.raises(RecipeError, match=r"needs the study's \[reach\]"):
        judge(reach, a=quick, b=slow)


def test_short_runs_decide_nothing_and_say_how_short(judge):
    low, high = cell(0.1, 0.1), cell(0.1, 0.4)
    short = judge(ORDER, epochs=1000, a=low, b=high)
    assert short.holds is None and short.ran == "10 of 1,000 epochs"
    assert short.reasons == ("too short: 10 of 1,000 epochs (2 cells)",)
    assert verdict_text(short).startswith("Not decided: It is so. Validation loss: a 0.10000")
    # two fifths are enough for a loss that has stopped falling, and not for one that falls
    assert judge(ORDER, epochs=25, a=low, b=high).holds is True
    falling = cell(0.1, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert judge(ORDER, epochs=25, a=falling, b=high).holds is None
    assert judge(ORDER, epochs=10, a=falling, b=high).holds is True
    unseen = SimpleNamespace(epochs=10, wanted_epochs=25, falling=math.nan)
    assert too_short(unseen) == "10 of 25 epochs, without a validation loss that could show that it has settled"
    assert too_short(SimpleNamespace(epochs=25, wanted_epochs=25, falling=math.nan)) == ""
    # what an epoch takes is known after one
    time = 'measure = "seconds_per_epoch"\norder = ["a", "b"]'
    assert judge(time, epochs=1000, a=low, b=cell(0.1, 0.1, seconds=2.0)).holds is True
    assert judge(time, a=low, b=cell(0.1, 0.1, seconds=2.0, processor="another")).holds is None
    assert "two fifths" in RULE


def test_a_verdict_waits_for_cells_that_were_not_run_or_not_long_enough(judge):
    whole, near = cell(0.1, 0.1), cell(0.1, 0.102)
    assert judge(ORDER, a=whole).waits and judge(ORDER, epochs=1000, a=whole, b=near).waits
    assert not judge(ORDER, a=whole, b=near).waits
    cost = 'measure = "seconds_per_epoch"\norder = ["a", "b"]'  # known after one epoch
    assert not judge(cost, epochs=1000, a=whole, b=cell(0.1, 0.1, seconds=2.0)).waits
    both = judge(ORDER + '\nweights = "ImageNet"', epochs=1000, a=whole)
    assert both.waits and both.reasons == ("too short: 10 of 1,000 epochs", "not run: b")


def test_a_cell_no_better_than_the_mean_face_decides_nothing(judge):
    blind = judge(ORDER, a=cell(0.1, 0.1), b=cell(0.1, 0.4, rmse=4.9))
    assert blind.holds is None and blind.reasons == ("no better than an answer that looks at no image: b",)


def test_different_machines_are_said(judge):
    mixed = judge(ORDER, a=cell(0.1, 0.1), b=cell(0.1, 0.4, processor="another"))
    assert mixed.holds is True and mixed.reasons == ("the cells ran on different machines",)


def test_what_no_run_can_judge_says_so(judge):
    asserted = judge('kind = "test"\nby = "tests/golden/test_masked_loss.py"')
    assert asserted.holds is True and "test_masked_loss" in verdict_text(asserted)
    assert judge('kind = "test"\nby = "tests/golden/test_masked_loss.py"\nholds = false').holds is False
    unjudged = judge('kind = "open"\nbecause = "no numbers are printed"\nwhere = "slide 3"\nreading = "so and so"')
    assert verdict_text(unjudged) == "Not decided: It is so (slide 3). Read as: so and so. Why: no numbers are printed."
    assert tally([asserted, unjudged]) == {True: 1, False: 0, None: 1}


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ('kind = "ordr"', "kind|tag"),
        ('measure = "valid_loss"\norder = ["a", "d"]', "cell"),
        ('kind = "ratio"\nmeasure = "valid_los"\nof = "a"\nto = "b"', "valid_loss"),
        ('kind = "gap"\nlarger = "a"', "smaller"),
        ('kind = "reach"\nmeasure = "valid_loss"\ncell = "a"\nthan = "b"\nshare = 0.7', "measure"),
        ('kind = "people"\ncells = ["a"]\ncount = 1\nabove = 0.5', "this study's task is keypoints"),
        ('kind = "people"\ncells = ["a"]\ncount = 1', "above or at_most"),
        ('kind = "people"\ncells = ["a"]\ncount = 1\nabove = 0.5\nat_most = 0.1', "above or at_most"),
        ('kind = "people"\ncells = ["a"]\ncount = 5\nof = 4\nabove = 0.5', "count = 5 people cannot be of = 4"),
    ],
)
def test_a_wrong_claim_is_named(judge, claim, said):
    with pytest.raises(RecipeError, match=said):
        judge(claim)


def test_a_cell_says_which_processor_or_card_it_ran_on():
    facts = {"processor": "A processor", "threads": 1, "precision": "32-true", "torch": "2"}
    assert (
        machine(facts) == machine({**facts, "accelerator": "cpu"}) == "A processor, 1 thread a cell, 32-true, torch 2"
    )
    assert machine({**facts, "accelerator": "A card", "threads": 2}).startswith("A card, 2 threads")
