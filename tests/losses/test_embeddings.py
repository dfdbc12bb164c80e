"""The losses of embeddings against naive loops on hand-placed vectors, and at the places where numbers can go wrong."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from facelearn.errors import DataError, RecipeError
from facelearn.losses import add_losses
from facelearn.losses.class_directions import fixed_scale, unit_rows
from facelearn.losses.embedding_names import (
    CLASS_LOSSES,
    EMBEDDING_LOSSES,
    METRIC_LOSSES,
    MINERS,
    compares_images,
    embedding_loss_options,
)
from facelearn.losses.embeddings import embedding_loss

# two or three images of each of three people, of uneven lengths, two of them close to another person's; and one image of a fourth
ROWS = torch.tensor(
    [[2.0, 0.1, 0.0], [1.0, 0.4, 0.3], [0.9, -0.9, 0.2], [0.1, 3.0, 0.0], [0.5, 0.6, 0.0], [0.0, 0.2, 1.0], [-0.4, 0.3, 0.9],
     [-1.0, -0.5, -0.2]]
)  # fmt: skip
PEOPLE = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
ALL = sorted(EMBEDDING_LOSSES)
TRIPLETS = ("triplet", "triplet_cosine")


def made(name, people=4, embedding=3, **options):
    torch.manual_seed(0)
    return embedding_loss(name, options, embedding=embedding, people=people)


def mean(name, rows=ROWS, identity=PEOPLE, **options):
    return made(name, **options)(rows, identity).mean().item()


def unit(rows):
    return [[value / math.hypot(*row) for value in row] for row in rows.tolist()]


def dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def squared(x, y):
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def naive_triplets(miner, margin, distance, rows=ROWS, identity=PEOPLE):
    """(losses of the mined triplets, how many triplets there were)."""
    u, who, count = unit(rows), identity.tolist(), range(len(rows))
    every = [(a, p, n) for a in count for p in count for n in count if a != p and who[a] == who[p] and who[a] != who[n]]
    gap = {t: distance(u[t[0]], u[t[2]]) - distance(u[t[0]], u[t[1]]) for t in every}
    taken = every
    if miner == "semi_hard":
        taken = [t for t in every if 0 < gap[t] <= margin]
    if miner == "hard":
        taken = [min((t for t in every if t[0] == a), key=gap.get) for a in count if any(t[0] == a for t in every)]
    return [max(margin - gap[t], 0.0) for t in taken], len(every)


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize(
    ("name", "distance"), [("triplet", squared), ("triplet_cosine", lambda x, y: -dot(x, y))], ids=TRIPLETS
)
def test_triplets_are_those_of_a_naive_loop(name, distance, miner):
    losses, every = naive_triplets(miner, 0.9, distance)
    active = [loss for loss in losses if loss > 0]
    loss = made(name, margin=0.9, miner=miner)
    found = loss(ROWS, PEOPLE)
    assert 0 < len(active) < every
    assert float(found.total) == pytest.approx(sum(active), rel=1e-5)
    assert int(found.denominator) == len(active)
    candidates = len(losses) if miner == "hard" else every
    assert loss.facts()["active_share"] == pytest.approx(len(active) / candidates)


@pytest.mark.parametrize("miner", MINERS)
def test_contrastive_pairs_are_those_of_a_naive_loop(miner):
    u, who, count, margin = unit(ROWS), PEOPLE.tolist(), range(8), 1.2

    def far(i, j):
        return math.sqrt(squared(u[i], u[j]))

    alike = [(i, j) for i in count for j in count if i != j and who[i] == who[j]]
    apart = [(i, j) for i in count for j in count if who[i] != who[j]]
    if miner != "all":
        every = [(a, p, n) for a, p in alike for b, n in apart if a == b]
        if miner == "semi_hard":
            every = [t for t in every if 0 < far(t[0], t[2]) - far(t[0], t[1]) <= margin]
        else:
            every = [
                min((t for t in every if t[0] == a), key=lambda t: far(t[0], t[2]) - far(t[0], t[1])) for a in range(7)
            ]
        alike, apart = [t[:2] for t in every], [(t[0], t[2]) for t in every]
    near = [(margin - far(*pair)) ** 2 for pair in apart if far(*pair) < margin]
    expected = sum(far(*pair) ** 2 for pair in alike) / len(alike) + sum(near) / len(near)
    loss = made("contrastive", margin=margin, miner=miner)
    assert float(loss(ROWS, PEOPLE).mean()) == pytest.approx(expected, rel=1e-5)
    assert int(loss(ROWS, PEOPLE).denominator) == len(alike)
    assert loss.facts()["active_share"] == pytest.approx(len(near) / len(apart))
    alone = loss(ROWS[[0, 3, 5]], PEOPLE[[0, 3, 5]])
    pairs = [(margin - far(i, j)) ** 2 for i in (0, 3, 5) for j in (0, 3, 5) if i != j and far(i, j) < margin]
    if miner == "all":
        assert float(alone.total) == pytest.approx(sum(pairs), rel=1e-5) and int(alone.denominator) == len(pairs)


def test_angular_is_that_of_a_naive_loop():
    u, who, count = unit(ROWS), PEOPLE.tolist(), range(8)
    tangent = math.tan(math.radians(35)) ** 2
    total, pairs = 0.0, 0
    for a in count:
        for p in count:
            if a == p or who[a] != who[p]:
                continue
            inner = 1.0
            for n in count:
                if who[n] != who[a]:
                    both = dot(u[a], u[n]) + dot(u[p], u[n])
                    inner += math.exp(4 * tangent * both - 2 * (1 + tangent) * dot(u[a], u[p]))
            total, pairs = total + math.log(inner), pairs + 1
    found = made("angular", angle=35)(ROWS, PEOPLE)
    assert float(found.total) == pytest.approx(total, rel=1e-5) and int(found.denominator) == pairs


def test_supervised_contrastive_is_that_of_a_naive_loop():
    u, who, count = unit(ROWS), PEOPLE.tolist(), range(8)
    losses = []
    for a in count:
        positives = [p for p in count if p != a and who[p] == who[a]]
        if positives:
            others = sum(math.exp(dot(u[a], u[k]) / 0.3) for k in count if k != a)
            losses.append(-sum(math.log(math.exp(dot(u[a], u[p]) / 0.3) / others) for p in positives) / len(positives))
    found = made("supervised_contrastive", temperature=0.3)(ROWS, PEOPLE)
    assert float(found.total) == pytest.approx(sum(losses), rel=1e-5)
    assert int(found.denominator) == len(losses) == 7


def naive_directions(loss, own):
    """The mean cross-entropy over rows of scaled cosines, the own one passed through `own`."""
    u, w, scale, total = unit(ROWS), unit(loss.rows.weight), float(loss.rows.scale), 0.0
    for row, y in zip(u, PEOPLE.tolist(), strict=True):
        logits = [scale * dot(row, direction) for direction in w]
        logits[y] = scale * own(dot(row, w[y]))
        total += math.log(sum(math.exp(value) for value in logits)) - logits[y]
    return total / len(ROWS)


def shifted(cosine, angle):
    theta = math.acos(cosine)
    return math.cos(theta + angle) if theta + angle <= math.pi else cosine - angle * math.sin(angle)


@pytest.mark.parametrize(
    ("name", "options", "own"),
    [
        ("cosine_softmax", {"scale": 5}, lambda c: c),
        ("cosine_softmax", {"scale": 5, "margin": 0.3}, lambda c: c - 0.3),
        ("cosface", {"scale": 7}, lambda c: c - 0.35),
        ("arcface", {"scale": 7}, lambda c: shifted(c, 0.5)),
        ("arcface", {"scale": 7, "margin": 1.5}, lambda c: shifted(c, 1.5)),
        ("adacos", {}, lambda c: c),
    ],
)
def test_directions_are_those_of_a_naive_loop(name, options, own):
    loss = made(name, **options)
    found = loss(ROWS, PEOPLE)
    assert int(found.denominator) == 8
    assert found.mean().item() == pytest.approx(naive_directions(loss, own), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "margin", "theirs"), [("cosface", 0.35, "CosFaceLoss"), ("arcface", 0.5, "ArcFaceLoss")]
)
def test_margins_are_those_of_pytorch_metric_learning(name, margin, theirs):
    from pytorch_metric_learning import losses
    from pytorch_metric_learning.reducers import MeanReducer

    degrees = math.degrees(margin) if name == "arcface" else margin
    library = getattr(losses, theirs)(4, 3, margin=degrees, scale=9.0, reducer=MeanReducer())
    ours = made(name, margin=margin, scale=9.0)
    library.W.data = ours.rows.weight.detach().T.clone()
    rows = [ROWS.clone().requires_grad_() for _ in range(2)]
    found = ours(rows[0], PEOPLE).mean()
    expected = library(rows[1], PEOPLE)
    torch.testing.assert_close(found, expected)
    found.backward(), expected.backward()
    torch.testing.assert_close(rows[0].grad, rows[1].grad)


def test_softmax_is_cross_entropy_of_a_linear_layer():
    loss = made("softmax")
    expected = F.cross_entropy(ROWS @ loss.rows.layer.weight.T + loss.rows.layer.bias, PEOPLE)
    torch.testing.assert_close(loss(ROWS, PEOPLE).mean(), expected)


@pytest.mark.parametrize("name", ["cosface", "arcface", "cosine_softmax"])
def test_without_scale_and_margin_it_is_cross_entropy_on_cosines(name):
    loss = made(name, scale=1, margin=0)
    cosines = F.normalize(ROWS) @ F.normalize(loss.rows.weight).T
    torch.testing.assert_close(loss(ROWS, PEOPLE).mean(), F.cross_entropy(cosines, PEOPLE))


def test_the_scale_of_adacos():
    assert fixed_scale(76) == pytest.approx(6.1, abs=0.01)
    assert float(made("adacos", people=76).rows.scale) == pytest.approx(6.1, abs=0.01)
    with pytest.raises(RecipeError, match="at least 3 people; received 2"):
        made("adacos", people=2)


def test_the_dynamic_scale_of_adacos_follows_the_angles():
    loss = made("adacos", dynamic=True)
    before = float(loss.rows.scale)
    u, w, who = unit(ROWS), unit(loss.rows.weight), PEOPLE.tolist()
    own = sorted(math.acos(dot(row, w[y])) for row, y in zip(u, who, strict=True))
    others = [sum(math.exp(before * dot(row, w[c])) for c in range(4) if c != y) for row, y in zip(u, who, strict=True)]
    middle = own[4]  # torch's median of an even count is the lower one, of cosines here
    expected = math.log(sum(others) / 8) / math.cos(min(math.pi / 4, middle))
    loss.eval()(ROWS, PEOPLE)
    assert float(loss.rows.scale) == before
    loss.train()(ROWS, PEOPLE)
    assert float(loss.rows.scale) == pytest.approx(max(expected, 1.0), rel=1e-5) != before
    assert float(loss.state_dict()["rows.scale"]) == float(loss.rows.scale)  # resuming goes on from there
    add_losses(
        [loss(ROWS[:4], PEOPLE[:4]), loss(ROWS[4:], PEOPLE[4:])]
    ).mean().backward()  # two pieces, one backward pass


def test_joint_is_the_sum_of_its_two_means():
    options = {
        "class_loss": "cosface",
        "class_scale": 9,
        "metric_loss": "contrastive",
        "metric_margin": 0.8,
        "weight": 0.3,
    }
    found = made("joint", **options)(ROWS, PEOPLE)
    assert int(found.denominator) == 8
    expected = mean("cosface", scale=9) + 0.3 * mean("contrastive", margin=0.8)
    assert found.mean().item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_a_loss_of_rows_adds_up_over_halves(name):
    loss = made(name)
    whole, halves = loss(ROWS, PEOPLE), add_losses([loss(ROWS[:3], PEOPLE[:3]), loss(ROWS[3:], PEOPLE[3:])])
    torch.testing.assert_close(tuple(whole), tuple(halves))


def stepped(loss, rows, identity):
    """The loss, with all of its gradients looked at."""
    rows = rows.clone().requires_grad_()
    found = loss(rows, identity)
    found.mean().backward()
    assert found.total.isfinite() and found.denominator.isfinite() and rows.grad.isfinite().all()
    assert rows.grad.abs().max() < 1e4, "so large a gradient would leave nothing of the others after clipping"
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in loss.parameters())
    return found, rows.grad


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_finite_where_vectors_coincide(name):
    same = torch.tensor([[1.0, 2.0, -1.0], [0.3, 0.3, 0.1]])[[0, 0, 1, 1, 0, 1]]
    stepped(made(name), same, torch.tensor([0, 0, 1, 1, 2, 0]))
    many = torch.ones(64, 3)  # so many that distances are computed by a matrix product, which rounds
    stepped(made(name), many, torch.arange(64) % 4)


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-8, 1e15])
@pytest.mark.parametrize("name", sorted(set(ALL) - {"softmax"}))
def test_gradients_are_finite_at_any_length(name, length):
    rows = ROWS.clone()
    rows[1:4] *= length
    stepped(made(name), rows, PEOPLE)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", sorted(set(CLASS_LOSSES) - {"softmax"}))
def test_gradients_are_finite_on_the_own_direction(name, sign):
    loss = made(name)
    on = sign * 3 * loss.rows.weight.detach()
    stepped(loss, on, torch.arange(4))


NOTHING = {"one person": [1] * 8, "nobody twice": list(range(8)), "nobody known": [-1] * 8}


@pytest.mark.parametrize("identity", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize("name", METRIC_LOSSES)
def test_nothing_to_compare_gives_a_differentiable_zero(name, miner, identity):
    options = {"miner": miner} if "miner" in embedding_loss_options(name) else {}
    if name == "contrastive" and miner == "all" and identity != [-1] * 8:
        return  # pairs of one person, or of two, are something to learn from
    found, gradient = stepped(made(name, people=8, **options), ROWS, torch.tensor(identity))
    assert found.total.item() == found.denominator.item() == 0 and not gradient.any()
    assert made("joint", metric_loss=name)(ROWS, PEOPLE * 0 + 1).total > 0  # the other part goes on


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_rows_of_nobody_known_teach_nothing(name):
    found, gradient = stepped(made(name), ROWS, torch.full((8,), -1))
    assert found.total.item() == found.denominator.item() == 0 and not gradient.any()


@pytest.mark.parametrize("name", ALL)
def test_unknown_people_are_left_out(name):
    some = torch.where(torch.arange(8) == 2, -1, PEOPLE)
    kept = torch.arange(8) != 2
    torch.testing.assert_close(tuple(made(name)(ROWS, some)), tuple(made(name)(ROWS[kept], PEOPLE[kept])))


@pytest.mark.parametrize("name", ALL)
def test_half_precision_around_it_changes_nothing(name):
    loss = made(name)
    expected = loss(ROWS.bfloat16().float(), PEOPLE)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(ROWS.bfloat16(), PEOPLE)
    assert found.total.dtype == torch.float32
    torch.testing.assert_close(tuple(found), tuple(expected), rtol=0, atol=0)


@pytest.mark.parametrize("name", ALL)
def test_a_few_steps_separate_two_people(name):
    generator = torch.Generator().manual_seed(0)
    identity = torch.arange(24) % 3
    seen = torch.randn(3, 6, generator=generator)[identity] + 0.3 * torch.randn(24, 6, generator=generator)
    torch.manual_seed(1)
    network = torch.nn.Linear(6, 4)
    loss = made(name, embedding=4, people=3)
    optimiser = torch.optim.Adam([*network.parameters(), *loss.parameters()], 0.05)

    def gap():
        distances = torch.cdist(*[unit_rows(network(seen)).detach()] * 2)
        alike = identity[:, None] == identity
        return float(distances[~alike].mean() - distances[alike].mean())

    before = gap()
    for _ in range(40):
        optimiser.zero_grad()
        loss(network(seen), identity).mean().backward()
        optimiser.step()
    assert gap() > max(before, 0.7)


def test_facts_tell_a_collapse():
    loss = made("triplet", miner="all")
    assert loss.facts() == {}
    loss(ROWS[[0, 3]], PEOPLE[[0, 3]])
    apart = math.sqrt(squared(*unit(ROWS[[0, 3]])))
    assert loss.facts() == {
        "mean_distance": pytest.approx(apart),
        "active_share": pytest.approx(math.nan, nan_ok=True),
    }
    loss(torch.ones(8, 3), PEOPLE)
    assert loss.facts() == {"mean_distance": 0.0, "active_share": 1.0}
    assert list(_with(made("cosface")).facts()) == ["mean_distance"]
    assert "active_share" in _with(made("joint")).facts()


def _with(loss):
    loss(ROWS, PEOPLE)
    return loss


@pytest.mark.parametrize("name", ALL)
def test_the_loss_owns_the_weights_of_people_and_nothing_else(name):
    classes = name in CLASS_LOSSES or name == "joint"
    assert bool(list(made(name).parameters())) == classes
    assert compares_images(name) == (name not in CLASS_LOSSES)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("triplets", {}, "did you mean 'triplet'"),
        ("arcface", {"scal": 3}, "unknown option of arcface 'scal'; did you mean 'scale'"),
        ("arcface", {"margin": 28.6}, "radians .28.6 degrees are 0.5.; received 28.6"),
        ("softmax", {"scale": 3}, "Accepted: none"),
        ("triplet", {"margin": 0}, "above 0, up to 4; received 0"),
        ("triplet", {"margin": float("nan")}, "received nan"),
        ("triplet", {"margin": True}, "received True"),
        ("triplet", {"miner": "semihard"}, "did you mean 'semi_hard'"),
        ("triplet", {"miner": 3}, "unknown miner of triplet '3'"),
        ("adacos", {"dynamic": 1}, "true or false"),
        ("joint", {"metric_loss": "softmax"}, "unknown metric_loss of joint 'softmax'"),
        ("joint", {"class_loss": "softmax", "class_scale": 3}, "unknown option of joint 'class_scale'"),
        ("joint", {"metric_miner": "al"}, "did you mean 'all'"),
        ("joint", {"metric_loss": ["a"]}, "unknown metric_loss"),
    ],
)
def test_refusals(name, options, says):
    with pytest.raises(RecipeError, match=says):
        embedding_loss(name, options, embedding=3, people=4)


def test_options_are_complete():
    assert embedding_loss_options("joint", {"metric_loss": "angular", "metric_angle": 50}) == {
        "class_loss": "cosine_softmax", "metric_loss": "angular", "weight": 1.0,
        "class_scale": 16.0, "class_margin": 0.0, "metric_angle": 50.0,
    }  # fmt: skip
    with pytest.raises(RecipeError, match="loss of verification"):
        compares_images("soft")


def test_shapes_that_do_not_fit():
    with pytest.raises(DataError, match=r"received \(8, 3\) and \(4,\)"):
        made("triplet")(ROWS, PEOPLE[:4])
    with pytest.raises(DataError, match="below 4"):
        made("cosface")(ROWS, PEOPLE + 1)


def test_on_unit_vectors_squared_distance_and_cosine_are_one_measure():
    rows = torch.nn.functional.normalize(ROWS.double(), dim=1)
    for one in rows:
        for other in rows:
            torch.testing.assert_close(((one - other) ** 2).sum(), 2 - 2 * (one * other).sum())
