"""The verb `pseudo_label`: missing keypoints filled with predictions that are sure enough, and marked as filled.

Each model sees the image and four slightly turned and scaled copies of it. The mean of all that all models say is the place; how far they
spread says how sure it is, in a radius that held-out labels calibrate (`regions`). What is filled is listed with its radius and a weight,

    weight = n^2 / (n^2 + r^2),

n a person's usual error (1% of the width) and r the standard deviation that the radius stands for: what a label is worth beside a person's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.regions import LEAST_LABELS, REGION, coverage, fit_regions
from facelearn.data.faces import Faces
from facelearn.data.seen_rows import unseen
from facelearn.errors import BundleError, DataError, FacelearnError
from facelearn.geometry.affine import Matrix, invert, similarity_transform
from facelearn.geometry.coordinates import inside
from facelearn.geometry.warp import warp
from facelearn.prediction.open import Predictor
from facelearn.runs.convert import ConvertResult, Format, output_format, write_labels
from facelearn.runs.prepare import read_with_report
from facelearn.showing import write_rows
from facelearn.splits.groups import independent_groups
from facelearn.tasks.keypoints.measure import in_own_scheme

THRESHOLD = 0.04
"""The largest radius that is filled, as a share of the image's width, where nobody says otherwise."""
HUMAN_ERROR = 0.01
"""A person's usual error, as a share of the image's width."""
_COPIES = ((0.0, 1.0), (5.0, 1.0), (-5.0, 1.0), (0.0, 1.06), (0.0, 0.94))  # degrees and scale
_ROWS_AT_ONCE = 512
_RADIUS_IN_DEVIATIONS = 2.146  # 90% of two normal components lie within so many of their deviations

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PseudoLabelResult:
    """What was filled.

    Attributes:
        written: the filled data: where they are, faces, labels, warnings.
        listed: the CSV of all labels that were filled.
        filled: how many, by keypoint.
        left: how many stay missing because their radius is above the threshold or they lie outside the image.
        threshold: pixels.
        calibrated_on: held-out labels.
        coverage: the share of them that lies inside the stated 90% regions, each half calibrated by the other; None where too few.
        median_radius: of what was filled, pixels; None where nothing was.
    """

    written: ConvertResult
    listed: Path
    filled: Mapping[str, int]
    left: int
    threshold: float
    calibrated_on: int
    coverage: float | None
    median_radius: float | None


@dataclass(frozen=True, eq=False)
class Seen:
    """What models say of faces: mean place (N, K, 2) and spread (N, K), float64 in pixels of the faces' images."""

    points: Floats
    spread: Floats


def pseudo_label(
    data: str | Path,
    models: Sequence[str | Path],
    out: str | Path,
    *,
    threshold: float | None = None,
    held_out: str | Path | None = None,
    to: Format | None = None,
    **reading: Any,
) -> PseudoLabelResult:
    """Fill missing keypoints with predictions that are sure enough; what a person labelled stays as it is.

    Args:
        data: faces, some or all of whose keypoints are missing: what `facelearn.read` takes.
        models: one or more model files for keypoints; several make the radius better.
        out: as `facelearn.patch`; beside it NAME.filled.csv lists what was filled: file, row (0-based, in file order), keypoint, x, y
            (pixels of the photo), radius (of the 90% region, pixels of the image) and weight.
        threshold: the largest radius that is filled, in pixels of the images as read; None: 4% of their width.
        held_out: other labelled faces, which no model has seen, to calibrate on; None: the rows of `data` that none has seen.
        to: as `facelearn.convert`.
        reading: as `facelearn.read`; without size and crop faces are framed as the first model's were.

    Raises:
        DataError: unreadable data, other keypoints than the models', or fewer than 100 held-out labels.
        BundleError: models that do not find keypoints, or differ in them.
        FacelearnError: no model, a threshold that is no length, or `out` names no format, or it or its list exists.
    """
    out = Path(out)
    to = output_format(out, to)
    listed = out.with_name(f"{out.stem}.filled.csv")
    if listed.exists():
        raise FacelearnError(f"{listed} exists; choose another name for {out.name}, nothing is overwritten")
    if not models or (threshold is not None and not threshold > 0):
        raise FacelearnError(
            f"give a model file or several, and a threshold above 0 pixels; received {len(models)} and {threshold}"
        )
    opened = [Predictor(path) for path in models]
    if reading.get("size") is None and reading.get("crop") is None:
        reading["framing"] = opened[0].bundle.framing
    read = read_with_report(data, **reading)
    faces = read.faces
    _check_keypoints(opened, models, faces, data)
    seen = look(opened, faces)
    others = None
    if held_out is not None:
        others = read_with_report(held_out, **{**reading, "list_file": None}).faces
        _check_keypoints(opened, models, others, held_out)
    error, spread, groups = _calibration(opened, faces, seen, others)
    regions = fit_regions(error, spread)
    if regions is None:
        raise DataError(
            f"the uncertainty is calibrated on labels that no model has seen, {LEAST_LABELS} or more; there are "
            f"{int(np.isfinite(error).sum())}: name other labelled faces with --held-out, or give models that held out the same rows"
        )
    limit = THRESHOLD * faces.width if threshold is None else threshold
    radius = regions.radius(seen.spread)
    fill = ~faces.labelled & (radius <= limit) & inside(seen.points, faces.width, faces.height)
    points = np.where(fill[..., None], seen.points, faces.keypoints).astype(np.float32)
    filled = dataclasses.replace(read, faces=faces.replace(keypoints=points))
    written = write_labels(
        filled, data, out, to, **{name: reading.get(name) for name in ("schema", "missing", "units")}
    )
    _list_filled(filled.faces, fill, radius, listed)
    counts = {name: int(count) for name, count in zip(faces.schema.names, fill.sum(0), strict=True) if count}
    return PseudoLabelResult(
        written, listed, counts, int((~faces.labelled & ~fill).sum()), float(limit), regions.labels, coverage(error, spread, groups),
        float(np.median(radius[fill])) if fill.any() else None,
    )  # fmt: skip


def _check_keypoints(opened: Sequence[Predictor], models: Sequence[str | Path], faces: Faces, data: str | Path) -> None:
    for one, path in zip(opened, models, strict=True):
        schema = one.bundle.schema
        if schema is None or schema.names != faces.schema.names:
            wanted = "no keypoints" if schema is None else f"{len(schema)} keypoints ('{schema.name}')"
            raise (DataError if one is opened[0] else BundleError)(
                f"{path} predicts {wanted}, and {data} has {len(faces.schema)} ('{faces.schema.name}'); give data and models of the same "
                "keypoints (--schema says what they are, where the file does not)"
            )


def look(opened: Sequence[Predictor], faces: Faces) -> Seen:
    """What models say of the images of `faces` and of slightly moved copies; labels are not looked at, but for the scheme they follow."""
    points = np.empty((len(faces), len(faces.schema), 2))
    spread = np.empty(points.shape[:2])
    for start in range(0, len(faces), _ROWS_AT_ONCE):
        part = faces[start : start + _ROWS_AT_ONCE]
        views = np.stack([_answers(one, copy, part) for copy in _copies(part) for one in opened])  # (V, n, K, 2)
        points[start : start + len(part)] = views.mean(0)
        spread[start : start + len(part)] = np.sqrt(views.var(0).sum(-1))
    return Seen(points, spread)


def _copies(faces: Faces) -> Iterator[Faces]:
    """The faces, turned and scaled about the middle of the image; `to_photo` leads back to the image as it was."""
    middle = np.asarray([faces.width - 1, faces.height - 1]) / 2
    for degrees, scale in _COPIES:
        turn = np.deg2rad(degrees)
        ahead = np.asarray([np.cos(turn), np.sin(turn)])
        matrix: Matrix = similarity_transform([middle, middle + [1, 0]], [middle, middle + scale * ahead])
        images = faces.images if (degrees, scale) == (0.0, 1.0) else _warped(faces, matrix)
        yield faces.replace(images=images, to_photo=np.tile(invert(matrix), (len(faces), 1, 1)))


def _warped(faces: Faces, matrix: Matrix) -> NDArray[np.uint8]:
    return np.stack([warp(image, matrix, (faces.height, faces.width)) for image in faces.images])


def _answers(opened: Predictor, copy: Faces, faces: Faces) -> Floats:
    """(N, K, 2) in pixels of the images before they were moved."""
    return np.asarray(in_own_scheme(opened.predict(copy), faces), np.float64)


def _calibration(
    opened: Sequence[Predictor], faces: Faces, seen: Seen, held_out: Faces | None
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Errors (N, K) of labels that no model has seen, NaN elsewhere; spreads; and which rows belong together."""
    if held_out is not None:
        faces, seen = held_out, look(opened, held_out)
    fresh = np.ones(len(faces), bool)
    for one in opened:
        told = unseen(faces, one.bundle.data.get("train_rows"))
        fresh &= told if told is not None else held_out is not None  # of its own data a model must say what it has seen
    error = np.linalg.norm(seen.points - faces.keypoints, axis=-1)
    return np.where(fresh[:, None], error, np.nan), seen.spread, independent_groups(faces)


def weight_of(radius: Floats, width: float) -> Floats:
    """What a filled label is worth beside a person's, 0 to 1, from the radius (pixels) of its 90% region and the image's width."""
    human = HUMAN_ERROR * width
    return np.asarray(human**2 / (human**2 + (radius / _RADIUS_IN_DEVIATIONS) ** 2))


def _list_filled(faces: Faces, fill: NDArray[np.bool_], radius: Floats, listed: Path) -> None:
    photo, weight = faces.keypoints_in_photo(), weight_of(radius, faces.width)
    rows = (
        (
            str(faces.source[i]), int(i), faces.schema.names[k], f"{photo[i, k, 0]:.3f}", f"{photo[i, k, 1]:.3f}", f"{radius[i, k]:.3f}",
            f"{weight[i, k]:.3f}",
        )
        for i, k in np.argwhere(fill)
    )  # fmt: skip
    write_rows(listed, ("file", "row", "keypoint", "x", "y", "radius", "weight"), rows)


def pseudo_label_text(result: PseudoLabelResult) -> list[str]:
    """Lines that say what was filled, how sure it is, and where it is."""
    count = sum(result.filled.values())
    typical = "" if result.median_radius is None else f", their median radius {result.median_radius:.2f} px"
    held = (
        ""
        if result.coverage is None
        else f"; their own {REGION:.0%} regions hold {result.coverage:.1%} (each half by the other)"
    )
    return [
        f"filled {count:,} missing keypoints whose {REGION:.0%} region has a radius of at most {result.threshold:.2f} px{typical}; "
        f"{result.left:,} stay missing",
        f"calibrated on {result.calibrated_on:,} labels that no model has seen{held}",
        f"written: {result.written.path}: {result.written.faces:,} faces, {result.written.labels:,} labels",
        f"listed:  {result.listed}",
    ]
