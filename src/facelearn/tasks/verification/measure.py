"""What is measured of verification: which back end tells people apart, which distance is one person's, how often that is right."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.row_pairs import pairs_of
from facelearn.errors import DataError
from facelearn.metrics.measure import number
from facelearn.metrics.pair_calibration import Method, PairCalibration, calibrate_pairs
from facelearn.metrics.pair_curves import most_accurate_threshold
from facelearn.metrics.pair_facts import PairMetrics, lowest_far
from facelearn.metrics.pairs import pair_metrics
from facelearn.tasks.settings import JPEG, SIDE
from facelearn.tasks.task import TEST, VALID, AnswerFacts, HeldOut, Measured, Outputs
from facelearn.tasks.verification.answer import (
    CALIBRATION,
    EQUAL_COST,
    SAME,
    SPACE,
    Embeddings,
    VerificationAnswering,
)
from facelearn.tasks.verification.back_end import BACK_ENDS, BackEnd, fit_back_end
from facelearn.tasks.verification.back_end_choice import BackEndScores, choose_back_end
from facelearn.tasks.verification.baselines import baseline_vectors
from facelearn.tasks.verification.one_to_many import one_to_many
from facelearn.tasks.verification.pair_results import hardest_pairs
from facelearn.tasks.verification.pairs_of_rows import CHOSEN_FAR
from facelearn.tasks.verification.settings import VerificationSettings

TRAIN_OUTPUTS = "train"


def measure(held_out: HeldOut) -> Measured:
    """Choose the back end and the thresholds on the validation people, measure on the test people.

    Without test people the validation people are measured, and the metrics say so.
    """
    settings = held_out.settings
    assert isinstance(settings, VerificationSettings)
    back_end, tried = _back_end(held_out, settings.back_end)
    vectors = {name: back_end.transform(raw) for name, raw in held_out.combined.items() if len(raw)}
    part = TEST if len(held_out.parts.get(TEST, ())) else VALID
    thresholds = _thresholds(
        back_end, held_out.parts[VALID], vectors.get(VALID), "held-out people of the training data"
    )
    facts = dataclasses.replace(
        held_out.facts,
        prediction={**held_out.facts.prediction, "back_end": back_end.facts, SPACE: _space(held_out.facts, back_end)},
        arrays=back_end.arrays,
        thresholds=dict(thresholds),
    )
    shown = held_out.parts[part]
    if part not in vectors:
        return Measured({}, facts)
    answering = VerificationAnswering.from_facts(facts)
    found = measure_table(answering, vectors[part], shown.identity, shown.group)
    if found is None:
        return Measured({}, facts)
    metrics: dict[str, Any] = {
        **found.metrics, **one_to_many(back_end, vectors[part], shown.identity), "measured_on": part, "back_ends": tried,
    }  # fmt: skip
    again = {name: (answering, rows) for name, rows in vectors.items() if name.startswith((JPEG, SIDE))}
    plain = VerificationAnswering(BackEnd("none"), "")
    again |= {name: (plain, baseline_vectors(name, held_out.train.images, shown.images)) for name in settings.baselines}
    beside = {name: _beside(*how, shown) for name, how in again.items()}
    if beside:
        metrics["beside"] = beside
    return Measured(metrics, facts, _evaluation(shown, vectors[part], found))


def _beside(answering: VerificationAnswering, vectors: NDArray[np.float32], shown: Faces) -> Mapping[str, Any]:
    """The figures that need no threshold of their own, of other vectors (N, D) of the same rows."""
    found = measure_table(answering, vectors, shown.identity, shown.group)
    if found is None:
        return {}
    kept = {name: found.metrics[name] for name in ("auc_score", "equal_error", "tar")}
    return {**kept, **one_to_many(answering.back_end, vectors, shown.identity)}


def measure_answers(found: Embeddings, faces: Faces) -> Measured:
    """Measure embeddings of labelled faces over all their pairs, at the model's threshold.

    Raises:
        DataError: no two photos of one person, or only one person.
    """
    assert found.answering is not None
    measured = measure_table(found.answering, found.vectors, faces.identity, faces.group)
    if measured is None:
        raise DataError(
            "pairs need two photos of one person, and two people; put each person's photos into a folder of that name, or give pairs: "
            "facelearn verify-eval MODEL --pairs FILE --images DIR"
        )
    metrics = {**measured.metrics, **one_to_many(found.answering.back_end, found.vectors, faces.identity)}
    return Measured(metrics, AnswerFacts(), _evaluation(faces, found.vectors, measured))


class MeasuredTable(NamedTuple):
    """Metrics of all pairs of a table, and the pairs that are most wrong (`pair_results.hardest_pairs`)."""

    metrics: PairMetrics
    hard_pairs: NDArray[np.int64]
    hard_distance: NDArray[np.float64]


def measure_table(
    answering: VerificationAnswering,
    vectors: NDArray[np.float32],
    person: NDArray[np.int64],
    group: NDArray[np.int64] | None = None,
) -> MeasuredTable | None:
    """All pairs of the rows (N, D) of people (N,) but those of one group (N,), measured at the model's threshold of most right answers.

    None without pairs of both kinds.
    """
    pairs = pairs_of(person, group=group)
    first, second, same = pairs.first, pairs.second, pairs.same
    if not (same.any() and (~same).any()):
        return None
    distance = answering.back_end.distance_of_pairs(vectors, first, second)
    metrics = pair_metrics(
        distance,
        same,
        people=np.stack([person[first], person[second]], 1),
        threshold=None if np.isnan(answering.most_right) else answering.most_right,
        threshold_from=answering.most_right_from,
    )
    return MeasuredTable(metrics, *hardest_pairs(first, second, distance, same, metrics["threshold"], person=person))


@dataclass(frozen=True)
class Thresholds:
    """What pairs say of distances.

    Attributes:
        calibration: the threshold of a false accept rate, and the way from distances to probabilities.
        most_right: the threshold that decides most pairs right, both kinds weighed alike.
        pairs: how many of one person, and of different people.
        tuned_on: which pairs, in words.
        fingerprint: of what the model saw in them; "" where nobody will ask.
    """

    calibration: PairCalibration
    most_right: float
    pairs: tuple[int, int]
    tuned_on: str
    fingerprint: str = ""

    def facts(self) -> Mapping[str, Any]:
        """As a model file keeps them."""
        found, counts = self.calibration, dict(zip(("same", "different"), self.pairs, strict=True))
        return {
            SAME: {
                "value": found.threshold, "low": number(found.low), "high": number(found.high), "false_accept": found.far,
                "tuned_on": self.tuned_on, "fingerprint": self.fingerprint, **counts,
            },
            EQUAL_COST: {"value": self.most_right, "tuned_on": self.tuned_on, **counts},
            CALIBRATION: found.to_dict(),
        }  # fmt: skip


def thresholds_of(
    distance: NDArray[np.float64],
    same: NDArray[np.bool_],
    people: NDArray[np.int64] | None,
    far: float,
    where: str,
    method: Method = "platt",
) -> Thresholds:
    """Both thresholds, and the way from distances to probabilities.

    Args:
        distance, same, people, far, method: as `metrics.pair_calibration.calibrate_pairs`.
        where: which pairs they are, in words.

    Raises:
        DataError: too few pairs for such a rate, or distances that tell nothing.
    """
    return Thresholds(
        calibrate_pairs(distance, same, far=far, people=people, method=method),
        most_accurate_threshold(distance, same, balanced=True),
        (int(same.sum()), int((~same).sum())),
        where,
        # of what the model saw in the pairs: other images, or another order of them, have another
        hashlib.sha256(distance.astype("<f4").tobytes() + same.tobytes()).hexdigest()[:16],
    )


def _thresholds(back_end: BackEnd, valid: Faces, vectors: Outputs | None, where: str) -> Mapping[str, Any]:
    """Both thresholds from all pairs of the held-out people; none where those are too few."""
    if vectors is None:
        return {}
    pairs = pairs_of(valid.identity, group=valid.group)
    first, second, same = pairs.first, pairs.second, pairs.same
    if not (same.any() and (~same).any()):
        return {}
    lowest = lowest_far(int((~same).sum()))
    if lowest > 0.5:
        return {}
    distance = back_end.distance_of_pairs(vectors, first, second)
    people = np.stack([valid.identity[first], valid.identity[second]], 1)
    try:
        return thresholds_of(distance, same, people, max(CHOSEN_FAR, lowest), where).facts()
    except DataError:  # of a network that has learned nothing, distances tell nothing; the metrics say so
        return {}


def _back_end(held_out: HeldOut, asked: str) -> tuple[BackEnd, BackEndScores]:
    """The back end that was asked for, or the best of all on the validation people; and what each of them reached."""
    train, person = held_out.combined[TRAIN_OUTPUTS], held_out.train.identity
    if asked != "auto":
        return fit_back_end(asked, train, person), {}
    valid = held_out.parts[VALID]
    if not len(valid):
        return fit_back_end("none", train, person), {}
    return choose_back_end(BACK_ENDS, train, person, held_out.combined[VALID], valid.identity)


def _space(facts: AnswerFacts, back_end: BackEnd) -> str:
    """Which embeddings these are: of which network, behind which back end."""
    digest = hashlib.sha256(str(facts.prediction.get(SPACE)).encode())
    for name, array in sorted(back_end.arrays.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _evaluation(shown: Faces, vectors: NDArray[np.float32], measured: MeasuredTable) -> Mapping[str, Any]:
    return {
        "images": shown.images, "vectors": vectors, "identity": shown.identity, "people": shown.people, "source": shown.source,
        "row": shown.row, "hard_pairs": measured.hard_pairs, "hard_distance": measured.hard_distance,
    }  # fmt: skip
