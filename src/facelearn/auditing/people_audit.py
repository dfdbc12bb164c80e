"""The audit of a table that names people: wrong names, one person under two names, two people under one, one photo under two names.

Models are trained in folds within each person, so that every photo of a person with two moments or more is judged by a model that has
seen neither it nor a near-duplicate of it. Or a model file is given: what it says of a photo, taken as a vector, is compared with the mean
vectors that the names have in the other folds, and nothing is trained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import Fault
from facelearn.auditing.name_faults import NameEvidence, name_faults
from facelearn.data.faces import Faces
from facelearn.errors import BundleError, DataError
from facelearn.files import whole_file
from facelearn.prediction.open import OpenModel
from facelearn.recipe.recipe import Recipe
from facelearn.runs.fit_rows import fit_parts
from facelearn.runs.folds import IN_FOLDS
from facelearn.splits.groups import near_duplicates_in_time, person_units
from facelearn.splits.split import Split
from facelearn.splits.within_people import kfold_within_people
from facelearn.tasks.identification.answer import Identities
from facelearn.training.device import apply, choose_device
from facelearn.training.loop import Reporter

STEPS = 4000
"""Training steps of each fold, so that 8,000 photos are seen about 30 times."""
_FEWEST_EPOCHS, _MOST_EPOCHS = 8, 40
_SMALL: Mapping[str, Any] = {
    "preprocess": [{"name": "resize", "size": 48}, "standardise"],
    "model__options": {"widths": [32, 64, 128]},
    "optimiser__name": "adamw",
    "schedule__warm_up": 0.1,
    "augment__erasing": 0.0,
    "augment__warp": 0.0,
    "augment__rotate": 10.0,
    "augment__scale": (0.88, 1.14),
    "augment__stretch": 0.04,
    "augment__shift": 0.05,
}
"""A quarter of the default network, on small photos that are varied little: of 10,103 photos of 76 people a fold's model has a balanced
accuracy of 42% after 220 seconds of processor time, the default network after twice as many 21%."""
_FLOOR = 1e-9


@dataclass(frozen=True)
class PeopleAudit:
    """What an audit of people found.

    Attributes:
        faults: the most probable first.
        facts: JSON-able: "rows", "people", "judged" (photos that a model had not seen), "folds", "expected_faults", "fingerprint".
        notes: what is to be known of the search.
        stopped: True where it was asked to stop; the same call goes on.
    """

    faults: tuple[Fault, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stopped: bool = False


def audit_people(
    faces: Faces,
    *,
    folds: int = 5,
    out: str | Path,
    model: str | Path | None = None,
    recipe: Recipe | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
) -> PeopleAudit:
    """Find photos that stand under a wrong name, and names that should be one or two.

    Args:
        faces: N photos with names, of two people or more.
        folds: how many parts.
        out: folder for what the models say; with the same rows, recipe and folds an audit goes on with what is there.
        model: a model file that gives names or embeddings, of people other than these where possible; None trains one a fold.
        recipe: of the fold models; default a short training of `Recipe(task="identification")`.
        reporter: callbacks of each model's training.
        stop: asked after every batch.

    Raises:
        DataError: fewer than two people, or too few photos for the folds.
        BundleError: a model that finds keypoints.
    """
    known = np.unique(faces.identity[faces.identity >= 0])
    if len(known) < 2:
        raise DataError(f"wrong names are looked for among two people or more; received {len(known)}")
    parts = kfold_within_people(faces, folds)
    if model is None:
        evidence = judged_names(faces, parts, Path(out), recipe or short_recipe(len(faces)), reporter, stop)
    else:
        evidence = _by_vectors(faces, parts, vectors_of(faces, model))
    if evidence is None:
        return PeopleAudit(stopped=True)
    duplicates, note = near_duplicates_in_time(faces)
    faults = tuple(name_faults(faces, evidence, duplicates))
    facts = {
        "rows": len(faces), "people": len(known), "judged": len(evidence.rows), "folds": folds,
        "expected_faults": float(sum(one.score for one in faults)), "fingerprint": faces.fingerprint(),
    }  # fmt: skip
    warnings = dict.fromkeys([*parts[0].report()["warnings"], *filter(None, [note])])
    return PeopleAudit(faults, facts, tuple(warnings))


def short_recipe(rows: int) -> Recipe:
    """The recipe of a fold's model for a table of so many rows: a smaller network than the default one, trained for about `STEPS` steps."""
    base = Recipe.for_task(IN_FOLDS)
    epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, round(STEPS * base.batch_size / max(1, rows))))
    return base.with_changes(epochs=epochs, validate_every=epochs, **_SMALL)


def judged_names(
    faces: Faces,
    parts: list[Split],
    out: Path,
    recipe: Recipe,
    reporter: Reporter | None,
    stop: Callable[[], bool] | None,
) -> NameEvidence | None:
    """What each fold's model says of the photos it has not seen; None where it was stopped. Finished folds are kept in `out`."""
    apply(choose_device(recipe.device, precision=recipe.precision, threads=recipe.threads))
    mark = json.dumps([faces.fingerprint(), len(parts), recipe.to_toml()])
    logits = np.full((len(faces), len(faces.people)), -np.inf)
    judged = []
    for number, split in enumerate(parts, start=1):
        valid = split.parts["valid"]
        file = out / f"names-{number}.npz"
        said = _kept(file, mark)
        if said is None:
            fitted = fit_parts(
                faces[split.parts["train"]],
                faces[valid],
                out / f"fold-{number}",
                recipe=recipe,
                reporter=reporter,
                stop=stop,
                measures=True,
            )
            if fitted.combined is None:
                return None
            columns = [faces.people.index(name) for name in fitted.result.learner.answer_facts().people]
            said = np.full((len(valid), len(faces.people)), -np.inf)
            said[:, columns] = fitted.combined["valid"]
            with whole_file(file) as scratch, scratch.open("wb") as opened:
                np.savez(opened, logits=said, mark=np.asarray(mark))
        logits[valid] = said - np.where(np.isfinite(said), said, 0.0).mean(
            0
        )  # models of two folds lean towards different people
        judged.append(valid)
    rows = np.sort(np.concatenate(judged))
    return NameEvidence(rows, logits[rows], _as_vectors(logits[rows]), _moments(faces, rows))


def _moments(faces: Faces, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """What `kfold_within_people` kept together, for each of the rows."""
    return person_units(faces, "auto")[0].of_row[rows]


def _kept(file: Path, mark: str) -> NDArray[np.float64] | None:
    """What an earlier call with the same rows, folds and recipe has left of a fold."""
    try:
        with np.load(file, allow_pickle=False) as found:
            return np.asarray(found["logits"], np.float64) if str(found["mark"]) == mark else None
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _as_vectors(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits as unit vectors: which people a photo looks like more, and which less, than others do."""
    known = np.isfinite(logits)
    filled = np.where(known, logits, np.where(known, logits, np.inf).min())
    filled = filled - filled.mean(1, keepdims=True)
    filled = filled - filled.mean(0)
    return np.asarray(filled / np.maximum(np.linalg.norm(filled, axis=1, keepdims=True), _FLOOR))


def vectors_of(faces: Faces, model: str | Path) -> NDArray[np.float64]:
    """float64 (N, D): what a model file says of each face, as unit vectors.

    Raises:
        BundleError: a model that finds keypoints, or one that cannot be used.
    """
    opened = OpenModel(model)
    if opened.bundle.schema is not None:
        raise BundleError(
            f"{model} finds keypoints, which do not say who it is; give a model that gives names or embeddings"
        )
    flat = faces.replace(to_photo=np.broadcast_to(np.eye(2, 3), (len(faces), 2, 3)).copy())
    said = opened.predict(flat)
    if isinstance(said, Identities):
        return _as_vectors(np.log(np.maximum(np.asarray(said.probabilities, np.float64), 1e-12)))
    vectors = np.asarray(said.vectors, np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _FLOOR))


def _by_vectors(faces: Faces, parts: list[Split], vectors: NDArray[np.float64]) -> NameEvidence:
    """Each photo compared with the mean vector that every name has in the other folds."""
    logits = np.full((len(faces), len(faces.people)), -np.inf)
    for split in parts:
        train, valid = split.parts["train"], split.parts["valid"]
        for person in np.unique(faces.identity[train]).tolist():
            mean = vectors[train[faces.identity[train] == person]].mean(0)
            logits[valid, person] = 10 * vectors[valid] @ mean / max(float(np.linalg.norm(mean)), _FLOOR)
    rows = np.sort(np.concatenate([split.parts["valid"] for split in parts]))
    return NameEvidence(rows, logits[rows], vectors[rows], _moments(faces, rows))
