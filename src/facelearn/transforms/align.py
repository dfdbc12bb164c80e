"""Crop and similarity alignment, invertible: a pixel in the photo <-> a pixel in the crop. Matrices are (2, 3), pixels to pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError, Problem

Matrix = NDArray[np.float64]
_BORDERS = {"border": 1, "zeros": 0, "reflection": 2}  # cv2.BORDER_REPLICATE, BORDER_CONSTANT, BORDER_REFLECT


def similarity_transform(source_points: ArrayLike, target_points: ArrayLike) -> Matrix:
    """Rotation, scale and shift that bring `source_points` closest to `target_points` by least squares (Umeyama 1991); no mirroring.

    Args:
        source_points: (K, 2), (x, y) in pixels of the photo, origin at the centre of the top-left pixel; NaN where missing.
        target_points: (K, 2), the same points in pixels of the crop; NaN where missing. Points known in both are used.

    Returns:
        float64 (2, 3) matrix, photo pixels to crop pixels.

    Raises:
        DataError: shapes that differ, or fewer than two different points known in both.
    """
    source, target = np.asarray(source_points, np.float64), np.asarray(target_points, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[-1] != 2:
        raise DataError(
            f"source and target points must both have shape (K, 2); received {source.shape} and {target.shape}"
        )
    known: NDArray[np.bool_] = np.asarray(~np.isnan(source + target).any(1))
    source, target = source[known], target[known]
    source_mean, target_mean = (points.mean(0) if len(points) else np.zeros(2) for points in (source, target))
    centred = source - source_mean
    variance = np.square(centred).sum()
    if known.sum() < 2 or variance < 1e-12:
        raise DataError(
            f"a similarity needs two different points known in both; received {int(known.sum())} of {len(known)}"
        )
    covariance = (target - target_mean).T @ centred
    left, values, right = np.linalg.svd(covariance)
    sign = np.asarray([1.0, 1.0 if np.linalg.det(left) * np.linalg.det(right) >= 0 else -1.0])
    linear = (values * sign).sum() / variance * (left * sign) @ right
    return np.concatenate([linear, (target_mean - linear @ source_mean)[:, None]], 1)


def crop_transform(box: ArrayLike, size: int | tuple[int, int]) -> Matrix:
    """The matrix that cuts `box` out of a photo and scales it to `size`.

    Args:
        box: (left, top, right, bottom) in photo pixels, the outer edges: the whole photo is (-0.5, -0.5, W - 0.5, H - 0.5).
        size: the crop's side in pixels, or (height, width).

    Returns:
        float64 (2, 3) matrix, photo pixels to crop pixels.

    Raises:
        DataError: a box without area.
    """
    left, top, right, bottom = (float(edge) for edge in np.asarray(box, np.float64))
    if not (right > left and bottom > top):
        raise DataError(
            f"a box is (left, top, right, bottom) with right > left and bottom > top; received {(left, top, right, bottom)}"
        )
    height, width = _height_width(size)
    across, down = width / (right - left), height / (bottom - top)
    return np.asarray([[across, 0, -0.5 - across * left], [0, down, -0.5 - down * top]])


def invert(matrix: ArrayLike) -> Matrix:
    """The opposite of each matrix (..., 2, 3), float64: crop pixels to photo pixels.

    Raises:
        DataError: a matrix that squashes the plane and has no opposite.
    """
    matrix = np.asarray(matrix, np.float64)
    linear = matrix[..., :2]
    if not (np.abs(np.linalg.det(linear)) > 1e-12).all():
        raise DataError("a matrix that maps the plane onto a line or a point cannot be inverted")
    opposite = np.linalg.inv(linear)
    return np.concatenate([opposite, -opposite @ matrix[..., 2:]], -1)


def compose(first: ArrayLike, then: ArrayLike) -> Matrix:
    """One float64 (..., 2, 3) matrix that does `first`, then `then`."""
    first, then = np.asarray(first, np.float64), np.asarray(then, np.float64)
    linear = then[..., :2] @ first[..., :2]
    return np.concatenate([linear, then[..., :2] @ first[..., 2:] + then[..., 2:]], -1)


def apply(matrix: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Points (..., K, 2) moved by a matrix (2, 3), or each set by its own of (..., 2, 3); float64, NaN stays NaN."""
    matrix, points = np.asarray(matrix, np.float64), np.asarray(points, np.float64)
    return np.asarray(points @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2])


def warp(
    image: NDArray[np.uint8],
    matrix: ArrayLike,
    size: int | tuple[int, int],
    *,
    padding: Literal["border", "zeros", "reflection"] = "border",
) -> NDArray[np.uint8]:
    """The image seen through `matrix`: bilinear, and averaged first where it shrinks below half, so that nothing flickers.

    Args:
        image: uint8 (H, W, C), C 1 or 3.
        matrix: (2, 3), pixels of `image` to pixels of the result.
        size: the result's side in pixels, or (height, width).
        padding: what lies beyond the image: the nearest pixel, black, or the image mirrored at its edge.

    Returns:
        uint8 (height, width, C).

    Raises:
        DataError: an image of another shape, or a matrix that cannot be inverted.
    """
    import cv2

    if image.ndim != 3 or image.dtype != np.uint8 or image.shape[-1] not in (1, 3):
        raise DataError(
            f"image must be uint8 of shape (H, W, 1) or (H, W, 3); received {image.dtype} of shape {image.shape}"
        )
    matrix = np.asarray(matrix, np.float64)
    invert(matrix)
    height, width = _height_width(size)
    shrink = int(1e-6 + 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    rows, columns = max(1, image.shape[0] // max(1, shrink)), max(1, image.shape[1] // max(1, shrink))
    if shrink >= 2:
        whole = (-0.5, -0.5, image.shape[1] - 0.5, image.shape[0] - 0.5)
        matrix = compose(invert(crop_transform(whole, (rows, columns))), matrix)
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    warped = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=_BORDERS[padding])
    return np.asarray(warped, np.uint8).reshape(height, width, -1)


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
    height, width = _height_width(size)
    images = np.empty((len(faces), height, width, faces.channels), np.uint8)
    matrices = np.empty((len(faces), 2, 3))
    problems = []
    for i in range(len(faces)):
        try:
            matrices[i] = similarity_transform(by[i], template)
            images[i] = warp(np.asarray(faces.images[i]), matrices[i], (height, width), padding=padding)
        except DataError as error:
            row = int(faces.row[i])
            problems.append(Problem(str(faces.source[i]), row if row >= 0 else None, str(error)))
    if problems:
        raise DataError(
            f"{len(problems)} of {len(faces)} faces cannot be aligned; leave them out with faces[index]", problems
        )
    moved = apply(matrices, faces.keypoints)
    inside = ((moved >= -0.5) & (moved <= np.asarray([width, height]) - 0.5)).all(-1, keepdims=True)
    keypoints = np.where(inside, moved, np.nan).astype(np.float32)
    return faces.replace(images=images, keypoints=keypoints, to_photo=compose(invert(matrices), faces.to_photo))


def _height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
