"""Which format a file or folder holds, by its content."""

from __future__ import annotations

import json
import re
from pathlib import Path

from facelearn.data.readers.columns import keypoint_columns
from facelearn.data.readers.image_folder import foreign_tables
from facelearn.data.readers.kaggle import IMAGE, IMAGE_ID
from facelearn.data.readers.label_files import BOM, image_files, open_text, split_header
from facelearn.data.readers.wide_csv import FILE, PERSON
from facelearn.errors import DataError
from facelearn.images.decode import IMAGE_EXTENSIONS, NOT_READ, looks_like_image

FORMATS = {
    "kaggle-csv": "Kaggle CSV (NAME_x, NAME_y, Image), plain, .gz or .zip",
    "wide-csv": "CSV with one row an image (file, x0, y0, ...)",
    "pts": "iBUG .pts beside the images",
    "coco": "COCO keypoints JSON",
    "dlib-xml": "dlib imglab XML",
    "ultralytics-pose": "Ultralytics pose (data.yaml, labels/*.txt)",
    "image-folder": "folder of images",
    "image": "one image",
    "faces": "folder written by Faces.save",
}
_START = 1 << 16
_PTS = re.compile(rb"^\s*(version\s*:\s*\d+\s+)?n_points\s*:", re.IGNORECASE)
_PIXELS = re.compile(rb"[\d.]+([ \t]+[-\w.]+){3}")
_POSE_LINE = re.compile(rb"^\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){7,}\s*$", re.IGNORECASE)


def sniff(path: str | Path) -> str:
    """The format of a file or folder: a key of `FORMATS`.

    Raises:
        DataError: nothing there, an empty file, a file of another kind, or a folder with several label files.
    """
    return locate(Path(path))[0]


def locate(path: Path) -> tuple[str, Path]:
    """The format, and the file or folder in which to read it (the label file of a folder that holds one).

    Raises:
        DataError: as `sniff`.
    """
    if path.is_dir():
        return _sniff_folder(path)
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if path.suffix.lower() in NOT_READ:
        raise DataError(f"{path} is not read: {NOT_READ[path.suffix.lower()]}")
    kind = sniff_file(path)
    if kind is None:
        _say_what_lacks(path)
        raise DataError(f"{path} is of a kind that is not known; accepted are: {'; '.join(FORMATS.values())}")
    return kind, path


def _say_what_lacks(path: Path) -> None:
    """Nothing where `path` is no table of image files.

    Raises:
        DataError: a table that names image files, without a header or without a column that is known.
    """
    with open_text(path) as stream:
        words = [word.strip(b" \"'") for word in stream.readline(_START).removeprefix(BOM).strip().split(b",")]
    header = [word.decode("utf-8", "replace") for word in words]
    if any(name.lower().endswith(tuple(IMAGE_EXTENSIONS)) for name in header) and len(header) > 1:
        raise DataError(
            f"{path} has no header; make its first line name the columns, as file,person or file,x0,y0,x1,y1"
        )
    file = next((name for name in header if name.lower() in FILE), None)
    if file is not None and len(header) > 1:
        others = ", ".join(f"'{name}'" for name in header if name != file)
        raise DataError(
            f"{path} names images in '{file}' but neither people nor keypoints ({others}); call the column of people 'person', "
            "and those of keypoints NAME_x, NAME_y or x0, y0, x1, y1, ..."
        )


def sniff_file(path: Path) -> str | None:
    """The format of one file, None if it is none of ours.

    Raises:
        DataError: an empty or unreadable file, or a table with another separator or encoding.
    """
    with open_text(path) as stream:
        start = stream.read(_START)
        while b"\n" not in start and 0 < len(start) < 1 << 20 and (more := stream.read(_START)):
            start += more
    if not start:
        raise DataError(f"{path} is empty (0 bytes)")
    if looks_like_image(start):
        return "image"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16 text; save it as UTF-8")
    text = start.removeprefix(BOM).lstrip()
    if not text:
        raise DataError(f"{path} is empty (only spaces)")
    if b"\0" in text:
        return None
    if text[:1] == b"{":
        return "coco" if b'"annotations"' in text or b'"images"' in text or _is_coco(path) else None
    if text[:1] == b"<":
        return "dlib-xml" if b"<dataset" in text else None
    if _PTS.match(text):
        return "pts"
    if b"kpt_shape" in text and re.search(rb"^kpt_shape\s*:", text, re.MULTILINE):
        return "ultralytics-pose"
    return _sniff_table(text, path)


def _is_coco(path: Path) -> bool:
    with open_text(path) as stream:
        try:
            facts = json.load(stream)
        except ValueError:
            return False
    return isinstance(facts, dict) and "annotations" in facts


def _sniff_table(text: bytes, path: Path) -> str | None:
    lines = text.splitlines()
    if _POSE_LINE.match(lines[0]):
        raise DataError(f"{path} is one Ultralytics label file; give the data set's data.yaml or folder")
    words = re.split(rb"[,;\t|]", lines[0])
    if len(words) < 2 or not any(re.match(rb'^\s*"?[A-Za-z_]', word) for word in words):
        return None
    header = split_header(lines[0], path)
    if IMAGE in header and (len(lines) == 1 or _PIXELS.search(text, len(lines[0]))):
        return "kaggle-csv"
    lower = {name.lower() for name in header}
    pairs = keypoint_columns(header, ()).names
    if lower & set(FILE) and (pairs or lower & set(PERSON)):
        return "wide-csv"
    if {"rowid", "imageid"} <= lower:
        raise DataError(f"{path} is a list of values to predict; give it as --lookup and read the test file")
    if pairs:
        raise DataError(f"{path} has keypoint columns but none for the images; a column 'file' or '{IMAGE}' is needed")
    return "kaggle-csv" if IMAGE_ID in header else None


def _sniff_folder(folder: Path) -> tuple[str, Path]:
    if (folder / "faces.json").is_file():
        return "faces", folder
    files = sorted(child for child in folder.iterdir() if child.is_file() and not child.name.startswith("."))
    found: list[tuple[str, Path]] = []
    complaints: list[DataError] = []
    for child in files:
        try:
            if (kind := _label_kind(child)) is not None:
                found.append((kind, child))
        except DataError as error:
            complaints.append(error)
    if found or complaints:  # a list of staff beside folders of people is no label file
        foreign = foreign_tables(folder)
        found = [(kind, child) for kind, child in found if kind != "wide-csv" or child not in foreign]
        complaints = [] if foreign and not found else complaints
    tables = [(kind, child) for kind, child in found if kind != "pts"]
    if len(tables) > 1:
        names = ", ".join(child.name for _, child in tables[:5])
        raise DataError(f"{folder} holds {len(tables)} label files ({names}); give one of them, as {tables[0][1]}")
    if complaints and not found:
        raise complaints[0]
    if tables:
        return tables[0]
    if found or next(folder.rglob("*.pts"), None) is not None:
        return "pts", folder
    if _has_pose_labels(folder):
        return "ultralytics-pose", folder
    annotations = folder / "annotations"
    if annotations.is_dir() and not image_files(annotations):
        return _sniff_folder(annotations)
    return "image-folder", folder


def _label_kind(path: Path) -> str | None:
    """The format of a file lying in a folder; None for images and whatever is no label file."""
    with path.open("rb") as file:
        start = file.read(16)
    if not start or looks_like_image(start):
        return None
    try:
        kind = sniff_file(path)
    except DataError:
        # other archives and texts may lie in the folder; a table that cannot be read is worth a complaint
        if path.suffix.lower() in (".csv", ".json", ".xml"):
            raise
        return None
    return None if kind == "image" else kind


def _has_pose_labels(folder: Path) -> bool:
    """True where text files of pose labels lie in `labels/`, or beside images of the same name."""
    for path in folder.rglob("*.txt"):
        if "labels" in path.relative_to(folder).parts[:-1] or any(
            path.with_suffix(end).exists() for end in (".jpg", ".png", ".jpeg")
        ):
            with path.open("rb") as file:
                line = file.readline(_START)
            if _POSE_LINE.match(line):
                return True
            if line.strip():
                return False
    return False
