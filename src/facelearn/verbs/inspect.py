"""The verb `inspect`: what is in this data, before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.data import readers
from facelearn.data.faces import Faces
from facelearn.data.splits import near_duplicate_groups
from facelearn.files import write_text
from facelearn.report.contact_sheet import contact_sheet
from facelearn.report.inspection import inspection_html
from facelearn.training.schemes import scheme_differences

FLAT_DEVIATION = 8.0  # grey levels; less contrast than this is a blank or near-blank picture
MOST_PATTERNS = 8


def inspect(
    data: str | Path,
    *,
    out: str | Path | None = None,
    size: int | None = None,
    crop: float | None = None,
    color: Literal["grey", "rgb"] | None = None,
    on_error: Literal["stop", "skip"] = "skip",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Count and look over a data set: format, sizes, people, which labels are missing, what is wrong.

    Args:
        data: what `facelearn.read` takes.
        out: folder for contact_sheet.png and inspection.html (and skipped.csv if rows are bad); None writes nothing.
        size, crop, color, on_error, progress: as `facelearn.read`; bad rows are listed, not fatal, by default.

    Returns:
        Plain facts: "format", "faces", "image", "keypoints" (labels of each, the commonest patterns of missing labels), "people",
        "near_duplicates", "annotation_schemes", "flat_images", "problems", "warnings".
    """
    result = readers.read_with_report(data, size=size, crop=crop, color=color, on_error=on_error, progress=progress)
    groups = near_duplicate_groups(result.faces.images) if len(result.faces) else np.empty(0, np.int64)
    facts = {"source": str(data), "format": result.format, **describe(result.faces, groups)}
    facts["problems"] = [str(problem) for problem in result.skipped]
    facts["warnings"] = [str(warning) for warning in result.warnings]
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        if len(result.faces):
            contact_sheet(result.faces, path=folder / "contact_sheet.png")
        write_text(folder / "inspection.html", inspection_html(facts, result.faces, near_duplicates=groups))
        if result.skipped:
            readers.write_skipped(result.skipped, folder / "skipped.csv")
        facts["written"] = sorted(str(path) for path in folder.iterdir() if path.is_file())
    return facts


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
        }
        facts["people"]["unknown"] = int((faces.identity < 0).sum())
    if len(faces):
        sizes = np.bincount(groups[groups >= 0]) if (groups >= 0).any() else np.zeros(1, np.int64)
        facts["near_duplicates"] = {
            "groups": int((sizes > 1).sum()),
            "images": int(sizes[sizes > 1].sum()),
            "largest": int(sizes.max()),
        }
        deviation = np.concatenate(
            [faces.images[i : i + 1024].astype(np.float32).std((1, 2, 3)) for i in range(0, len(faces), 1024)]
        )
        flat = np.flatnonzero(deviation < FLAT_DEVIATION)
        facts["flat_images"] = {"count": len(flat), "first": [_place(faces, i) for i in flat[:10]]}
    return facts


def _keypoint_facts(faces: Faces) -> dict[str, Any]:
    labelled = faces.labelled
    patterns = Counter(map(bytes, np.packbits(labelled, axis=1)))
    points = np.asarray(faces.keypoints)
    outside = (points < -0.5).any(2) | (points[..., 0] > faces.width - 0.5) | (points[..., 1] > faces.height - 0.5)
    return {
        "schema": faces.schema.name,
        "count": len(faces.schema),
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


def _place(faces: Faces, index: int) -> str:
    row = int(faces.row[index])
    return str(faces.source[index]) + (f", row {row}" if row >= 0 else "")
