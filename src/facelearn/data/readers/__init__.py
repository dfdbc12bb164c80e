"""Label files and folders of photos: what a path holds, and the faces it speaks of. `runs.prepare.read` makes the table of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions
from facelearn.data.readers.coco import list_coco
from facelearn.data.readers.dlib_xml import list_dlib_xml
from facelearn.data.readers.image_folder import list_folder, list_image
from facelearn.data.readers.image_list import keep_listed
from facelearn.data.readers.kaggle import list_kaggle
from facelearn.data.readers.pts import list_pts
from facelearn.data.readers.saved import load_saved
from facelearn.data.readers.sniffing import FORMATS, locate, sniff
from facelearn.data.readers.ultralytics import list_ultralytics
from facelearn.data.readers.wide_csv import list_wide_csv

__all__ = ["FORMATS", "list_records", "load_saved", "locate", "sniff"]

_READERS: dict[str, Callable[[Path, ListingOptions], Listing]] = {
    "kaggle-csv": list_kaggle,
    "wide-csv": list_wide_csv,
    "pts": list_pts,
    "coco": list_coco,
    "dlib-xml": list_dlib_xml,
    "ultralytics-pose": list_ultralytics,
    "image-folder": lambda where, _: list_folder(where),
    "image": lambda where, _: list_image(where),
}


def list_records(kind: str, where: Path, asked: ListingOptions) -> Listing:
    """The faces that a file or folder speaks of, none of them decoded.

    Args:
        kind, where: as `locate` gives them, of any format but "faces": saved faces are a table already (`load_saved`).
        asked: keypoints wanted, what to do about unknown columns, and which images to keep.

    Raises:
        DataError: a file that cannot be what it seems, with file and row.
    """
    return keep_listed(_READERS[kind](where, asked), where, asked)
