"""Which format a file or folder holds, by its content."""

from __future__ import annotations

import re
from pathlib import Path

from facelearn.data.readers.celeba import looks_like_celeba
from facelearn.data.readers.coco_folders import coco_files, holds_keypoints
from facelearn.data.readers.columns import keypoint_columns
from facelearn.data.readers.dialects import open_table, refuse_headerless
from facelearn.data.readers.helen import looks_like_helen
from facelearn.data.readers.image_folder import foreign_tables
from facelearn.data.readers.json_files import load_json, looks_like_label_studio, looks_like_labelme, looks_like_via
from facelearn.data.readers.kaggle import IMAGE, IMAGE_ID, looks_like_pixels
from facelearn.data.readers.label_files import BOM, image_files, open_text, unread_files
from facelearn.data.readers.mtfl import looks_like_mtfl
from facelearn.data.readers.muct import looks_like_muct
from facelearn.data.readers.npz_arrays import looks_like_npz
from facelearn.data.readers.parquet import MAGIC as PARQUET
from facelearn.data.readers.udacity import looks_like_udacity
from facelearn.data.readers.unread import label_like, unread_labels_note
from facelearn.data.readers.via import COLUMNS as VIA_COLUMNS
from facelearn.data.readers.wflw import looks_like_wflw
from facelearn.data.readers.wide_csv import FILE, PERSON
from facelearn.errors import DataError
from facelearn.images.decode import NOT_READ, looks_like_image
from facelearn.outside import open_regular, what_it_is

FORMATS = {
    "kaggle-csv": "Kaggle CSV (NAME_x, NAME_y, Image), plain, .gz or .zip",
    "wide-csv": "CSV with one row an image (file, x0, y0, ...)",
    "pts": "iBUG .pts beside the images",
    "coco": "COCO keypoints JSON, or COCO-WholeBody's faces",
    "coco-folders": "COCO keypoints JSON in the folders train, valid, test (Roboflow)",
    "dlib-xml": "dlib imglab XML",
    "ultralytics-pose": "Ultralytics pose (data.yaml, labels/*.txt)",
    "label-studio": "Label Studio JSON",
    "cvat": "CVAT for images 1.1 XML",
    "labelme": "labelme JSON beside the images",
    "via": "VGG Image Annotator CSV or JSON",
    "wflw": "WFLW lists (list_98pt_rect_attr_*.txt)",
    "helen": "Helen annotations (an image's name, then 'x , y')",
    "mtfl": "MTFL lists (training.txt, testing.txt)",
    "celeba": "CelebA landmarks (list_landmarks_align_celeba, .txt or .csv)",
    "muct": "MUCT landmarks (muct76-opencv.csv)",
    "udacity-csv": "CSV with an unnamed column of files and columns 0, 1, 2, ...",
    "parquet": "Parquet (columns as in CSV; images as bytes, arrays or files)",
    "npz": ".npz of images and keypoints",
    "image-folder": "folder of images",
    "image": "one image",
    "faces": "folder written by Faces.save",
}
# formats of one file an image, or of several files that belong together
_MANY = ("pts", "labelme", "wflw", "mtfl", "helen", "parquet")
_BELOW = 200
_START = 1 << 16
_ROWS = 10
_TABLES = (".csv", ".json", ".xml")
_COMMENTS = rb"(?:(?:#|//)[^\n]*\n\s*)*"
_PTS = re.compile(rb"^\s*" + _COMMENTS + rb"(?:version\s*:\s*[\d.]+\s+" + _COMMENTS + rb")?n_points\s*:", re.IGNORECASE)
_POSE_LINE = re.compile(rb"^\s*\d+(?:\s+-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?){7,}\s*$", re.IGNORECASE)


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
    if (found := what_it_is(path)) == "folder":
        return _sniff_folder(path)
    if found != "file":
        raise DataError(
            f"{path} is a {found}, and only files and folders are read" if found else f"{path} does not exist"
        )
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
    refuse_headerless(header, path)
    file = next((name for name in header if name.lower() in FILE), None)
    if file is not None and len(header) > 1:
        others = ", ".join(f"'{name[:40]}'" for name in header[:20] if name != file)
        raise DataError(
            f"{path} names images in '{file}' but neither people nor keypoints ({others}); call the column of people 'person', "
            "and those of keypoints NAME_x, NAME_y or x0, y0, x1, y1, ..."
        )


def sniff_file(path: Path) -> str | None:
    """The format of one file, None if it is none of ours.

    Raises:
        DataError: an empty or unreadable file, or a table with another separator or encoding.
    """
    if looks_like_npz(path):
        return "npz"
    with open_text(path) as stream:
        start = stream.read(_START)
        while b"\n" not in start and 0 < len(start) < 1 << 20 and (more := stream.read(_START)):
            start += more
    if not start:
        raise DataError(f"{path} is empty (0 bytes)")
    if looks_like_image(start):
        return "image"
    if start.startswith(PARQUET):
        return "parquet"
    text = start.removeprefix(BOM).lstrip()
    if not text:
        raise DataError(f"{path} is empty (only spaces)")
    if b"\0" in text:
        return None
    if text[:1] in (b"{", b"["):
        return _sniff_json(text, path)
    if text[:1] == b"<":
        return "dlib-xml" if b"<dataset" in text else "cvat" if b"<annotations" in text else None
    if _PTS.match(text):
        return "pts"
    if b"kpt_shape" in text and re.search(rb"^kpt_shape\s*:", text, re.MULTILINE):
        return "ultralytics-pose"
    return _sniff_table(text, path)


def _sniff_json(text: bytes, path: Path) -> str | None:
    if text[:1] == b"{" and b'"shapes"' not in text and b'"regions"' not in text:
        if b'"annotations"' in text or b'"images"' in text:
            return "coco"
        if not any(word in text for word in (b'"licenses"', b'"categories"', b'"info"', b'"image')):
            return None
    try:
        facts = load_json(path)
    except DataError:
        return "coco" if b'"annotations"' in text else None
    if looks_like_labelme(facts):
        return "labelme"
    if looks_like_via(facts):
        return "via"
    if looks_like_label_studio(facts):
        return "label-studio"
    return "coco" if isinstance(facts, dict) and "annotations" in facts else None


def _sniff_lists(text: bytes) -> str | None:
    """The text files of the published sets, which have no header of columns separated by commas."""
    lines = [line.decode("utf-8", "replace") for line in text.splitlines()[:50]]
    first, second = lines[0], lines[1] if len(lines) > 1 else ""
    if looks_like_celeba(first, second):
        return "celeba"
    if looks_like_wflw(first):
        return "wflw"
    if looks_like_mtfl(first):
        return "mtfl"
    return "helen" if looks_like_helen(lines if len(lines) < 50 else lines[:-1]) else None


def _sniff_table(text: bytes, path: Path) -> str | None:
    if (listed := _sniff_lists(text)) is not None:
        return listed
    lines = text.splitlines()
    if _POSE_LINE.match(lines[0]):
        raise DataError(f"{path} is one Ultralytics label file; give the data set's data.yaml or folder")
    words = re.split(rb"[,;\t|]", lines[0])
    if len(words) < 2 or not (any(re.match(rb'^\s*"?#?[A-Za-z_]', word) for word in words) or words[:2] == [b"", b"0"]):
        return None
    table = open_table(path)
    header = table.header
    if {name.lstrip("#") for name in header} >= set(VIA_COLUMNS):
        return "via"
    if looks_like_muct(header):
        return "muct"
    if looks_like_udacity(
        header, [word.decode("utf-8", "replace") for word in table.sample[0]] if table.sample else ()
    ):
        return "udacity-csv"
    if IMAGE in header:
        images = [row[header.index(IMAGE)] for row in table.sample[:_ROWS] if len(row) == len(header)]
        if not images or any(map(looks_like_pixels, images)):
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
    others: list[DataError] = []
    for child in files:
        try:
            if (kind := _label_kind(child)) is not None:
                found.append((kind, child))
        except DataError as error:
            # other archives and texts may lie in the folder; a table that cannot be read is worth a complaint
            (complaints if child.suffix.lower() in _TABLES else others).append(error)
    if found or complaints:  # a list of staff beside folders of people is no label file
        foreign = foreign_tables(folder)
        found = [(kind, child) for kind, child in found if kind != "wide-csv" or child not in foreign]
        complaints = [] if foreign and not found else complaints
    many = next((kind for kind in _MANY if any(kind == other for other, _ in found)), None)
    tables = _with_keypoints([(kind, child) for kind, child in found if kind not in _MANY])
    if len(tables) > 1:
        names = ", ".join(child.name for _, child in tables[:5])
        raise DataError(f"{folder} holds {len(tables)} label files ({names}); give one of them, as {tables[0][1]}")
    if complaints and not found:
        raise complaints[0]
    if tables:
        return tables[0]
    if many is not None:
        return many, folder
    if any(path.is_file() for path in folder.rglob("*.pts")):
        return "pts", folder
    if _has_pose_labels(folder):
        return "ultralytics-pose", folder
    annotations = folder / "annotations"
    if annotations.is_dir() and not image_files(annotations):
        return _sniff_folder(annotations)
    if coco_files(folder):
        return "coco-folders", folder
    below = _sniff_below(folder)
    if below is None and not image_files(folder) and not unread_files(folder):
        if others:
            raise others[0]
        if note := unread_labels_note(folder, (), why_not_read):
            raise DataError(f"{folder} holds no images and no label file that is known; {note[0]}")
    return below or ("image-folder", folder)


def _with_keypoints(found: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Of several COCO files those that speak of keypoints, where any does."""
    coco = [child for kind, child in found if kind == "coco"]
    bare = {child for child in coco if not holds_keypoints(child)} if len(coco) > 1 else set()
    return [(kind, child) for kind, child in found if child not in bare or len(bare) == len(coco)]


def _sniff_below(folder: Path) -> tuple[str, Path] | None:
    """The one label file, or the one kind of many, in the folders below; None where there is none.

    Raises:
        DataError: several label files.
    """
    found: list[tuple[str, Path]] = []
    for child in [path for path in label_like(folder) if path.parent != folder][:_BELOW]:
        try:
            if (kind := _label_kind(child)) is not None:
                found.append((kind, child))
        except DataError:  # named with what was not read
            continue
    many = next((kind for kind in _MANY if any(kind == other for other, _ in found)), None)
    tables = _with_keypoints([(kind, child) for kind, child in found if kind not in _MANY])
    if len(tables) > 1:
        names = ", ".join(child.relative_to(folder).as_posix() for _, child in tables[:5])
        raise DataError(f"{folder} holds {len(tables)} label files ({names}); give one of them, as {tables[0][1]}")
    if tables:
        return tables[0]
    if many is None:
        return None
    above = {child.parent for kind, child in found if kind == many}
    return many, next(iter(above)) if len(above) == 1 else folder


def _label_kind(path: Path) -> str | None:
    """The format of a file lying in a folder; None for images and whatever is no label file."""
    try:
        with open_regular(path) as file:
            start = file.read(16)
    except OSError:
        return None
    if not start or looks_like_image(start):
        return None
    kind = sniff_file(path)
    return None if kind == "image" else kind


def why_not_read(path: Path) -> str:
    """Why a file holds no labels that are read, without its name; "" where that is only that its kind is not known."""
    try:
        if sniff_file(path) is None:
            if path.suffix.lower() == ".json":
                load_json(path)
            else:
                _say_what_lacks(path)
    except DataError as error:
        return str(error).split("\n")[0].removeprefix(f"{path}").lstrip(" :")
    return ""


def _has_pose_labels(folder: Path) -> bool:
    """True where text files of pose labels lie in `labels/`, or beside images of the same name."""
    for path in folder.rglob("*.txt"):
        if "labels" in path.relative_to(folder).parts[:-1] or any(
            path.with_suffix(end).exists() for end in (".jpg", ".png", ".jpeg")
        ):
            try:
                with open_regular(path) as file:
                    line = file.readline(_START)
            except OSError:
                continue
            if _POSE_LINE.match(line):
                return True
            if line.strip():
                return False
    return False
