"""A table of faces turned, scaled and moved so that their keypoints lie on a template."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from facelearn.data.faces import Faces
from facelearn.errors import DataError, Problem
from facelearn.geometry.affine import compose, height_and_width, invert, map_points
from facelearn.geometry.coordinates import inside
from facelearn.geometry.warp import warp
from facelearn.transforms.framing import Framing


def align_faces(
    faces: Faces,
    template: ArrayLike,
    size: int | tuple[int, int],
    *,
    points: ArrayLike | None = None,
    padding: Literal["border", "zeros", "reflection"] = "border",
) -> Faces:
    """Every face turned, scaled and moved so that its keypoints lie on `template` as nearly as a similarity can.

    Args:
        faces: the table; keypoints mark where each face is.
        template: (K, 2), where the keypoints belong, in pixels of the aligned images; NaN for keypoints that shall not matter.
        size: the aligned images' side in pixels, or (height, width).
        points: (N, K, 2) keypoints to align by, in pixels of `faces.images`, such as predictions; the labels where None.
        padding: what lies beyond the image: the nearest pixel, black, or the image mirrored at its edge.

    Returns:
        Faces with new images, keypoints moved along (NaN where they left the image) and `to_photo` still leading to the photos.

    Raises:
        DataError: a template of another shape, or faces with fewer than two of the template's keypoints; lists them.
    """
    template = np.asarray(template, np.float64)
    by = np.asarray(faces.keypoints if points is None else points, np.float64)
    if template.shape != (len(faces.schema), 2) or by.shape != (len(faces), *template.shape):
        raise DataError(
            f"template must have shape {(len(faces.schema), 2)} and points {(len(faces), len(faces.schema), 2)}; "
            f"received {template.shape} and {by.shape}"
        )
    framing = Framing("template", size, template=tuple((x, y) for x, y in template.tolist()))
    height, width = height_and_width(size)
    images = np.empty((len(faces), height, width, faces.channels), np.uint8)
    matrices = np.empty((len(faces), 2, 3))
    problems = []
    for i in range(len(faces)):
        try:
            matrices[i] = framing.matrix(faces.width, faces.height, points=by[i])
            images[i] = warp(np.asarray(faces.images[i]), matrices[i], (height, width), padding=padding)
        except DataError as error:
            row = int(faces.row[i])
            problems.append(Problem(str(faces.source[i]), row if row >= 0 else None, str(error)))
    if problems:
        raise DataError(
            f"{len(problems)} of {len(faces)} faces cannot be aligned; leave them out with faces[index]", problems
        )
    moved = map_points(matrices, faces.keypoints)
    keypoints = np.where(inside(moved, width, height)[..., None], moved, np.nan).astype(np.float32)
    return faces.replace(images=images, keypoints=keypoints, to_photo=compose(invert(matrices), faces.to_photo))
