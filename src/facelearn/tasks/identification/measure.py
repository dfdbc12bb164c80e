"""What is measured of identification: how probabilities are calibrated, when a face is called unknown, and how often the name is right."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.metrics.calibration import expected_calibration_error, fit_temperature, softmax
from facelearn.metrics.class_averages import class_average_intervals
from facelearn.metrics.classes import class_metrics
from facelearn.metrics.open_set import OpenSetMetrics, open_set_metrics, rejection_threshold
from facelearn.splits.groups import person_units
from facelearn.splits.split import Split
from facelearn.tasks.identification.answer import Identities
from facelearn.tasks.identification.class_results import ClassResult
from facelearn.tasks.task import FALSE_ALARM, TEST, VALID, AnswerFacts, HeldOut, Measured

STRANGERS_TUNE, STRANGERS_TEST = "strangers_tune", "strangers_test"


def measure(held_out: HeldOut) -> Measured:
    """Calibrate on the validation rows, tune the threshold on one half of the strangers, measure on the test rows and the other half.

    Without test rows the validation rows are measured, and the metrics say so.
    """
    people, parts, combined = held_out.facts.people, held_out.parts, held_out.combined
    valid = parts[VALID]
    temperature = fit_temperature(combined[VALID], valid.identity_among(people)) if len(valid) else 1.0
    part = TEST if len(parts.get(TEST, ())) else VALID
    shown = parts[part]
    truth = shown.identity_among(people)
    probabilities = {name: softmax(logits, temperature) for name, logits in combined.items() if len(logits)}
    threshold = _threshold(parts, probabilities)
    facts = dataclasses.replace(
        held_out.facts,
        prediction={**held_out.facts.prediction, "temperature": temperature},
        thresholds={} if threshold is None else {"unknown": threshold},
    )
    if not len(shown):
        return Measured({}, facts)
    groups = person_units(shown, "auto")[0].of_row
    classes = held_out.train.identity_among(people)
    counts = np.bincount(classes, minlength=len(people)).tolist()
    metrics = class_metrics(probabilities[part], truth, people=people, train_counts=counts, groups=groups)
    metrics["measured_on"] = part
    metrics["temperature"] = {
        "value": temperature, "tuned_on": VALID if len(valid) else None,
        "calibration_error_before": expected_calibration_error(softmax(combined[part]), truth),
    }  # fmt: skip
    strangers = parts.get(STRANGERS_TEST)
    if threshold is not None and strangers is not None and len(strangers):
        metrics["open_set"] = measure_strangers(
            probabilities[part], truth, groups, probabilities[STRANGERS_TEST], strangers.identity, threshold["value"]
        )
    # one training photo of each person stands beside a confusion
    first = np.asarray([np.flatnonzero(classes == i)[0] for i in range(len(people))])
    evaluation = _evaluation(
        people,
        shown,
        truth,
        probabilities[part],
        held_out.train.images[first],
        strangers,
        probabilities.get(STRANGERS_TEST),
    )
    return Measured(metrics, facts, evaluation)


def measure_answers(found: Identities, faces: Faces, train_counts: object) -> Measured:
    """Measure names for labelled faces; who the model does not know (and who has no name) is a stranger.

    Args:
        found: of all `faces`, in order.
        faces: photos with people's names.
        train_counts: training images of each person, where the model file holds them.

    Raises:
        DataError: the model knows none of the people.
    """
    people = found.people
    truth = faces.identity_among(people)
    known, strangers = np.flatnonzero(truth >= 0), np.flatnonzero(truth < 0)
    if not len(known):
        raise DataError(
            f"the model knows none of the {len(faces.people)} people in the data; it knows {len(people)}: {', '.join(people[:3])}, ... "
            "(names are compared letter by letter)"
        )
    counts = train_counts if isinstance(train_counts, list) and len(train_counts) == len(people) else None
    groups = person_units(faces[known], "auto")[0].of_row
    probabilities = found.probabilities
    metrics = class_metrics(probabilities[known], truth[known], people=people, train_counts=counts, groups=groups)
    if len(strangers):
        metrics["open_set"] = measure_strangers(
            probabilities[known],
            truth[known],
            groups,
            probabilities[strangers],
            faces.identity[strangers],
            found.threshold,
        )
    # the data's own photo of each person stands beside a confusion; a person without one gets a blank
    examples = np.full((len(people), *faces.images.shape[1:]), 127, np.uint8)
    classes, first = np.unique(truth[known], return_index=True)
    examples[classes] = faces.images[known[first]]
    unknown = faces[strangers] if len(strangers) else None
    evaluation = _evaluation(
        people, faces[known], truth[known], probabilities[known], examples, unknown,
        probabilities[strangers] if len(strangers) else None,
    )  # fmt: skip
    return Measured(metrics, AnswerFacts(people=people), evaluation)


def measured_groups(faces: Faces, parts: Split) -> NDArray[np.int64]:
    """int64 (N,): which videos and near-duplicates the measured rows belong to: test rows, or validation rows where there are none."""
    part = TEST if len(parts.parts.get(TEST, ())) else VALID
    return person_units(faces[parts.parts[part]], "auto")[0].of_row


def cell_numbers(run: ClassResult, groups: NDArray[np.int64]) -> dict[str, Any]:
    """What a study keeps of a finished run beside its metrics: "groups" of the measured rows, "intervals" of averages over people."""
    if not len(run):
        return {}
    found = class_average_intervals(run.probabilities, run.truth, groups)
    intervals = {name: [None if math.isnan(bound) else bound for bound in pair] for name, pair in found.items()}
    return {"groups": groups.tolist(), "intervals": intervals}


def measure_strangers(
    known: NDArray[np.float32],
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    unknown: NDArray[np.float32],
    who: NDArray[np.int64],
    threshold: float,
) -> OpenSetMetrics:
    """As `metrics.open_set.open_set_metrics`, and how many photos of how many people the strangers are.

    Args:
        known: (N, C) probabilities of photos of people that the model knows; `truth` (N,) their classes, `groups` (N,) their units.
        unknown: (S, C) probabilities of photos of strangers; `who` (S,) their identity, -1 where nobody knows.
        threshold: smallest probability at which a name is given.
    """
    facts = open_set_metrics(
        known.max(1), known.argmax(1) == truth, unknown.max(1), threshold=threshold, false_alarm=FALSE_ALARM,
        known_groups=groups, stranger_groups=who,
    )  # fmt: skip
    people = np.unique(who[who >= 0])
    return {**facts, "strangers": {"photos": len(who), "people": len(people)}}


def _threshold(parts: Mapping[str, Faces], probabilities: Mapping[str, NDArray[np.float32]]) -> dict[str, Any] | None:
    """The smallest probability at which a name is given, and where it was tuned; None without strangers."""
    if STRANGERS_TUNE not in probabilities:
        return None
    faces = parts[STRANGERS_TUNE]
    people = sorted({faces.people[i] for i in faces.identity if i >= 0})
    return {
        "value": rejection_threshold(probabilities[STRANGERS_TUNE].max(1), false_alarm=FALSE_ALARM), "false_alarm": FALSE_ALARM,
        "tuned_on": f"{len(faces)} photos of {len(people)} people held out of training", "people": people,
    }  # fmt: skip


def _evaluation(
    people: tuple[str, ...],
    shown: Faces,
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    examples: NDArray[np.uint8],
    strangers: Faces | None,
    unknown: NDArray[np.float32] | None,
) -> Mapping[str, Any]:
    return {
        "images": shown.images, "truth": truth, "probabilities": probabilities, "people": people, "examples": examples,
        "source": shown.source, "row": shown.row, "stranger_images": None if strangers is None else strangers.images,
        "stranger_probabilities": unknown,
    }  # fmt: skip
