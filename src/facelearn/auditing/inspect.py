"""The verb `inspect`: what is in this data, before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.page import inspection_html
from facelearn.auditing.people import FEW, MANY, people_findings, size_groups
from facelearn.auditing.suspects import find_suspects, place_of, suspect_facts, write_suspects
from facelearn.data.coordinate_units import Units
from facelearn.data.faces import Faces
from facelearn.data.filled import Missing
from facelearn.data.listing import write_skipped
from facelearn.data.readers.image_folder import empty_folders, unread_people
from facelearn.data.schema_file import WantedSchema
from facelearn.data.unknown_meaning import unpaired_note
from facelearn.files import write_text
from facelearn.geometry.coordinates import inside
from facelearn.images.quality import flat
from facelearn.report.contact_sheet import contact_sheet
from facelearn.runs.prepare import ReadResult, read_with_report
from facelearn.splits.groups import near_duplicates_in_time
from facelearn.tasks.keypoints.schemes import scheme_differences

MOST_PATTERNS = 8


def inspect(
    data: str | Path,
    *,
    out: str | Path | None = None,
    size: int | None = None,
    crop: float | None = None,
    color: Literal["grey", "rgb"] | None = None,
    schema: WantedSchema | None = None,
    on_error: Literal["stop", "skip"] = "skip",
    list_file: str | Path | None = None,
    missing: Missing = None,
    units: Units | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Count and look over a data set: format, sizes, people, which labels are missing, what is wrong.

    Args:
        data: what `facelearn.read` takes.
        out: folder for contact_sheet.png and inspection.html (and skipped.csv if rows are bad, suspects.csv if labels look wrong); None
            writes nothing.
        size, crop, color, schema, on_error, list_file, missing, units, progress: as `facelearn.read`; bad rows are listed, not fatal,
            by default.

    Returns:
        Plain facts: "format", "faces", "image", "keypoints" (mirror pairs and eyes that are known, labels of each, the
        commonest patterns of missing labels), "people",
        "near_duplicates", "annotation_schemes", "flat_images", "suspects" (labels far from where the others of their face put
        them, `auditing.suspects`), "problems", "warnings", and "findings" about who is on the images, each
        with what to do (`data.people.people_findings`).
    """
    result = read_with_report(
        data,
        size=size,
        crop=crop,
        color=color,
        schema=schema,
        on_error=on_error,
        list_file=list_file,
        missing=missing,
        units=units,
        progress=progress,
    )
    groups, note = near_duplicates_in_time(result.faces)
    facts = {"source": str(data), "format": result.format, **describe(result.faces, groups)}
    in_folders = result.format == "image-folder"
    facts["findings"] = people_findings(
        result.faces,
        groups,
        split=result.split,
        empty_folders=_folders_without_faces(Path(data), result, whole=list_file is None) if in_folders else (),
        unread_people=unread_people(Path(data)) if in_folders and result.faces.people else (),
        in_folders=in_folders,
    )
    suspects = find_suspects(result.faces)
    if len(result.faces.schema):
        facts["suspects"] = suspect_facts(result.faces, suspects)
    facts["problems"] = [str(problem) for problem in result.skipped]
    unpaired = unpaired_note(result.faces.schema)
    notes = [one for one in (note, unpaired) if one and one not in result.warnings]
    facts["warnings"] = [*map(str, result.warnings), *notes]
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        if len(result.faces):
            contact_sheet(result.faces, path=folder / "contact_sheet.png", named=True)
        page = inspection_html(facts, result.faces, near_duplicates=groups, suspects=suspects)
        write_text(folder / "inspection.html", page)
        if suspects:
            write_suspects(result.faces, suspects, folder / "suspects.csv")
        if result.skipped:
            write_skipped(result.skipped, folder / "skipped.csv")
        facts["written"] = sorted(str(path) for path in folder.iterdir() if path.is_file())
    return facts


def _folders_without_faces(data: Path, result: ReadResult, *, whole: bool) -> list[str]:
    """Folders of people that hold no image, or none that can be read; only the latter where a list chose the images."""
    if not result.faces.people:
        return []
    read = {Path(source).parent for source in np.unique(result.faces.source).tolist()}
    unreadable = sorted({Path(problem.source).parent for problem in result.skipped if problem.row is None} - read)
    names = [f"{folder.relative_to(data).as_posix()} (no image can be read)" for folder in unreadable]
    return [*(empty_folders(data) if whole else ()), *names]


def describe(faces: Faces, groups: NDArray[np.int64]) -> dict[str, Any]:
    """The facts of a table that `inspect` reports; `groups` is int64 (N,), the near-duplicate group of each face, -1 alone."""
    facts: dict[str, Any] = {
        "faces": len(faces),
        "image": {"height": faces.height, "width": faces.width, "colour": "grey" if faces.channels == 1 else "rgb"},
        "fingerprint": faces.fingerprint(),
    }
    if len(faces.schema):
        facts["keypoints"] = _keypoint_facts(faces)
        facts["annotation_schemes"] = scheme_differences(faces)
    if len(faces.people):
        sizes = np.bincount(faces.identity[faces.identity >= 0], minlength=len(faces.people))
        facts["people"] = {
            "count": len(faces.people),
            "smallest": int(sizes.min()),
            "median": float(np.median(sizes)),
            "largest": int(sizes.max()),
            **_size_facts(sizes),
        }
        facts["people"]["unknown"] = int((faces.identity < 0).sum())
    if len(faces):
        sizes = np.bincount(groups[groups >= 0]) if (groups >= 0).any() else np.zeros(1, np.int64)
        facts["near_duplicates"] = {
            "groups": int((sizes > 1).sum()),
            "images": int(sizes[sizes > 1].sum()),
            "largest": int(sizes.max()),
        }
        blank = np.flatnonzero(flat(faces.images))
        facts["flat_images"] = {"count": len(blank), "first": [place_of(faces, i) for i in blank[:10]]}
    return facts


def _size_facts(sizes: NDArray[np.int64]) -> dict[str, int]:
    bounds = {"few": f"below_{FEW}", "medium": f"{FEW}_to_{MANY}", "many": f"above_{MANY}"}
    return {f"{name}_{bounds[name]}": count for name, count in size_groups(sizes).items()}


def _keypoint_facts(faces: Faces) -> dict[str, Any]:
    labelled = faces.labelled
    patterns = Counter(map(bytes, np.packbits(labelled, axis=1)))
    points = np.asarray(faces.keypoints)
    outside = labelled & ~inside(points, faces.width, faces.height)
    return {
        "schema": faces.schema.name,
        "count": len(faces.schema),
        "mirror_pairs": [" and ".join(faces.schema.names[i] for i in pair) for pair in faces.schema.mirror],
        "eyes": [" and ".join(faces.schema.names[i] for i in side) for side in faces.schema.eyes if side],
        "labels": int(labelled.sum()),
        "missing_share": float(1 - labelled.mean()) if labelled.size else 0.0,
        "complete_rows": int(faces.complete.sum()),
        "rows_without_labels": int((~labelled.any(1)).sum()),
        "outside_image": int(outside.sum()),
        "labels_per_keypoint": {
            name: int(count) for name, count in zip(faces.schema.names, labelled.sum(0), strict=True)
        },
        "patterns": [
            {"rows": rows, "keypoints": int(np.unpackbits(np.frombuffer(key, np.uint8))[: len(faces.schema)].sum())}
            for key, rows in patterns.most_common(MOST_PATTERNS)
        ],
    }
