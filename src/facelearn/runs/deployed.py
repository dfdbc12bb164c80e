"""Labelled faces as a deployed model meets them: found in their photos by the detector instead of framed by their labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.detect.fitted import is_photo, matching, seen
from facelearn.geometry.affine import compose, invert, map_points
from facelearn.images.decode import to_channels
from facelearn.prediction.finding import Finding


def as_deployed(faces: Faces, finding: Finding) -> tuple[Faces, NDArray[np.int64]] | None:
    """The faces that the detector finds, framed by what it says; None where deployment takes these images as they are.

    Args:
        faces: labelled rows; their photos are read again.
        finding: the model's.

    Returns:
        the table, whose `to_photo` leads to the pixels of the images of `faces`, so that points are comparable; and the rows found.
    """
    photos_at_hand = any(is_photo(source) for source in set(faces.source.tolist()))
    if not finding.asked or not photos_at_hand or _taken_whole(faces, finding):
        return None
    kept, images, maps = [], [], []
    for row, (photo, found, window) in enumerate(seen(faces, finding.detector, np.arange(len(faces)))):
        k = matching(found, window)
        if k is None:
            continue
        face = finding.place(to_channels(photo, faces.channels), found, k)
        kept.append(row)
        images.append(face.framed.image)
        # to the photo, and from there into the image that the labels framed
        maps.append(compose(face.framed.to_photo, invert(faces.to_photo[row])))
    rows = np.asarray(kept, np.int64)
    shape = (len(rows), *finding.image_size, faces.channels)
    return faces[rows].replace(
        images=np.asarray(images, np.uint8).reshape(shape), to_photo=np.asarray(maps, np.float64).reshape(-1, 2, 3),
        keypoints=np.full((len(rows), len(faces.schema), 2), np.nan, np.float32),
    ), rows  # fmt: skip


def _taken_whole(faces: Faces, finding: Finding) -> bool:
    """Whether the model takes these photos as they are: each image is the whole of a photo such as those it was trained on."""
    height, width = faces.height, faces.width
    corners = map_points(faces.to_photo, np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    sides = np.rint(corners[:, 1] - corners[:, 0]).astype(int)
    uncut = np.abs(corners[:, 0] + 0.5).max(initial=0) < 1  # the image begins where its photo does
    return bool(uncut) and all(finding.is_a_crop(width=int(w), height=int(h)) for w, h in np.unique(sides, axis=0))
