"""Faces and predictions to files that others read: COCO keypoints, wide CSV, Kaggle submissions."""

from facelearn.data.writers.submission import KAGGLE_LIMIT, Lookup, read_lookup, write_submission
from facelearn.data.writers.to_files import names_from, write_coco, write_predictions_csv, write_wide_csv

__all__ = [
    "KAGGLE_LIMIT",
    "Lookup",
    "names_from",
    "read_lookup",
    "write_coco",
    "write_predictions_csv",
    "write_submission",
    "write_wide_csv",
]
