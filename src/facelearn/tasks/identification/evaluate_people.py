"""An identification model against photos of people it knows and of people it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.metrics.classes import class_metrics
from facelearn.metrics.open_set import open_set_metrics
from facelearn.prediction import Identifier
from facelearn.prediction.backends import Backend
from facelearn.report.results import save_metrics
from facelearn.splits.groups import person_units
from facelearn.tasks.identification.evaluation import load_class_run, save_class_evaluation
from facelearn.tasks.identification.page import write_class_report

FALSE_ALARM = 0.01
"""Share of strangers that may be called by a name."""


def evaluate_people(
    opened: Backend, faces: Faces, threshold: float | None, out: Path | None, model: str, source: str
) -> dict[str, Any]:
    """Measure an open identification model on `faces`; who it does not know (and who has no name) is a stranger.

    Args:
        opened: what `predict.backends.open_backend` gave.
        faces: photos with people's names.
        threshold: probability below which a face is unknown; None is the model's own.
        out: folder for metrics.json, evaluation.npz and report.html, or None.
        model, source: names of the model file and the data, for the report.

    Returns:
        As `metrics.classes.class_metrics`; "open_set" beside it where there are strangers.

    Raises:
        DataError: the model knows none of the people.
    """
    identifier = Identifier(opened, threshold=threshold)
    truth = faces.identity_among(identifier.people)
    known, strangers = np.flatnonzero(truth >= 0), np.flatnonzero(truth < 0)
    if not len(known):
        listed = ", ".join(identifier.people[:3])
        raise DataError(
            f"the model knows none of the {len(faces.people)} people in {source}; it knows {len(identifier.people)}: {listed}, ... "
            "(names are compared letter by letter)"
        )
    probabilities = identifier.predict(faces).probabilities
    counts = _train_counts(identifier)
    groups = person_units(faces[known], "auto")[0].of_row
    metrics = class_metrics(
        probabilities[known], truth[known], people=identifier.people, train_counts=counts, groups=groups
    )
    if len(strangers):
        metrics["open_set"] = measure_strangers(
            probabilities[known],
            truth[known],
            groups,
            probabilities[strangers],
            faces.identity[strangers],
            identifier.threshold,
        )
    if out is not None:
        _write(out, metrics, faces, known, strangers, truth, probabilities, identifier, model, source)
    return metrics


def measure_strangers(
    known: NDArray[np.float32],
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    unknown: NDArray[np.float32],
    who: NDArray[np.int64],
    threshold: float,
) -> dict[str, Any]:
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


def _train_counts(identifier: Identifier) -> list[int] | None:
    counts = (identifier.bundle.data.get("counts") or {}).get("images_per_person")
    return counts if isinstance(counts, list) and len(counts) == len(identifier.people) else None


def _write(
    out: Path, metrics: dict[str, Any], faces: Faces, known: NDArray[np.int64], strangers: NDArray[np.int64],
    truth: NDArray[np.int64], probabilities: NDArray[np.float32], identifier: Identifier, model: str, source: str,
) -> None:  # fmt: skip
    save_metrics(out, metrics, data={"source": source, "fingerprint": faces.fingerprint(), "model": model})
    # the data's own photo of each person stands beside a confusion; a person without one gets a blank
    examples = np.full((len(identifier.people), *faces.images.shape[1:]), 127, np.uint8)
    people, first = np.unique(truth[known], return_index=True)
    examples[people] = faces.images[known[first]]
    save_class_evaluation(
        out, images=faces[known].images, truth=truth[known], probabilities=probabilities[known], people=identifier.people,
        examples=examples, source=faces.source[known], row=faces.row[known],
        stranger_images=faces[strangers].images if len(strangers) else None,
        stranger_probabilities=probabilities[strangers] if len(strangers) else None,
    )  # fmt: skip
    write_class_report(
        out / "report.html",
        [load_class_run(out, name=Path(model).stem)],
        title=f"{Path(model).name} on {Path(source).name}",
    )
