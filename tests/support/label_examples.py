"""A small, valid data set of each format that is read: the files that a test can change."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.data.faces import Faces
from facelearn.data.schema import FIVE
from facelearn.data.writers import write_cvat, write_label_studio
from support.pictures import gradient, kaggle_text, pixels, save_picture

POINTS = np.asarray([[2, 3], [8, 3.5], [5, 5], [3, 8], [7, 8.5]])


@dataclass(frozen=True)
class Example:
    """A data set that was written.

    Attributes:
        data: what is given to be read.
        file: the file in it that says the labels.
    """

    data: Path
    file: Path


def numbers(points: Any, mark: str = " ") -> str:
    return mark.join(f"{value:g}" for value in np.asarray(points).ravel())


def _photos(folder: Path) -> Path:
    for name in ("a", "b"):
        save_picture(folder / f"{name}.png", gradient(12, 12))
    return folder


def _one(name: str, content: str | bytes) -> Callable[[Path], Example]:
    """A label file beside two photos."""

    def write(folder: Path) -> Example:
        file = _photos(folder) / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Example(file, file)

    return write


def _rows() -> list[str]:
    return [f"{name}.png {numbers(POINTS)}" for name in "ab"]


_KAGGLE = kaggle_text([(["1.5", "2", "3", "4"], pixels(4)), (["", "", "3", "4"], pixels(4, 9))])
_WIDE = "\n".join(
    [
        "file,person,video,split,left_eye_x,left_eye_y,right_eye_x,right_eye_y",
        "a.png,ann,1,train,2,3,8,3.5",
        "b.png,bob,,test,,,8,3.5",
        "",
    ]
)
_COCO = {
    "images": [{"id": i, "file_name": f"{name}.png", "width": 12, "height": 12} for i, name in enumerate("ab")],
    "annotations": [
        {
            "id": 7 + i, "image_id": i, "category_id": 1, "bbox": [1, 1, 9, 9.5], "area": 20.0, "iscrowd": 0, "person": "ann", "group": 1,
            "keypoints": [*np.c_[POINTS, [2, 1, 2, 0, 2]].ravel().tolist()], "num_keypoints": 4,
        }
        for i in range(2)
    ],
    "categories": [
        {"id": 1, "name": "face", "keypoints": list(FIVE.names), "skeleton": [[1, 2], [2, 3]], "supercategory": "x"}
    ],
}  # fmt: skip
_WHOLEBODY = {
    **_COCO,
    "annotations": [
        {
            "id": 1, "image_id": 0, "category_id": 1, "keypoints": [1, 2, 2] * 5, "face_valid": True, "face_box": [0, 0, 9, 9],
            "face_kpts": [5, 6.5, 2] * 68,
        }
    ],
}  # fmt: skip
_PARTS = "".join(f"<part name='{k:02}' x='{x:g}' y='{y:g}'/>" for k, (x, y) in enumerate(POINTS))
_DLIB = (
    "<?xml version='1.0' encoding='ISO-8859-1'?>\n<dataset><name>n</name><images>\n"
    + "".join(
        f"<image file='{name}.png'>\n<box top='1' left='1' width='9' height='9'>{_PARTS}</box>\n</image>\n"
        for name in "ab"
    )
    + "</images></dataset>\n"
)
_YAML = (
    "path: .\ntrain: images\nval: [images]\nkpt_shape: [5, 3]  # five\nflip_idx: [1, 0, 2, 4, 3]\n"
    "names:\n  0: face\nkpt_names:\n  0:\n    - le\n    - re\n    - n\n    - lm\n    - rm\n"
)
_POSE = "0 0.5 0.5 0.8 0.8 " + numbers(np.c_[POINTS / 12, [2, 2, 1, 0, 2]]) + "\n"
_LABELME = {
    "version": "5", "imagePath": "a.png", "imageHeight": 12, "imageWidth": 12,
    "shapes": [
        {"label": f"p{k}", "points": [point], "shape_type": "point", "group_id": None} for k, point in enumerate(POINTS.tolist())
    ]
    + [{"label": "face", "points": [[1, 1], [9, 9]], "shape_type": "rectangle", "group_id": None}],
}  # fmt: skip


def _quoted(facts: Any) -> str:
    return json.dumps(facts).replace('"', '""')


_VIA_REGIONS = [
    {"shape_attributes": {"name": "point", "cx": x, "cy": y}, "region_attributes": {"label": f"p{k}"}}
    for k, (x, y) in enumerate(POINTS.tolist())
]
_VIA = {f"{name}.png1": {"filename": f"{name}.png", "size": 1, "regions": _VIA_REGIONS} for name in "ab"}
_VIA_ROWS = "\n".join(
    ["filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"]
    + [
        f'{name}.png,1,"{{}}",5,{k},"{_quoted(region["shape_attributes"])}","{_quoted(region["region_attributes"])}"'
        for name in "ab"
        for k, region in enumerate(_VIA_REGIONS)
    ]
)
_WFLW = "".join(f"{numbers(np.full((98, 2), 5.5))} 1 1 9 9 0 0 1 0 0 0 {name}.png\n" for name in "ab")
_MTFL = "".join(f"{name}.png {numbers(POINTS[:, 0])} {numbers(POINTS[:, 1])} 1 2 1 3\n" for name in "ab")
_CELEBA = (
    "2\nlefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y\n"
    + "".join(f"{row}\n" for row in _rows())
)
_MUCT = (
    "name,tag,"
    + ",".join(f"{axis}{k:02}" for k in range(5) for axis in "xy")
    + "\n"
    + "".join(f"{name},0,{numbers(POINTS, ',')}\n" for name in "ab")
)
_UDACITY = "," + ",".join(map(str, range(10))) + "\n" + "".join(f"{name}.png,{numbers(POINTS, ',')}\n" for name in "ab")


def _packed(name: str, content: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def _pts(folder: Path) -> Example:
    _photos(folder)
    for name in "ab":
        rows = "\n".join(f"{x:g} {y:g}" for x, y in POINTS)
        (folder / f"{name}.pts").write_text(f"version: 1\nn_points: 5\n{{\n{rows}\n}}\n")
    return Example(folder, folder / "a.pts")


def _helen(folder: Path) -> Example:
    _photos(folder)
    for name in "ab":
        (folder / f"{name}.txt").write_text(f"{name}\n" + "".join(f"{x:g} , {y:g}\n" for x, y in POINTS))
    return Example(folder, folder / "a.txt")


def _ultralytics(file: str) -> Callable[[Path], Example]:
    def write(folder: Path) -> Example:
        _photos(folder / "images")
        (folder / "labels").mkdir()
        for name in "ab":
            (folder / "labels" / f"{name}.txt").write_text(_POSE)
        (folder / "data.yaml").write_text(_YAML)
        return Example(folder, folder / file)

    return write


def _coco_folders(folder: Path) -> Example:
    for part in ("train", "valid"):
        _photos(folder / part)
        (folder / part / "_annotations.coco.json").write_text(json.dumps(_COCO))
    return Example(folder, folder / "train" / "_annotations.coco.json")


def _labelme(folder: Path) -> Example:
    _photos(folder)
    for name in "ab":
        (folder / f"{name}.json").write_text(json.dumps({**_LABELME, "imagePath": f"{name}.png"}))
    return Example(folder, folder / "a.json")


def some_faces() -> Faces:
    """Two faces of two people with five keypoints each."""
    return Faces.create(
        np.stack([gradient(12, 12)] * 2), keypoints=np.stack([POINTS] * 2).astype(np.float32), schema=FIVE, identity=[0, 1],
        people=("ann", "bob"), group=[0, 1],
    )  # fmt: skip


def _written(write: Callable[[Faces, Path], Path], name: str) -> Callable[[Path], Example]:
    def make(folder: Path) -> Example:
        file = write(some_faces(), folder / name)
        return Example(file, file)

    return make


def _npz(folder: Path) -> Example:
    file = folder / "faces.npz"
    np.savez(file, images=some_faces().images, keypoints=np.stack([POINTS] * 2), names=np.asarray(FIVE.names))
    return Example(file, file)


def _parquet(folder: Path) -> Example:
    import pyarrow
    import pyarrow.parquet

    photo = save_picture(folder / "a.png", gradient(12, 12)).read_bytes()
    table = {
        "image": [{"bytes": photo, "path": "a.png"}] * 2,
        "keypoints": [POINTS.tolist(), None],
        "person": ["ann", None],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), folder / "faces.parquet")
    return Example(folder / "faces.parquet", folder / "faces.parquet")


def _saved(file: str) -> Callable[[Path], Example]:
    def write(folder: Path) -> Example:
        some_faces().save(folder / "faces")
        return Example(folder / "faces", folder / "faces" / file)

    return write


def _image(name: str) -> Callable[[Path], Example]:
    def write(folder: Path) -> Example:
        file = save_picture(folder / name, gradient(12, 12))
        return Example(file, file)

    return write


EXAMPLES: dict[str, Callable[[Path], Example]] = {
    "kaggle": _one("training.csv", _KAGGLE),
    "kaggle gz": _one("training.csv.gz", gzip.compress(_KAGGLE.encode())),
    "kaggle zip": _one("training.zip", _packed("training.csv", _KAGGLE)),
    "wide": _one("labels.csv", _WIDE),
    "wide semicolons": _one("labels.csv", _WIDE.replace(",", ";").replace("3.5", "3,5")),
    "wide in a folder": lambda folder: Example(folder, _one("labels.csv", _WIDE)(folder).file),
    "coco": _one("labels.json", json.dumps(_COCO)),
    "coco in a folder": lambda folder: Example(folder, _one("labels.json", json.dumps(_COCO))(folder).file),
    "wholebody": _one("labels.json", json.dumps(_WHOLEBODY)),
    "coco folders": _coco_folders,
    "dlib": _one("labels.xml", _DLIB),
    "pts": _pts,
    "ultralytics yaml": _ultralytics("data.yaml"),
    "ultralytics labels": _ultralytics("labels/a.txt"),
    "label studio": _written(write_label_studio, "tasks.json"),
    "cvat": _written(write_cvat, "annotations.xml"),
    "labelme": _labelme,
    "via json": _one("via.json", json.dumps(_VIA)),
    "via csv": _one("via.csv", _VIA_ROWS),
    "wflw": _one("list_98pt_rect_attr_train.txt", _WFLW),
    "helen": _helen,
    "mtfl": _one("training.txt", _MTFL),
    "celeba": _one("list_landmarks_align_celeba.txt", _CELEBA),
    "muct": _one("muct76-opencv.csv", _MUCT),
    "udacity": _one("training_frames_keypoints.csv", _UDACITY),
    "npz": _npz,
    "parquet": _parquet,
    "saved facts": _saved("faces.json"),
    "saved keypoints": _saved("keypoints.npy"),
    "saved sources": _saved("source.npy"),
    "jpeg": _image("a.jpg"),
    "png": _image("a.png"),
    "tiff": _image("a.tif"),
    "gif": _image("a.gif"),
    "bmp": _image("a.bmp"),
    "webp": _image("a.webp"),
    "pnm": _image("a.ppm"),
}
"""Writes one data set of each kind into an empty folder."""
