"""Annotation schemes: whether complete and partial rows were labelled by different criteria."""

from __future__ import annotations

import numpy as np

from facelearn.data.faces import Faces

SCHEMES = ("complete", "partial")
"""Names of the two annotation schemes, in the order of a network's outputs."""


def scheme_differences(
    faces: Faces, *, least_rows: int = 50, least_shift: float = 0.3, least_z: float = 6.0
) -> dict[str, float]:
    """Whether complete and partial rows were annotated by different criteria, from the labels alone.

    Compares where each keypoint stands, relative to the eyes' midpoint and in inter-ocular distances, between rows that have all
    keypoints and rows that lack some. Labels missing at random show no difference.

    Args:
        faces: the training rows.
        least_rows: rows of each kind that a keypoint must be labelled in to be compared.
        least_shift: smallest difference of the means that counts, in standard deviations of the complete rows.
        least_z: smallest difference in standard errors that counts.

    Returns:
        The keypoints that differ, with the distance between the two means as a share of the inter-ocular distance; empty if none.
    """
    left, right = (list(side) for side in faces.schema.eyes)
    if not left or not right or not len(faces):
        return {}
    # one keypoint at a time: all of them in float64 would be the largest thing in memory
    eyes = [np.stack([faces.keypoints[:, k].astype(np.float64) for k in side], 1).mean(1) for side in (left, right)]
    middle, span = (eyes[0] + eyes[1]) / 2, np.linalg.norm(eyes[0] - eyes[1], axis=1)
    unit, complete = np.where(span > 0, span, np.nan)[:, None], faces.complete
    found = {}
    for k, name in enumerate(faces.schema.names):
        placed = (faces.keypoints[:, k].astype(np.float64) - middle) / unit  # (N, 2)
        known = ~np.isnan(placed[:, 0])
        kinds = [placed[known & complete], placed[known & ~complete]]
        if min(len(kind) for kind in kinds) < least_rows:
            continue
        shift = np.median(kinds[0], 0) - np.median(kinds[1], 0)
        deviation = np.stack([np.median(np.abs(kind - np.median(kind, 0)), 0) * 1.4826 for kind in kinds])
        error = np.sqrt(sum(deviation[i] ** 2 / len(kind) for i, kind in enumerate(kinds))) + 1e-9
        if (np.abs(shift) > np.maximum(least_shift * deviation[0], least_z * error)).any():
            found[name] = float(np.linalg.norm(shift))
    return found
