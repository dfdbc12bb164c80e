"""Faces and predictions to files that others read: COCO keypoints, wide CSV, Label Studio, CVAT, Kaggle submissions."""

from facelearn.data.writers.submission import KAGGLE_LIMIT, Lookup, read_lookup, write_submission
from facelearn.data.writers.to_cvat import write_cvat
from facelearn.data.writers.to_files import Carried, names_from, write_coco, write_predictions_csv, write_wide_csv
from facelearn.data.writers.to_label_studio import write_label_studio

__all__ = [
    "KAGGLE_LIMIT",
    "Carried",
    "Lookup",
    "names_from",
    "read_lookup",
    "write_coco",
    "write_cvat",
    "write_label_studio",
    "write_predictions_csv",
    "write_submission",
    "write_wide_csv",
]
