"""The verb `convert`: labels from one format to another, or a model to ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facelearn import bundle as bundles
from facelearn.bundle.onnx import export_onnx
from facelearn.data import writers
from facelearn.data.faces import Faces
from facelearn.data.listing import write_skipped
from facelearn.data.schema_file import WantedSchema
from facelearn.errors import FacelearnError, Problem
from facelearn.runs.prepare import read_with_report

Format = Literal["coco", "csv", "faces"]


@dataclass(frozen=True)
class ConvertResult:
    """What was converted: where it is, what it was, how many faces and labels, and the rows left out."""

    path: Path
    from_format: str
    to_format: str
    faces: int
    labels: int
    skipped: tuple[Problem, ...]
    warnings: tuple[str, ...]


def convert(
    source: str | Path,
    out: str | Path,
    *,
    to: Format | None = None,
    size: int | None = None,
    crop: float | None = None,
    color: Literal["grey", "rgb"] | None = None,
    schema: WantedSchema | None = None,
    on_error: Literal["stop", "skip"] = "stop",
) -> ConvertResult:
    """Read labels in any format that `facelearn.read` knows and write them in another.

    Args:
        source: what `facelearn.read` takes.
        out: a `.json` file (COCO keypoints), a `.csv` file (one row a face) or a folder (saved `Faces`); images of the first two are
            written beside it, in a folder `images`.
        to: the format, where the name of `out` should not decide.
        size, crop, color, schema, on_error: as `facelearn.read`.

    Raises:
        DataError: `source` cannot be read as asked.
        FacelearnError: `out` names no format, or exists.
    """
    out = Path(out)
    to = to or _format_of(out)
    if out.exists():
        raise FacelearnError(f"{out} exists; choose another name, nothing is overwritten")
    result = read_with_report(source, size=size, crop=crop, color=color, schema=schema, on_error=on_error)
    _write(result.faces, out, to)
    if result.skipped:
        write_skipped(result.skipped, out.with_name(f"{out.stem}.skipped.csv"))
    labels = int(result.faces.labelled.sum())
    warnings = tuple(str(warning) for warning in result.warnings)
    return ConvertResult(out, result.format, to, len(result.faces), labels, result.skipped, warnings)


def _format_of(out: Path) -> Format:
    formats: dict[str, Format] = {".json": "coco", ".csv": "csv", "": "faces"}
    if out.suffix.lower() not in formats:
        raise FacelearnError(
            f"'{out.name}' names no format; end it in .json (COCO keypoints) or .csv, or give a folder (saved Faces)"
        )
    return formats[out.suffix.lower()]


def _write(faces: Faces, out: Path, to: Format) -> None:
    if to == "coco":
        writers.write_coco(faces, out)
    elif to == "csv":
        writers.write_wide_csv(faces, out)
    else:
        faces.save(out)


def convert_model(model: str | Path, out: str | Path) -> Path:
    """Write a model file as one `.onnx` that carries the same facts, for machines without torch.

    Raises:
        BundleError: not a whole model file.
        FacelearnError: `out` does not end in .onnx, or exists.
    """
    out = Path(out)
    if out.suffix.lower() != ".onnx":
        raise FacelearnError(
            f"a model converts to .onnx only; received '{out.name}', type '{out.with_suffix('.onnx').name}'"
        )
    if out.exists():
        raise FacelearnError(f"{out} exists; choose another name, nothing is overwritten")
    export_onnx(bundles.load(model), out)
    return out
