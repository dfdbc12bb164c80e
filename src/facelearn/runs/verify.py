"""How well a verification model tells pairs of photos apart, and at which distance: `verify_eval` and `calibrate`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn import bundle as bundles
from facelearn.data.listing import OnError
from facelearn.data.pair_lists import Pairs, read_pairs
from facelearn.data.row_pairs import pairs_of
from facelearn.errors import BundleError, DataError, FacelearnError, RecipeError
from facelearn.images.decode import decode_image
from facelearn.metrics.measure import number
from facelearn.metrics.pair_calibration import Method
from facelearn.metrics.pair_curves import most_accurate_threshold
from facelearn.metrics.pair_facts import pair_figures
from facelearn.metrics.pairs import pair_metrics
from facelearn.prediction.open import OpenModel
from facelearn.record.folder import RunFolder
from facelearn.record.results import load_run, save_metrics
from facelearn.runs.prepare import ReadResult, read_with_report
from facelearn.tasks.verification.answer import Embeddings
from facelearn.tasks.verification.domain_choice import DomainUse, choose_domain
from facelearn.tasks.verification.measure import thresholds_of
from facelearn.tasks.verification.pair_results import hardest_pairs
from facelearn.transforms.framing import Framing

_THUMBNAIL = 112  # pixels of a photo's side on the page
_NO_FACE = "no face was found in {count} of {photos} photos, which were taken whole: {first}"


@dataclass(frozen=True, eq=False)
class ComparedPairs:
    """Pairs of photos and how far a model finds them apart.

    Attributes:
        distance: float64 (P,).
        same: bool (P,).
        people: int64 (P, 2), who is on each photo, -1 where not known.
        vectors: float32 (N, d), the embeddings of all photos; where pairs are listed, of `pairs.files` in their order.
        first, second: int64 (P,), rows of `vectors`.
        pairs: as listed; None for all pairs of labelled faces.
        notes: what is to be known of the photos.
        source: where they were listed, for people.
    """

    distance: NDArray[np.float64]
    same: NDArray[np.bool_]
    people: NDArray[np.int64]
    vectors: NDArray[np.float32]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    pairs: Pairs | None
    notes: tuple[str, ...]
    source: str


def verify_eval(
    model: str | Path,
    pairs: str | Path,
    images: str | Path,
    *,
    threshold: float | None = None,
    threshold_pairs: str | Path | None = None,
    out: str | Path | None = None,
    on_error: OnError = "stop",
    detector: str = "auto",
    device: str = "auto",
) -> dict[str, Any]:
    """Measure a verification model on listed pairs of photos, each of which shows one person.

    The accuracy is that of one threshold: the one given; the most accurate on `threshold_pairs`; with folds (LFW's View 2) each fold's from
    the others; else the most accurate on the pairs that the model was calibrated on (after training, those of its held-out people).

    Args:
        model: `.safetensors` or `.onnx` file of a verification model.
        pairs: LFW's pairs file (View 1 or the ten folds of View 2), CSV, or lines of two images and 0 or 1: see `data.pair_lists`.
        images: folder of the images.
        threshold: largest distance of one person's photos.
        threshold_pairs: other pairs of the same images, on which the threshold is chosen.
        out: folder for metrics.json and report.html; None writes nothing.
        on_error: "skip" leaves out pairs that cannot be used, and counts them.
        detector: as `facelearn.open`; "none" takes every photo whole.
        device: auto, cpu or cuda.

    Returns:
        "task", all of `metrics.pairs.pair_metrics`, flat numbers for programs (accuracy, standard_error, auc, eer, tar), and "warnings".

    Raises:
        DataError: pairs that cannot be read, or of one kind only.
        BundleError: no verification model.
        RecipeError: two thresholds.
    """
    if threshold is not None and threshold_pairs is not None:
        raise RecipeError(
            "threshold and threshold_pairs (--threshold, --threshold-pairs) both say it; give one of them"
        )
    opened = OpenModel(model, device=device, detector=detector, one_face=True)
    answering = opened.comparing()
    lists = [read_pairs(path, images, on_error=on_error) for path in (pairs, threshold_pairs) if path is not None]
    compared = compare_listed(opened, lists)
    found = compared[0]
    assert found.pairs is not None
    limit, limit_from = threshold, "given"
    if threshold_pairs is not None:
        other = compared[1]
        limit, limit_from = most_accurate_threshold(other.distance, other.same), f"the most accurate on {other.source}"
    folds = found.pairs.fold if (found.pairs.fold >= 0).all() else None
    if limit is None and folds is None and not np.isnan(answering.most_right):
        limit, limit_from = answering.most_right, f"the model's, from {answering.most_right_from}"
    groups = found.pairs.group if (found.pairs.group != "").any() else None
    metrics = pair_metrics(
        found.distance, found.same, people=found.people, folds=folds, groups=groups, threshold=limit,
        threshold_from=limit_from if limit is not None else "",
    )  # fmt: skip
    notes = list(found.notes)
    if out is not None:
        folder = RunFolder(out)
        save_metrics(folder.path, dict(metrics), data={"source": found.source, "model": str(model)})
        task = opened.bundle.of_task
        task.save_evaluation(folder.evaluation, **_evaluation(found, metrics["threshold"]))
        run = load_run(folder.path, name=Path(model).stem)
        task.page(folder.report, run, f"{Path(model).name} on {Path(pairs).name}")
    return {"task": opened.bundle.task, **metrics, **pair_figures(metrics), "warnings": notes}


def calibrate(
    model: str | Path,
    pairs: str | Path | None = None,
    images: str | Path | None = None,
    *,
    people: str | Path | None = None,
    far: float = 1e-2,
    method: Method = "platt",
    domain: DomainUse = "auto",
    out: str | Path | None = None,
    on_error: OnError = "stop",
    detector: str = "auto",
    device: str = "auto",
) -> dict[str, Any]:
    """Find the threshold at which at most the share `far` of pairs of different people pass, and keep it in the model file.

    With it go the most accurate threshold, the way from distances to probabilities, and the pairs' fingerprint. Where it tells these
    people apart better, what embeddings of such photos have in common is taken out before two are compared
    (`tasks.verification.domain_choice`); thresholds then come from distances to which neither of the pair's people contributed, and
    embeddings that are stored stay valid.

    Args:
        model: `.safetensors` file of a verification model.
        pairs, images: as `verify_eval`.
        people: instead of pairs, a folder a person (or anything that names people): all pairs of its faces.
        far: false accept rate, above 0 and at most 1; it needs 30 / far pairs of different people, and 10 / far at the very least.
        method: "platt" or "isotonic": how probabilities follow from distances.
        domain: "auto", or "none" to compare embeddings as they are.
        out: the model file to write; None writes over `model`.
        on_error, detector, device: as `verify_eval`.

    Returns:
        "threshold", its interval "low" and "high", "far", the most accurate threshold "most_accurate_threshold", "pairs" (same and
        different), "domain" (what was taken out, "none", "mean" or "within people"; by these names the area under the ROC curve
        "auc_score"; "gain" and its "standard_error"), "fingerprint", "model" and "warnings".

    Raises:
        DataError: too few pairs for such a rate (the lowest possible is named), or pairs that cannot be read.
        BundleError: no verification model, or an exported one.
    """
    if (pairs is None) == (people is None):
        raise FacelearnError(
            "calibrate takes pairs and their images (--pairs FILE --images DIR), or people (--people DIR); give one of the two"
        )
    if pairs is not None and images is None:
        raise FacelearnError("pairs name images; give the folder they are in (--images DIR)")
    target = Path(model if out is None else out)
    if Path(model).suffix == ".onnx" or target.suffix != ".safetensors":
        raise BundleError(
            f"the threshold is kept in a .safetensors file; received {Path(model).name} and {target.name}: calibrate that, then export it "
            "(facelearn convert)"
        )
    opened = OpenModel(model, device=device, detector=detector, one_face=True)
    answering = opened.comparing()
    if pairs is not None and images is not None:
        found = compare_listed(opened, [read_pairs(pairs, images, on_error=on_error)])[0]
    else:
        found = compare_people(opened, str(people))
    where = f"{len(found.distance):,} pairs of {found.source}"
    chosen = choose_domain(
        answering.back_end, found.vectors, found.first, found.second, found.same, found.people, domain
    )
    thresholds = thresholds_of(chosen.distance, found.same, found.people, far, where, method)
    kept = opened.bundle.replace(
        thresholds={**opened.bundle.thresholds, **thresholds.facts()}, arrays=chosen.back_end.stored
    )
    path = bundles.save(kept, target)
    known = thresholds.calibration
    return {
        "task": opened.bundle.task, "threshold": known.threshold, "low": number(known.low), "high": number(known.high), "far": far,
        "most_accurate_threshold": thresholds.most_right,
        "pairs": {"same": int(found.same.sum()), "different": int((~found.same).sum())},
        "domain": {
            "name": chosen.name, "auc_score": chosen.auc_score,
            "gain": number(chosen.gain), "standard_error": number(chosen.standard_error),
        },
        "fingerprint": thresholds.fingerprint, "space": answering.space, "model": path,
        "warnings": [*found.notes, *([known.warning] if known.warning else [])],
    }  # fmt: skip


def _evaluation(found: ComparedPairs, threshold: float) -> Mapping[str, Any]:
    """What the page draws from: the photos, small, their embeddings, and the pairs that are most wrong."""
    pairs = found.pairs
    assert pairs is not None
    size = Framing("whole", _THUMBNAIL)
    images = [size.frame(decode_image(file, color="rgb")).image for file in pairs.files]
    person = np.full(len(pairs.files), -1, np.int64)
    names: dict[int, str] = {}
    for column, rows in enumerate((pairs.first, pairs.second)):
        person[rows] = pairs.people[:, column]
        names |= dict(zip(pairs.people[:, column].tolist(), pairs.person[:, column].tolist(), strict=True))
    people = tuple(names[number] for number in sorted(names) if number >= 0)
    hard, distance = hardest_pairs(pairs.first, pairs.second, found.distance, pairs.same, threshold, person=person)
    return {
        "images": np.stack(images), "vectors": found.vectors, "identity": person, "people": people,
        "source": [str(file) for file in pairs.files], "row": np.full(len(pairs.files), -1), "hard_pairs": hard, "hard_distance": distance,
    }  # fmt: skip


def compare_listed(opened: OpenModel, lists: list[Pairs]) -> list[ComparedPairs]:
    """The distances of listed pairs; a photo that several name is looked at once.

    Raises:
        DataError: an image that cannot be read.
    """
    files = list(dict.fromkeys(str(file) for pairs in lists for file in pairs.files))
    found = _embedded(opened, files)
    notes = (*found.notes, *_unfound(opened, files, found.found.boxes))
    place = {file: i for i, file in enumerate(files)}
    compared = []
    for pairs in lists:
        rows = np.asarray([place[str(file)] for file in pairs.files], np.int64)
        vectors = found.vectors[rows]
        distance = opened.comparing().back_end.distance_of_pairs(vectors, pairs.first, pairs.second)
        compared.append(
            ComparedPairs(
                distance,
                pairs.same,
                pairs.people,
                vectors,
                pairs.first,
                pairs.second,
                pairs,
                (*pairs.notes, *notes),
                str(pairs.source),
            )
        )
    return compared


def _embedded(opened: OpenModel, files: list[str]) -> Embeddings:
    """One embedding a photo, in their order.

    Raises:
        DataError: a photo that cannot be read.
    """
    found = opened.embed(files)
    if len(found) != len(files):
        raise DataError(f"{len(files)} photos gave {len(found)} embeddings; look for photos that cannot be read")
    return found


def compare_people(opened: OpenModel, data: str) -> ComparedPairs:
    """The distances of all pairs of the faces of named people.

    Photos of one face each are looked at as `compare` looks at them; other data are framed as the model's training photos were.

    Raises:
        DataError: data that name nobody.
    """
    result = read_as_trained(opened, data)
    faces = result.faces
    files = [str(file) for file in faces.source]
    of_photos = len(set(files)) == len(files) and bool((faces.row < 0).all()) and all(map(os.path.isfile, files))
    found = _embedded(opened, files) if of_photos else opened.embed(faces)
    notes = (*result.warnings, *(_unfound(opened, files, found.found.boxes) if of_photos else ()))
    vectors = found.vectors
    pairs = pairs_of(faces.identity, group=faces.group)
    first, second = pairs.first, pairs.second
    people = np.stack([faces.identity[first], faces.identity[second]], 1)
    distance = opened.comparing().back_end.distance_of_pairs(vectors, first, second)
    return ComparedPairs(distance, pairs.same, people, vectors, first, second, None, notes, data)


def read_as_trained(opened: OpenModel, data: str | Path) -> ReadResult:
    """Faces of named people, framed as the model's training photos were.

    Raises:
        DataError: data that cannot be read or name nobody.
    """
    trained = opened.bundle.recipe.get("read") or {}
    result = read_with_report(
        data,
        framing=opened.bundle.framing,
        detector=trained.get("detector") or "facelearn",
        missing=trained.get("missing"),
    )
    task, faces = opened.bundle.of_task, result.faces
    if not task.teaches(faces):
        raise DataError(task.lacking(faces, str(data), f"see what is in it with: facelearn inspect {data}"))
    return result


def _unfound(opened: OpenModel, files: list[str], boxes: NDArray[np.float64]) -> list[str]:
    """The sentence about photos in which no face was found, where faces were looked for."""
    missed = np.flatnonzero(np.isnan(boxes).any(1))
    if not opened.finding.asked or not len(missed):
        return []
    return [_NO_FACE.format(count=len(missed), photos=len(files), first=", ".join(files[i] for i in missed[:3]))]
