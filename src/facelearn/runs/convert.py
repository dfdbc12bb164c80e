"""The verb `convert`: labels from one format to another, or a model to ONNX."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from facelearn import bundle as bundles
from facelearn.bundle.onnx import export_onnx
from facelearn.data import writers
from facelearn.data.coordinate_units import Units, settle_units
from facelearn.data.faces import Faces
from facelearn.data.filled import Missing, missing_values, settle_missing
from facelearn.data.listing import ListingOptions, Record, source_name, write_skipped
from facelearn.data.readers import list_records, locate
from facelearn.data.schema_file import WantedSchema, known_schema
from facelearn.errors import DataError, FacelearnError, Problem
from facelearn.images.decode import ImageError
from facelearn.runs.prepare import ReadResult, read_with_report

Format = Literal["coco", "csv", "faces", "label-studio", "cvat"]

_ENDINGS: dict[Format, str] = {"coco": ".json", "csv": ".csv", "label-studio": ".json", "cvat": ".xml"}


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
    missing: Missing = None,
    units: Units | None = None,
    schema: WantedSchema | None = None,
    list_file: str | Path | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    rows: Callable[[Faces], Sequence[int]] | None = None,
) -> ConvertResult:
    """Read labels in any format that `facelearn.read` knows and write them in another.

    Args:
        source: what `facelearn.read` takes.
        out: a `.json` file (COCO keypoints), a `.csv` file (one row a face), an `.xml` file (CVAT for images 1.1) or a folder (saved
            `Faces`); images of the files are written beside them, in a folder `images`, where the photos cannot be referred to.
        to: the format, where the name of `out` should not decide: "label-studio" for a `.json` of tasks.
        size, crop, color, schema, missing, units, list_file, on_error: as `facelearn.read`.
        rows: says which faces of the table, 0-based, are written; None: all.

    Raises:
        DataError: `source` cannot be read as asked, or `rows` says none.
        FacelearnError: `out` names no format, or exists.
    """
    out = Path(out)
    to = output_format(out, to)
    result = read_with_report(
        source,
        size=size,
        crop=crop,
        color=color,
        schema=schema,
        missing=missing,
        units=units,
        list_file=list_file,
        on_error=on_error,
    )
    if rows is not None:
        chosen = np.asarray(rows(result.faces), np.int64)
        if not len(chosen):
            raise DataError(
                f"none of the {len(result.faces):,} faces of {source} is asked for: the patch (--rows-of) has no lines: "
                "nothing to correct"
            )
        result = dataclasses.replace(result, faces=result.faces[chosen])
    return write_labels(result, source, out, to, schema=schema, missing=missing, units=units)


def output_format(out: Path, to: Format | None = None) -> Format:
    """The format that labels are written to `out` in: the one asked for, else the one that its name says.

    Raises:
        FacelearnError: `out` names no format, another one than asked for, or exists.
    """
    to = to or _format_of(out)
    if to in _ENDINGS and out.suffix.lower() != _ENDINGS[to]:
        raise FacelearnError(
            f"--to {to} writes a {_ENDINGS[to]} file; received '{out.name}', type '{out.stem}{_ENDINGS[to]}'"
        )
    if out.exists():
        raise FacelearnError(f"{out} exists; choose another name, nothing is overwritten")
    return to


def write_labels(
    result: ReadResult,
    source: str | Path,
    out: Path,
    to: Format,
    *,
    schema: WantedSchema | None = None,
    missing: Missing = None,
    units: Units | None = None,
) -> ConvertResult:
    """Write the faces that were read from `source`, or what has been made of them, with what their file says beside the keypoints.

    Args:
        result: what was read; its faces may be fewer or mended, their `source` and `row` as they were read.
        source, schema, missing, units: as it was read.
        out, to: as `output_format` has accepted them.
    """
    asked = ListingOptions(known_schema(schema), "skip")
    dropped = _write(result, Path(source), out, to, asked, missing_values(missing), units)
    if result.skipped:
        write_skipped(result.skipped, out.with_name(f"{out.stem}.skipped.csv"))
    labels = int(result.faces.labelled.sum())
    warnings = (*map(str, result.warnings), *dropped)
    return ConvertResult(out, result.format, to, len(result.faces), labels, result.skipped, warnings)


def _format_of(out: Path) -> Format:
    formats: dict[str, Format] = {".json": "coco", ".csv": "csv", ".xml": "cvat", "": "faces"}
    if out.suffix.lower() not in formats:
        raise FacelearnError(
            f"'{out.name}' names no format; end it in .json (COCO keypoints; with --to label-studio its tasks), .csv or .xml (CVAT), "
            "or give a folder (saved Faces)"
        )
    return formats[out.suffix.lower()]


def _write(
    result: ReadResult, source: Path, out: Path, to: Format, asked: ListingOptions, missing: tuple[float, ...] | None, units: Units | None,
) -> list[str]:  # fmt: skip
    """Write the faces, and say what of their file has no place in the new one."""
    faces, (kind, where) = result.faces, locate(source)
    if kind in ("faces", "kaggle-csv", "image"):
        known, dropped, category = [], [], None
    else:
        listing = settle_missing(list_records(kind, where, asked), missing, where, unsaid="missing")
        listing = settle_units(listing, units, where, unsaid="take")
        records = {(source_name(record.image, where), record.row): record for record in listing.records}
        known = [
            _carried(records.get((str(file), int(row)))) for file, row in zip(faces.source, faces.row, strict=True)
        ]
        dropped, category = listing.not_carried, listing.category
    if to == "coco":
        writers.write_coco(faces, out, carried=known, category=category)
    elif to == "faces":
        faces.save(out)
    else:
        write = {"csv": writers.write_wide_csv, "label-studio": writers.write_label_studio, "cvat": writers.write_cvat}
        write[to](faces, out)
        boxes = sum(one.box is not None for one in known)
        hidden = sum(int((one.visibility == 1).sum()) for one in known if one.visibility is not None)
        counts = [f"{boxes} boxes"] * bool(boxes) + [f"that {hidden} keypoints are hidden (v = 1)"] * bool(hidden)
        dropped = [*counts, *dropped]
    return [f"not carried over: {'; '.join(dropped)}"] if dropped else []


def _carried(record: Record | None) -> writers.Carried:
    """What a label file says of a face, in pixels of the photo that is there."""
    if record is None:
        return writers.Carried()
    try:
        facts = record.facts()
        _, box, _ = record.in_photo(facts)
    except ImageError:
        return writers.Carried()
    area = record.area
    if area is not None and record.stated is not None:  # a resized copy
        area *= facts.width * facts.height / (record.stated[0] * record.stated[1])
    return writers.Carried(box, area, record.visibility, record.image_id)


def convert_model(model: str | Path, out: str | Path) -> Path:
    """Write a model file as one `.onnx` that carries the same facts, for machines without torch.

    Raises:
        BundleError: not a whole model file.
        FacelearnError: `out` does not end in .onnx, or exists.
    """
    return export_onnx(bundles.load(model), onnx_output(out))


def onnx_output(out: str | Path) -> Path:
    """The file that a model is to be written to.

    Raises:
        FacelearnError: it does not end in .onnx, or exists.
    """
    out = Path(out)
    if out.suffix.lower() != ".onnx":
        raise FacelearnError(
            f"a model converts to .onnx only; received '{out.name}', type '{out.with_suffix('.onnx').name}'"
        )
    if out.exists():
        raise FacelearnError(f"{out} exists; choose another name, nothing is overwritten")
    return out
