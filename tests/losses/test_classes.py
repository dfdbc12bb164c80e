from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from facelearn.errors import DataError, RecipeError
from facelearn.losses import add_losses
from facelearn.losses.class_names import IMBALANCES, SAMPLERS, class_loss_options
from facelearn.losses.classes import ClassLoss, class_weights

COUNTS = [600, 40, 6, 1]
LOGITS = torch.tensor([[2.0, -1.0, 0.5, 0.0], [0.0, 0.0, 3.0, -2.0], [1.0, 1.0, 1.0, 1.0]])
TARGET = torch.tensor([0, 2, 3])
ALL = sorted(IMBALANCES)


def naive(logits, target, counts, imbalance, smoothing=0.0, gamma=2.0, beta=0.999, tau=1.0, margin=0.0):
    """The published formulas, one row and one class at a time."""
    total = denominator = 0.0
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        values = list(row)
        values[y] -= margin
        if imbalance == "logit_adjustment":
            values = [v + tau * math.log(n / sum(counts)) for v, n in zip(values, counts, strict=True)]
        p = [math.exp(v) / sum(math.exp(u) for u in values) for v in values]
        labels = [(1 - smoothing) * (c == y) + smoothing / len(p) for c in range(len(p))]
        loss = -sum(q * math.log(chance) for q, chance in zip(labels, p, strict=True))
        if imbalance == "focal":
            loss *= (1 - p[y]) ** gamma
        weight = {
            "class_weights": 1 / counts[y],
            "effective_number": (1 - beta) / (1 - beta ** counts[y]),
        }.get(imbalance, 1.0)
        total, denominator = total + weight * loss, denominator + weight
    return total, denominator


@pytest.mark.parametrize("margin", [0.0, 1.5])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("imbalance", ALL)
def test_equals_the_published_formula(imbalance, smoothing, margin):
    loss = ClassLoss(COUNTS, imbalance, label_smoothing=smoothing, margin=margin)(LOGITS, TARGET)
    expected = naive(LOGITS, TARGET, COUNTS, imbalance, smoothing, margin=margin)
    assert (float(loss.total), float(loss.denominator)) == pytest.approx(expected, rel=1e-5)


def test_options_reach_the_loss():
    for imbalance, option in (
        ("focal", {"gamma": 0.5}),
        ("effective_number", {"beta": 0.9}),
        ("logit_adjustment", {"tau": 1.5}),
    ):
        loss = ClassLoss(COUNTS, imbalance, **option)(LOGITS, TARGET)
        expected = naive(LOGITS, TARGET, COUNTS, imbalance, **option)
        assert (float(loss.total), float(loss.denominator)) == pytest.approx(expected, rel=1e-5)
    smooth = ClassLoss(COUNTS, "label_smoothing")(LOGITS, TARGET)
    assert float(smooth.total) == pytest.approx(naive(LOGITS, TARGET, COUNTS, "none", 0.1)[0], rel=1e-5)


def test_equals_torch():
    weights = 1 / torch.tensor(COUNTS)
    weighted = ClassLoss(COUNTS, "class_weights")(LOGITS, TARGET).mean()
    torch.testing.assert_close(weighted, F.cross_entropy(LOGITS, TARGET, weight=weights))
    smooth = ClassLoss(COUNTS, "label_smoothing", label_smoothing=0.3)(LOGITS, TARGET).mean()
    torch.testing.assert_close(smooth, F.cross_entropy(LOGITS, TARGET, label_smoothing=0.3))
    # both: a row has the weight of its own class, also for the share of its label that is spread
    both = ClassLoss(COUNTS, "class_weights", label_smoothing=0.3)(LOGITS, TARGET).mean()
    rows = F.cross_entropy(LOGITS, TARGET, label_smoothing=0.3, reduction="none")
    torch.testing.assert_close(both, (rows * weights[TARGET]).sum() / weights[TARGET].sum())
    shifted = LOGITS + torch.tensor(COUNTS).div(sum(COUNTS)).log()
    adjusted = ClassLoss(COUNTS, "logit_adjustment")(LOGITS, TARGET).mean()
    torch.testing.assert_close(adjusted, F.cross_entropy(shifted, TARGET))


def test_weights_by_hand():
    counts = torch.tensor([2, 10, 0])
    torch.testing.assert_close(
        class_weights(counts, "class_weights"), torch.tensor([0.5, 0.1, 0.0], dtype=torch.float64)
    )
    expected = torch.tensor([0.1 / 0.19, 0.1 / (1 - 0.9**10), 0.0], dtype=torch.float64)
    torch.testing.assert_close(class_weights(counts, "effective_number", beta=0.9), expected)
    # beta = 0 counts nothing twice, beta -> 1 is 1 / n
    assert class_weights(counts, "effective_number", beta=0.0).tolist() == [1, 1, 0]
    near = class_weights(counts, "effective_number", beta=1 - 1e-12)
    torch.testing.assert_close(near, class_weights(counts, "class_weights"), rtol=1e-9, atol=0)
    assert class_weights(counts, "focal").tolist() == [1, 1, 1]


@pytest.mark.parametrize("size", [1e4, -1e4])
@pytest.mark.parametrize("imbalance", ALL)
def test_extreme_logits_and_empty_classes_stay_finite(imbalance, size):
    logits = torch.zeros(3, 4)
    logits[torch.arange(3), TARGET] = size  # as sure as can be: right, then wrong
    logits.requires_grad_()
    loss = ClassLoss([600, 0, 6, 0], imbalance, label_smoothing=0.1, margin=3.0)(logits, TARGET)
    loss.mean().backward()
    assert math.isfinite(float(loss.total.detach())) and math.isfinite(float(loss.denominator))
    assert logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 5.0])
def test_focal_gradient_is_finite_and_right(gamma):
    loss = ClassLoss(COUNTS, "focal", gamma=gamma)
    sure = torch.tensor([[0.0, 200.0, 0.0, 0.0]], requires_grad=True)
    loss(sure, torch.tensor([1])).total.backward()
    assert sure.grad is not None and (sure.grad == 0).all()
    assert torch.autograd.gradcheck(lambda x: loss(x, TARGET).total, (LOGITS.double().requires_grad_(),))


@pytest.mark.parametrize("imbalance", ALL)
def test_half_precision_is_computed_in_float32_also_under_autocast(imbalance):
    half = LOGITS.bfloat16()
    loss = ClassLoss(COUNTS, imbalance, margin=0.3)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(half, TARGET)
    assert found.total.dtype == found.denominator.dtype == torch.float32
    assert torch.equal(found.total, loss(half.float(), TARGET).total)
    assert loss(LOGITS.double(), TARGET).total.dtype == torch.float64


@pytest.mark.parametrize("imbalance", ALL)
def test_a_row_of_nobody_and_a_weighted_class_without_images_add_nothing(imbalance):
    loss = ClassLoss([600, 40, 6, 0], imbalance)
    logits = LOGITS.clone()
    logits[1] = 1e4
    logits.requires_grad_()
    found = loss(logits, torch.tensor([0, -1, 1]))
    alone = loss(LOGITS[[0, 2]], torch.tensor([0, 1]))
    torch.testing.assert_close(found.total, alone.total)
    torch.testing.assert_close(found.denominator, alone.denominator)
    found.total.backward()
    assert logits.grad is not None and (logits.grad[1] == 0).all()
    nothing = loss(LOGITS[:2], torch.tensor([-1, -1]))
    assert (float(nothing.total), float(nothing.denominator), float(nothing.mean())) == (0, 0, 0)
    assert float(loss(LOGITS[:0], TARGET[:0]).mean()) == 0
    if imbalance in ("class_weights", "effective_number"):
        assert float(loss(LOGITS[:1], torch.tensor([3])).denominator) == 0


def random_batch(seed, rows=7, classes=5, largest=50):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=generator, dtype=torch.float64) * 4
    target = torch.randint(classes, (rows,), generator=generator)
    return logits, target, torch.randint(1, largest, (classes,), generator=generator), generator


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(ALL), st.floats(0, 0.5), st.floats(0, 4))
def test_the_order_of_classes_changes_nothing_nor_does_a_constant_on_the_logits(seed, imbalance, smoothing, margin):
    logits, target, counts, generator = random_batch(seed)
    order = torch.randperm(len(counts), generator=generator)
    options = {"label_smoothing": smoothing, "margin": margin}
    one = ClassLoss(counts, imbalance, **options)(logits, target)
    other = ClassLoss(counts[order], imbalance, **options)(logits[:, order], order.argsort()[target])
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(one, ClassLoss(counts, imbalance, **options)(logits + 11.0, target))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["class_weights", "effective_number", "logit_adjustment", *SAMPLERS]))
def test_equal_classes_make_every_weighting_the_plain_loss(seed, imbalance):
    logits, target, counts, _ = random_batch(seed)
    equal = torch.full_like(counts, 1 + seed % 30)
    plain = ClassLoss(equal)(logits, target).mean()
    torch.testing.assert_close(ClassLoss(equal, imbalance)(logits, target).mean(), plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(plain, F.cross_entropy(logits, target))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from(ALL))
def test_pieces_of_a_batch_add_up_to_the_batch(cut, seed, imbalance):
    logits, target, counts, _ = random_batch(seed)
    loss = ClassLoss(counts, imbalance, margin=0.5)
    pieces = add_losses([loss(logits[:cut], target[:cut]), loss(logits[cut:], target[cut:])])
    torch.testing.assert_close(pieces, loss(logits, target))


def test_a_margin_and_an_adjustment_demand_more_of_the_target():
    plain = float(ClassLoss(COUNTS)(LOGITS, TARGET).total)
    assert float(ClassLoss(COUNTS, margin=1.0)(LOGITS, TARGET).total) > plain
    rare = torch.tensor([3])
    assert float(ClassLoss(COUNTS, "logit_adjustment")(LOGITS[2:], rare).total) > float(
        ClassLoss(COUNTS)(LOGITS[2:], rare).total
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ClassLoss(COUNTS, "class_weigths"), RecipeError, "did you mean 'class_weights'"),
        (lambda: ClassLoss(COUNTS, gama=1), RecipeError, "option of cross_entropy 'gama'; did you mean 'gamma'"),
        (lambda: ClassLoss(COUNTS, gamma=1), RecipeError, "'gamma' does nothing with imbalance = 'none'.*imbalance = 'focal'"),
        (lambda: ClassLoss(COUNTS, label_smoothing=1), RecipeError, "label_smoothing must be a number from 0 to below 1"),
        (lambda: ClassLoss(COUNTS, margin=True), RecipeError, "margin must be a number of at least 0; received True"),
        (lambda: ClassLoss(COUNTS, margin=math.nan), RecipeError, "received nan"),
        (lambda: class_loss_options("effective_number", {"beta": 1.0}), RecipeError, "beta must be .* below 1"),
        (lambda: ClassLoss([]), DataError, r"received shape \(0,\)"),
        (lambda: ClassLoss([1, -1]), DataError, "numbers >= 0"),
        (lambda: ClassLoss(COUNTS)(LOGITS[:, :3], TARGET), DataError, r"logits must have shape \(B, 4\)"),
        (lambda: ClassLoss(COUNTS)(LOGITS, TARGET[:2]), DataError, r"received \(3, 4\) and \(2,\)"),
        (lambda: ClassLoss(COUNTS)(LOGITS, TARGET + 1), DataError, "target must be below 4"),
    ],
)  # fmt: skip
def test_bad_input_is_met(call, error, message):
    with pytest.raises(error, match=message):
        call()
