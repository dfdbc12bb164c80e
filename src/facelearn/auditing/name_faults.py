"""Wrong names, one person under two names, and two people under one, from what models say that were not trained on the photo.

Wrong names. Confident learning (Northcutt, Jiang, Chuang 2021, "Confident learning: estimating uncertainty in dataset labels") counts a
photo as one of person j where its probability of j reaches the mean that j's own photos have; those that count as somebody else than
they are called say how common wrong names are at most: a weak model adds its own mistakes. So the noise rate e and the temperature of the
probabilities are those that make the given names likeliest, e no more than that count. Bayes' rule then says how likely each single name is
wrong: a name that is right for a photo is written wrong with e, evenly among the others, so with p the probability of the given name

    P(right) = p (1 - e) / (p (1 - e) + (1 - p) e / (P - 1)).

Two names for one person: models that tell people apart cannot tell these two. Photos of a and b are ordered by how much more they look
like a than like b; the area under the ROC curve of that is near 1 for two people and near one half for one. Two people under one name: the
photos of that name fall into two groups (2-means on unit vectors) nearly as far apart as two people are. Both count moments, not photos:
near-duplicates are held out together, and their one model, which lacks that pose or light, errs on all of them alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import Fault
from facelearn.auditing.people import same_photos
from facelearn.data.faces import Faces
from facelearn.metrics.calibration import fit_temperature, softmax

LEAST_SCORE = 0.05
"""Findings of a lower probability are not listed."""
_LEAST_NOISE, _MOST_NOISE, _SUREST = 0.002, 0.3, 0.999
_IMPROBABLE = (0.05, 0.25)  # which part of other people's names tells how many own names are wrong
_OTHERS = 20  # names of other people by photo that are looked at
_LEAST_MOMENTS, _LEAST_PART = 8, 3  # of a name, and of the smaller of two groups in it, below which nothing is said
_LEAST_OF_TWO = 4  # moments of each of two names, below which they are not compared
_LEAST_SHARE = 0.15  # of a name's moments in the smaller group
_TWO_PEOPLE, _TWO_NAMES = (
    0.02,
    0.02,
)  # shares of the names that are two people's, and that stand for somebody who has another name too
_TAIL = 3.0  # degrees of freedom of how far apart one person's groups are
_LIKELY = 0.5  # a finding of a group costs as many looks as it has photos: below that it is not listed
_FLOOR = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NameEvidence:
    """What is known of photos from models that had not seen them.

    Attributes:
        rows: int64 (M,), which rows of the table.
        logits: float64 (M, P), how much each looks like each of the table's people; -inf for people whom its model did not know.
        vectors: float64 (M, D), the photos as unit vectors that are comparable with each other.
        moments: int64 (M,), the same for photos that were held out together because they are one video or near-duplicates.
    """

    rows: NDArray[np.int64]
    logits: Floats
    vectors: Floats
    moments: NDArray[np.int64]


def name_faults(faces: Faces, evidence: NameEvidence, near_duplicates: NDArray[np.int64]) -> list[Fault]:
    """All findings about names, the most likely first.

    Args:
        faces: the table; the rows of the evidence have people.
        evidence: as above.
        near_duplicates: int64 (N,), as `splits.groups.near_duplicates` gives them.
    """
    chance = wrong_name_chance(evidence.logits, faces.identity[evidence.rows])
    found = [
        *_wrong_names(faces, evidence, chance),
        *_two_names(faces, evidence),
        *_two_people(faces, evidence, chance),
        *_photos_under_two_names(
            faces, near_duplicates, dict(zip(evidence.rows.tolist(), chance.tolist(), strict=True))
        ),
    ]
    return sorted(found, key=lambda fault: -fault.score)


def noise_rate(probabilities: Floats, given: NDArray[np.int64]) -> float:
    """The share of wrong names by the confident joint.

    Args:
        probabilities: (M, P), out of fold.
        given: int64 (M,), the name of each photo.
    """
    own = probabilities[np.arange(len(given)), given]
    images = np.bincount(given, minlength=probabilities.shape[1])
    with np.errstate(invalid="ignore"):
        threshold = np.bincount(given, weights=own, minlength=probabilities.shape[1]) / images
    counted = np.where(probabilities >= np.where(images > 0, threshold, np.inf), probabilities, -1.0)
    likeliest, confident = counted.argmax(1), counted.max(1) >= 0
    if not confident.any():
        return _LEAST_NOISE
    return float(np.clip((likeliest != given)[confident].mean(), _LEAST_NOISE, _MOST_NOISE))


def wrong_name_chance(logits: Floats, given: NDArray[np.int64]) -> Floats:
    """float64 (M,): the probability that each name is wrong; arguments as `NameEvidence` and `noise_rate`.

    A photo's own name, where it is wrong, is as improbable to the models as any other name of the photo, and those are there to be
    seen: two groups of which one is known (Efron 2004, local false discovery rates). Their densities' ratio, by the log of the
    probability, is a logistic regression of own names against others; the share of wrong names is that of own names among the most
    improbable (Storey 2002), at most the confident joint's. The models' probabilities need not be calibrated, so that weak models
    give low scores, not wrong ones.
    """
    from scipy.special import log_softmax
    from sklearn.linear_model import LogisticRegression

    filled = _filled(logits)
    sharper = 0.5 * fit_temperature(filled, given)  # how far the best name leads tells more than how sure the model is
    logs = np.asarray(log_softmax(filled / sharper, axis=1))
    count = len(given)
    own = logs[np.arange(count), given]
    others = np.isfinite(logits)
    others[np.arange(count), given] = False
    if not others.any() or np.ptp(logs[others]) == 0:
        return np.zeros(count)
    other = np.random.default_rng(0).permutation(logs[others])[: _OTHERS * count]
    part = float(np.clip(50 / count, *_IMPROBABLE))  # of few photos a larger one, or it would hold none
    noise = float(np.clip((own <= np.quantile(other, part)).mean() / part, _LEAST_NOISE, _MOST_NOISE))
    noise = min(noise, noise_rate(np.exp(logs), given))
    scaled = [(values - other.mean()) / other.std() for values in (own, other)]
    columns = [np.stack([values, values**2], 1) for values in scaled]
    weight = np.concatenate([np.ones(count), np.full(len(other), count / len(other))])
    fitted = LogisticRegression(C=1e3, max_iter=500).fit(
        np.concatenate(columns), np.repeat([0, 1], (count, len(other))), sample_weight=weight
    )
    ratio = np.exp(np.clip(fitted.decision_function(columns[0]), -50, 50))
    order = np.argsort(own, kind="stable")
    # the more improbable a name, the likelier it is wrong
    ratio[order] = np.maximum.accumulate(ratio[order][::-1])[::-1]
    return np.asarray(np.minimum(noise * ratio, _SUREST))


def _filled(logits: Floats) -> Floats:
    """Logits that are numbers: people whom a model did not know are far below all that it knew."""
    known = np.isfinite(logits)
    return np.where(known, logits, np.where(known, logits, np.inf).min() - 50.0)


def _wrong_names(faces: Faces, evidence: NameEvidence, chance: Floats) -> list[Fault]:
    given = faces.identity[evidence.rows]
    filled = _filled(evidence.logits)
    probabilities = np.asarray(softmax(filled, fit_temperature(filled, given)), np.float64)
    own = probabilities[np.arange(len(given)), given].copy()
    probabilities[np.arange(len(given)), given] = -1
    other = probabilities.argmax(1)
    found = []
    for i in np.flatnonzero(chance >= LEAST_SCORE):
        name, instead = faces.people[given[i]], faces.people[other[i]]
        reason = f"models that had not seen it take it for {instead} ({probabilities[i, other[i]]:.0%}), not {name} ({own[i]:.1%})"
        found.append(_fault(faces, int(evidence.rows[i]), "wrong_name", name, float(chance[i]), instead, reason))
    return found


def _fault(faces: Faces, row: int, kind: str, value: str, score: float, suggestion: str | None, reason: str) -> Fault:
    return Fault(row, str(faces.source[row]), kind, None, value, min(score, 1.0), suggestion, None, reason)


def _by_moment(values: Floats, moments: NDArray[np.int64]) -> Floats:
    """(K, D): the means of (M, D) values over the photos of each of K moments, in the order of `np.unique`."""
    _, place, photos = np.unique(moments, return_inverse=True, return_counts=True)
    total = np.zeros((len(photos), values.shape[1]))
    np.add.at(total, place, values)
    return np.asarray(total / photos[:, None])


def separation(one: Floats, other: Floats, a: int, b: int) -> float:
    """The area under the ROC curve of "more like a than like b" between what is a (logits `one`) and what is b (logits `other`)."""
    both = np.concatenate([one, other])
    ranks = np.argsort(np.argsort(both[:, a] - both[:, b], kind="stable"), kind="stable") + 1
    return float((ranks[: len(one)].sum() - len(one) * (len(one) + 1) / 2) / (len(one) * len(other)))


def _two_names(faces: Faces, evidence: NameEvidence) -> list[Fault]:
    """Pairs of names whose photos the models do not tell apart, though they tell others."""
    given = faces.identity[evidence.rows]
    first = {person: int(evidence.rows[given == person][0]) for person in np.unique(given).tolist()}
    logits = {
        person: _by_moment(evidence.logits[given == person], evidence.moments[given == person]) for person in first
    }
    known = [person for person, own in logits.items() if len(own) >= _LEAST_OF_TWO]
    pairs = [(a, b) for i, a in enumerate(known) for b in known[i + 1 :]]
    if len(pairs) < 3:
        return []
    area = np.asarray([separation(logits[a], logits[b], a, b) for a, b in pairs])
    # of two people: how far the areas lie from 1, as a normal distribution of their probits would have it
    usual = _probit(area)
    middle, width = float(np.median(usual)), max(0.3, 1.4826 * float(np.median(np.abs(usual - np.median(usual)))))
    found = []
    for (a, b), own, level in zip(pairs, area, usual, strict=True):
        count = np.asarray([len(logits[a]), len(logits[b])], np.float64)
        # of one person under two names: around one half (0 in probits), by chance and because the models learned single photos
        by_chance = np.sqrt((1 / count).sum()) * 1.25
        error, spread = np.hypot(0.5, by_chance), np.hypot(width, by_chance)
        same = np.exp(-0.5 * (max(level, 0) / error) ** 2) / error
        different = np.exp(-0.5 * (min(level - middle, 0) / spread) ** 2) / spread
        prior = _TWO_NAMES * 2 / (len(known) - 1)  # of one pair among all
        score = float(same * prior / (same * prior + different * (1 - prior) + _FLOOR))
        if score < LEAST_SCORE or own > 0.9:
            continue
        small, large = (a, b) if (given == a).sum() <= (given == b).sum() else (b, a)
        reason = (
            f"photos of {faces.people[small]} and of {faces.people[large]} are not told apart (area under the curve {own:.2f}; "
            f"others' is about {float(np.median(area)):.2f})"
        )
        found.append(_fault(faces, first[small], "two_names", faces.people[small], score, faces.people[large], reason))
    return found


def _probit(share: Floats) -> Floats:
    """The normal distribution's quantile (Abramowitz and Stegun 26.2.23, to 5e-4), cut at three deviations."""
    tail = np.clip(np.minimum(share, 1 - share), 1e-3, 0.5)
    t = np.sqrt(-2 * np.log(tail))
    quantile = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    return np.asarray(np.where(share >= 0.5, quantile, -quantile))


def two_groups(vectors: Floats) -> NDArray[np.bool_]:
    """Which of (M, D) vectors are of the smaller of two groups (2-means); none where they are all alike."""
    centred = vectors - vectors.mean(0)
    second: NDArray[np.bool_] = np.asarray(centred @ np.linalg.svd(centred, full_matrices=False)[2][0] > 0)
    for _ in range(25):
        if second.all() or not second.any():
            return np.zeros(len(vectors), bool)
        means = vectors[~second].mean(0), vectors[second].mean(0)
        now = ((vectors - means[1]) ** 2).sum(1) < ((vectors - means[0]) ** 2).sum(1)
        if np.array_equal(now, second):
            break
        second = now
    return second if second.sum() * 2 <= len(second) else ~second


def apart(vectors: Floats, draws: int = 10) -> float:
    """The squared distance between two groups of (M, D) vectors, without what the search for two groups makes of chance.

    The groups are found by one half of the columns and their distance is measured in the other half, with what the means' own errors add
    taken off: about 0 where there is one group, negative by chance. The mean over random halves, scaled to all columns.
    """
    random = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        columns = random.permutation(vectors.shape[1])
        one, other = (vectors[:, half] for half in np.array_split(columns, 2))
        small = two_groups(one)
        count = np.asarray([small.sum(), (~small).sum()])
        if count.min() < 2:
            found.append(0.0)
            continue
        parts = other[small], other[~small]
        error = sum(part.var(0, ddof=1).sum() / len(part) for part in parts)
        distance = ((parts[0].mean(0) - parts[1].mean(0)) ** 2).sum()
        found.append(float(distance - error) * vectors.shape[1] / other.shape[1])
    return float(np.mean(found))


def _two_people(faces: Faces, evidence: NameEvidence, chance: Floats) -> list[Fault]:
    """Names whose photos are two groups about as far apart as two people are, and further than other names' are; wrong names aside."""
    import scipy.stats

    given = faces.identity[evidence.rows]
    members = {person: np.flatnonzero((given == person) & (chance < 0.5)) for person in np.unique(given).tolist()}
    vectors = {person: _by_moment(evidence.vectors[rows], evidence.moments[rows]) for person, rows in members.items()}
    vectors = {person: own for person, own in vectors.items() if len(own) >= _LEAST_MOMENTS}
    if len(vectors) < 4:
        return []
    means = np.stack([own.mean(0) for own in vectors.values()])
    between = ((means[:, None] - means) ** 2).sum(2)
    pairs = between[np.triu_indices(len(means), 1)]
    usual_people = max(float(np.median(pairs)), _FLOOR)
    own = np.asarray([apart(each) for each in vectors.values()]) / usual_people
    usual = float(np.median(own))
    spread = max(0.05, 1.4826 * float(np.median(np.abs(own - usual))))
    # a person's hair or glasses make groups too: far ones are rare among names, but not as rare as a normal distribution has it
    one = scipy.stats.t.pdf(own, _TAIL, usual, spread)
    deviation = max(0.05, float(np.std(pairs / usual_people)))
    two = scipy.stats.norm.pdf(np.minimum(own, 1.0), 1.0, deviation)
    scores = _TWO_PEOPLE * two / (_TWO_PEOPLE * two + (1 - _TWO_PEOPLE) * one)
    found = []
    for (person, each), far, score in zip(vectors.items(), own, scores.tolist(), strict=True):
        small = two_groups(each)
        if score < _LIKELY or far <= usual or small.sum() < max(_LEAST_PART, _LEAST_SHARE * len(each)):
            continue
        rows = members[person]
        rows = rows[np.isin(evidence.moments[rows], np.unique(evidence.moments[rows])[small])]
        name = faces.people[person]
        reason = f"photos of {name} are two groups, {far:.0%} as far apart as two people are (others': {usual:.0%})"
        second = _second_name(name, faces.people)
        found += [_fault(faces, int(evidence.rows[i]), "two_people", name, score, second, reason) for i in rows]
    return found


def _second_name(name: str, taken: Sequence[str]) -> str:
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"


def _photos_under_two_names(faces: Faces, near_duplicates: NDArray[np.int64], chance: dict[int, float]) -> list[Fault]:
    """One photo under two names: each of the two rows is a finding; the one whose name is likelier wrong comes first."""
    found = []
    for photo in same_photos(faces, near_duplicates):
        certain = 0.99 if photo.identical else 0.9
        wrong = np.asarray([chance.get(row, 0.5) for row in photo.rows]) + 1e-6
        for row, share in zip(photo.rows, wrong / wrong.sum(), strict=True):
            other = next(one for one in photo.rows if one != row)
            name, second = (faces.people[faces.identity[one]] for one in (row, other))
            alike = "the same pixels" if photo.identical else "the same photo"
            reason = f"{alike} stand under {second} too: row {other}"
            score = certain * max(0.5, float(share))
            found.append(_fault(faces, int(row), "duplicate", name, score, str(other), reason))
    return found
