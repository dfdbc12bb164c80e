"""The verb `predict`: keypoints of photos in the photos' own pixels, or who is on them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facelearn.data import writers
from facelearn.data.listing import write_skipped
from facelearn.data.readers import locate
from facelearn.data.readers.coco import CocoPlace, coco_places
from facelearn.detect.given import GivenBoxes
from facelearn.errors import FacelearnError, Problem
from facelearn.images.decode import IMAGE_EXTENSIONS
from facelearn.prediction.drawing import draw_answers
from facelearn.prediction.open import OpenModel
from facelearn.tasks.identification.answer import Identities
from facelearn.tasks.keypoints.answer import Predictions, submission_points

OutputFormat = Literal["csv", "coco", "submission"]


@dataclass(frozen=True)
class PredictResult:
    """What was predicted: the predictions, the file they are in (None if none was asked for), the images left out, and the runtime that ran
    the model ("torch", "onnx" or "openvino").
    """

    predictions: Predictions | Identities
    path: Path | None
    skipped: tuple[Problem, ...]
    backend: str = ""

    def __repr__(self) -> str:
        written = "" if self.path is None else f" in {self.path}"
        return f"PredictResult({self.predictions!r}{written}, {len(self.skipped)} left out)"


def predict(
    model: str | Path,
    source: str | Path,
    *,
    out: str | Path | None = None,
    lookup: str | Path | None = None,
    scheme: str | None = None,
    threshold: float | None = None,
    to: OutputFormat | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    device: str = "auto",
    detector: str = "auto",
    boxes: str | Path | None = None,
    largest: bool = False,
    min_size: float | None = None,
    min_score: float | None = None,
    draw: str | Path | None = None,
) -> PredictResult:
    """Predict keypoints, or who it is, for every face of an image, a folder of images, or any data that `facelearn.read` takes.

    Args:
        model: `.safetensors` or `.onnx` model file.
        source: one image, a folder, a Kaggle test file, a label file with its images.
        out: `.csv` (one row an image), `.json` (COCO keypoints), or with `lookup` a Kaggle submission; existing files are replaced whole.
        lookup: Kaggle's IdLookupTable.csv: which values of which image the submission holds.
        scheme: annotation scheme, where the model has several. A submission takes for each image the scheme of complete rows when
            all keypoints are asked for and that of partial rows otherwise, unless this says which.
        threshold: of an identification model, instead of the one it stores: a smaller probability means "unknown"; 0 names everyone.
        to: the format, where the name of `out` should not decide.
        on_error: "skip" leaves unreadable images out and lists them.
        device: auto, cpu or cuda.
        detector, largest, min_size, min_score: how faces are found where labels do not say where they are, as `facelearn.open`.
        boxes: instead, a file that says where they are: CSV with the columns file, left, top, right, bottom, or COCO JSON.
        draw: folder for the photos with boxes, points and names drawn on them.

    Raises:
        DataError: images that cannot be read.
        BundleError: not a whole model file.
        FacelearnError: `out` names no format, or boxes beside a detector or its least score.
    """
    target = None if out is None else Path(out)
    if boxes is not None and (detector != "auto" or min_score is not None):
        raise FacelearnError(
            "boxes say where the faces are, and nobody is asked how sure it is; leave out --detector and --min-score, or --boxes"
        )
    opened = OpenModel(
        model, device=device, scheme=scheme, threshold=threshold, detector=detector if boxes is None else str(boxes),
        largest=largest, min_size=min_size, min_score=min_score,
    )  # fmt: skip
    kind = to or _format_of(target, lookup)
    accepted = opened.bundle.of_task.answer_formats
    if kind not in accepted:
        raise FacelearnError(
            f"a model for {opened.bundle.task} writes its answers as {' or '.join(accepted)}; received {kind}: end --out in .csv, without "
            "--lookup"
        )
    if kind == "submission" and (lookup is None or target is None):
        raise FacelearnError(
            "a submission needs the table of asked values and a file to write; give --lookup IdLookupTable.csv --out submission.csv"
        )
    answers = opened.predict(source, on_error=on_error)
    if boxes is not None:
        photos = [*answers.source.tolist(), *answers.found.faceless]
        if missed := GivenBoxes(boxes).without_photo(photos):
            note = f"{len(missed)} files in {boxes} are none of the photos, the first of them {missed[0]}"
            answers = dataclasses.replace(answers, notes=(*answers.notes, note))
    if target is not None:
        if kind == "submission" and lookup is not None:
            _write_submission(answers, source, Path(lookup), target, scheme)
        elif kind == "coco":
            answers.to_coco(target, places=_places(source))
        else:
            answers.to_csv(target)
        _write_skipped(answers.skipped, target)
    if draw is not None:
        draw_answers(answers, Path(draw))
    return PredictResult(answers, target, answers.skipped, opened.backend)


def _places(source: str | Path) -> dict[int, CocoPlace] | None:
    """Where the faces stand in the COCO file that they came from; None for other data."""
    path = Path(source)
    if path.suffix.lower() in IMAGE_EXTENSIONS:
        return None
    kind, where = locate(path)
    return coco_places(where) if kind == "coco" else None


def _write_skipped(skipped: tuple[Problem, ...], target: Path) -> None:
    if skipped:
        write_skipped(skipped, target.with_name(f"{target.stem}.skipped.csv"))


def _write_submission(
    predictions: Predictions, source: str | Path, lookup: Path, target: Path, scheme: str | None
) -> None:
    if (predictions.row < 0).any():
        raise FacelearnError(f"a submission needs image ids, as Kaggle's test file has; {source} holds photos without")
    table = writers.read_lookup(lookup)
    points = predictions.points if scheme is not None else submission_points(predictions, table.asked)
    writers.write_submission(lookup, target, image_ids=predictions.row, points=points, names=predictions.schema.names)


def _format_of(out: Path | None, lookup: str | Path | None) -> OutputFormat:
    if lookup is not None:
        return "submission"
    if out is None or out.suffix.lower() == ".csv":
        return "csv"
    if out.suffix.lower() == ".json":
        return "coco"
    raise FacelearnError(f"'{out.name}' names no format; end it in .csv or .json (COCO keypoints)")
