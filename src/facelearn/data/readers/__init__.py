"""Label files and folders of photos: what a path holds, and the faces it speaks of. `runs.prepare.read` makes the table of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions
from facelearn.data.readers.celeba import list_celeba
from facelearn.data.readers.coco import list_coco
from facelearn.data.readers.coco_folders import list_coco_folders
from facelearn.data.readers.cvat import list_cvat
from facelearn.data.readers.dlib_xml import list_dlib_xml
from facelearn.data.readers.helen import list_helen
from facelearn.data.readers.image_folder import foreign_tables, list_folder, list_image
from facelearn.data.readers.image_list import keep_listed
from facelearn.data.readers.kaggle import list_kaggle
from facelearn.data.readers.label_files import special_note
from facelearn.data.readers.label_studio import list_label_studio
from facelearn.data.readers.labelme import list_labelme
from facelearn.data.readers.mtfl import list_mtfl
from facelearn.data.readers.muct import list_muct
from facelearn.data.readers.npz_arrays import list_npz
from facelearn.data.readers.parquet import list_parquet
from facelearn.data.readers.pts import list_pts
from facelearn.data.readers.saved import load_saved
from facelearn.data.readers.sniffing import FORMATS, locate, sniff, why_not_read
from facelearn.data.readers.udacity import list_udacity
from facelearn.data.readers.ultralytics import list_ultralytics
from facelearn.data.readers.unread import unread_labels_note
from facelearn.data.readers.via import list_via
from facelearn.data.readers.wflw import list_wflw
from facelearn.data.readers.wide_csv import list_wide_csv

__all__ = ["FORMATS", "list_records", "load_saved", "locate", "sniff"]

_READERS: dict[str, Callable[[Path, ListingOptions], Listing]] = {
    "kaggle-csv": list_kaggle,
    "wide-csv": list_wide_csv,
    "pts": list_pts,
    "coco": list_coco,
    "dlib-xml": list_dlib_xml,
    "ultralytics-pose": list_ultralytics,
    "coco-folders": list_coco_folders,
    "label-studio": list_label_studio,
    "cvat": list_cvat,
    "labelme": list_labelme,
    "via": list_via,
    "wflw": list_wflw,
    "helen": list_helen,
    "mtfl": list_mtfl,
    "celeba": list_celeba,
    "muct": list_muct,
    "udacity-csv": list_udacity,
    "parquet": list_parquet,
    "npz": list_npz,
    "image-folder": lambda where, asked: list_folder(where, asked.list_file),
    "image": lambda where, _: list_image(where),
}


def list_records(kind: str, where: Path, asked: ListingOptions, folder: Path | None = None) -> Listing:
    """The faces that a file or folder speaks of, none of them decoded.

    Args:
        kind, where: as `locate` gives them, of any format but "faces": saved faces are a table already (`load_saved`).
        asked: keypoints wanted, what to do about unknown columns, and which images to keep.
        folder: the folder that was given as the data, if one was: what looks like labels in it and was not read is named.

    Raises:
        DataError: a file that cannot be what it seems, with file and row.
    """
    listing = keep_listed(_READERS[kind](where, asked), where, asked)
    if folder is not None:
        said = [path for path in foreign_tables(folder) if any(path.name in note for note in listing.warnings)]
        listing.unread = unread_labels_note(folder, [*listing.label_files, *said], why_not_read)
        listing.warnings += [*listing.unread, *special_note(folder)]
    return listing
