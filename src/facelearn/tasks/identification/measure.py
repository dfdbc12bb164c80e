"""What is measured of identification: how probabilities are calibrated, when a face is called unknown, and how often the name is right."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.people_names import near_spellings
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

_LISTED = 10
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
    metrics["baseline"] = baseline(truth, people, counts)
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
        near = near_spellings(faces.people, people)
        spelled = ", ".join(f"'{name}' for '{other}'" for name, other in near[:_LISTED])
        hint = f"; rename those that are only spelled otherwise: {spelled}" if near else ""
        raise DataError(
            f"the model knows none of the {len(faces.people)} people in the data; it knows {len(people)}: {', '.join(people[:3])}, ... "
            f"(names are compared letter by letter){hint}"
        )
    counts = train_counts if isinstance(train_counts, list) and len(train_counts) == len(people) else None
    groups = person_units(faces[known], "auto")[0].of_row
    probabilities = found.probabilities
    metrics = class_metrics(probabilities[known], truth[known], people=people, train_counts=counts, groups=groups)
    metrics["baseline"] = baseline(truth[known], people, counts)
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
    return Measured(metrics, AnswerFacts(people=people), evaluation, stranger_notes(faces, people))


def baseline(truth: NDArray[np.int64], people: tuple[str, ...], train_counts: Sequence[int] | None) -> dict[str, Any]:
    """What no network is needed for: always naming the person with most training images (measured ones where those are not known).

    Returns:
        "person", "accuracy_score" (their share of the measured images), and "balanced_accuracy_score": chance, one in as many people as
        have measured images, which every constant answer has.
    """
    measured = np.bincount(truth, minlength=len(people))
    commonest = int(np.argmax(measured if train_counts is None else np.asarray(train_counts)))
    return {
        "person": people[commonest],
        "accuracy_score": float(measured[commonest] / max(len(truth), 1)),
        "balanced_accuracy_score": 1 / max(int((measured > 0).sum()), 1),
    }


def stranger_notes(faces: Faces, people: tuple[str, ...]) -> tuple[str, ...]:
    """The people of `faces` that a model of `people` does not know, and which of them are only spelled otherwise."""
    sizes = np.bincount(faces.identity[faces.identity >= 0], minlength=len(faces.people))
    others = [(name, int(size)) for name, size in zip(faces.people, sizes, strict=True) if size and name not in people]
    if not others:
        return ()
    listed = ", ".join(f"'{name}' ({size})" for name, size in others[:_LISTED])
    rest = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
    photos = sum(size for _, size in others)
    found = near_spellings([name for name, _ in others], people)
    spelled = ", ".join(f"'{name}' for '{known}'" for name, known in found[:_LISTED])
    return (
        *([f"{len(found)} of them may only be spelled otherwise than in the model, and are strangers for that: {spelled}; rename them if "
           "they are the same people"] if found else []),
        f"{len(others)} people of the data, with {photos} photos, are not known to the model and count as strangers: {listed}{rest}",
    )[::-1]  # fmt: skip


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
