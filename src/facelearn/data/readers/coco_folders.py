"""COCO keypoints in one folder a split (`train/_annotations.coco.json`, `valid/...`), as Roboflow exports them."""

from __future__ import annotations

from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions
from facelearn.data.readers.coco import list_coco
from facelearn.errors import DataError
from facelearn.outside import read_regular


def list_coco_folders(folder: Path, asked: ListingOptions) -> Listing:
    """The COCO files of the folders `train`, `valid`, `test` and the like; a folder's name is the split of its faces.

    Raises:
        DataError: a file that cannot be read, or files with different keypoints.
    """
    parts = []
    for path in coco_files(folder):
        part = list_coco(path, asked)
        for record in part.records:
            record.split = record.split or path.relative_to(folder).parts[0]
        parts.append(part)
    if not parts:
        raise DataError(f"{folder} holds no COCO file in a folder train, valid or test")
    first = parts[0]
    for part in parts[1:]:
        if part.schema != first.schema:
            files = f"{first.label_files[0]} and {part.label_files[0]}"
            raise DataError(
                f"{files} have different keypoints ({first.schema.name}, {part.schema.name}); give one of them"
            )
    warnings = [f"{part.label_files[0].parent.name}: {text}" for part in parts for text in part.warnings]
    return Listing(
        "coco-folders",
        first.schema,
        [record for part in parts for record in part.records],
        [problem for part in parts for problem in part.problems],
        warnings,
        [path for part in parts for path in part.label_files],
    )


def coco_files(folder: Path) -> list[Path]:
    """The JSON files in the folders of `folder` that are called like a split."""
    named = ("train", "training", "valid", "val", "validation", "test", "testing", "dev")
    splits = [child for child in sorted(folder.iterdir()) if child.is_dir() and child.name.lower() in named]
    return [file for split in splits for file in sorted(split.glob("*.json")) if _has_keypoints(file)]


def _has_keypoints(path: Path) -> bool:
    return b'"annotations"' in _bytes_of(path) and holds_keypoints(path)


def holds_keypoints(path: Path) -> bool:
    """Whether a COCO file speaks of keypoints at all; no file does not."""
    data = _bytes_of(path)
    return b'"keypoints"' in data or b'"face_kpts"' in data


def _bytes_of(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError:
        return b""
