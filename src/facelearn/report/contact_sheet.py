"""Many faces on one sheet, each with its true and predicted points."""

from __future__ import annotations

import math
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.faces import Faces
from facelearn.data.schema import KeypointSchema
from facelearn.errors import FacelearnError
from facelearn.files import whole_file
from facelearn.geometry.coordinates import scaled
from facelearn.report.style import PREDICTION_RGB, RESIDUAL_RGB, TRUTH_RGB, encode_image

Picture = NDArray[np.uint8]
Point = NDArray[np.float64]
Colour = tuple[int, int, int]

GAP = 4
PAPER = 250
_STRIP = 14
_OUTLINE = (20, 20, 20)
_SHIFT = 5  # cv2 draws on a grid of 1/32 pixel with this


def face_panel(
    image: NDArray[np.uint8],
    *,
    truth: ArrayLike | None = None,
    prediction: ArrayLike | None = None,
    schema: KeypointSchema | None = None,
    side: int = 288,
) -> NDArray[np.uint8]:
    """One face enlarged: true points as hollow green rings, predicted ones as orange dots, a line between the two.

    Args:
        image: uint8 (H, W, C), C 1 or 3 (RGB).
        truth: (K, 2) pixels of `image`, origin at the centre of the top-left pixel, NaN where missing.
        prediction: (K, 2), same frame.
        schema: draws its edges thinly through the predicted points (the true ones where there is no prediction).
        side: the longer side of the result in pixels.

    Returns:
        uint8 (H', W', 3) RGB.
    """
    import cv2

    height, width = image.shape[:2]
    # drawn at twice the size and shrunk: finer lines than cv2's whole pixels
    scale = 2 * side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    enlarged = cv2.resize(np.ascontiguousarray(image), size, interpolation=way).reshape(size[1], size[0], -1)
    panel = np.ascontiguousarray(np.broadcast_to(enlarged, (size[1], size[0], 3)), np.uint8).copy()
    true_points, predicted = _enlarged(truth, scale), _enlarged(prediction, scale)
    many = max(len(true_points), len(predicted)) > 30
    radius = max(3.0, side * (0.012 if many else 0.027))
    lines = predicted if len(predicted) else true_points
    if schema is not None and len(lines) == len(schema):
        _draw_edges(panel, lines, schema, PREDICTION_RGB if len(predicted) else TRUTH_RGB)
    if len(true_points) == len(predicted):
        for start, end in zip(true_points, predicted, strict=True):
            _line(panel, start, end, RESIDUAL_RGB, max(2, round(radius * 0.45)))
    for point in predicted:
        _dot(panel, point, radius * 0.85, PREDICTION_RGB)
    for point in true_points:
        _ring(panel, point, radius * (1.45 if len(predicted) else 1.25), TRUTH_RGB)
    return np.asarray(
        cv2.resize(panel, ((size[0] + 1) // 2, (size[1] + 1) // 2), interpolation=cv2.INTER_AREA), np.uint8
    )


def face_name(faces: Faces, index: int) -> str:
    """A face in a word or two: its row, or its file's name where the file is the face."""
    row = int(faces.row[index])
    return f"row {row}" if row >= 0 else PurePath(str(faces.source[index])).name or f"face {index}"


def named_panel(panel: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """`panel` uint8 (H, W, 3) above a strip with `name`, whose end is cut where it does not fit; other letters than ASCII become '?'."""
    import cv2

    text = name.encode("ascii", "replace").decode("ascii")
    scale = 0.36
    while len(text) > 1 and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] > panel.shape[1] - 4:
        text = text[:-1]
    strip = np.full((_STRIP, panel.shape[1], 3), PAPER, np.uint8)
    cv2.putText(strip, text, (2, _STRIP - 4), cv2.FONT_HERSHEY_SIMPLEX, scale, _OUTLINE, 1, cv2.LINE_AA)
    return np.concatenate([panel, strip])


def tile(panels: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Panels, all uint8 (H, W, 3) of one shape, row by row on light paper with narrow gaps; at least one."""
    height, width = panels[0].shape[:2]
    columns = max(1, min(columns, len(panels)))
    rows = math.ceil(len(panels) / columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), PAPER, np.uint8)
    for i, panel in enumerate(panels):
        top, left = GAP + (i // columns) * (height + GAP), GAP + (i % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = panel
    return sheet


def contact_sheet(
    faces: Faces,
    *,
    count: int = 48,
    columns: int = 8,
    points: bool = True,
    prediction: ArrayLike | None = None,
    path: str | Path | None = None,
    seed: int | None = 0,
    side: int | None = None,
    named: bool = False,
) -> NDArray[np.uint8]:
    """A sheet of `count` faces chosen at random (all of them, in order, where there are fewer).

    Args:
        faces: the faces; their labels are drawn as green rings.
        count: how many faces at most.
        columns: faces in a row.
        points: False leaves the labels out.
        prediction: (N, K, 2) in pixels of `faces.images`, drawn as orange dots.
        path: where to write the sheet as PNG as well.
        seed: chooses the faces; None takes the first `count` in their order.
        side: pixels of each face's longer side; default, 2 to 3 times the image up to 288.
        named: writes the row, or the file where it holds one face, below each face.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        FacelearnError: no faces, a `count` or `columns` below 1, or predictions of another shape.
    """
    if len(faces) == 0 or count < 1 or columns < 1:
        raise FacelearnError(
            f"a contact sheet needs at least one face, and count and columns of at least 1; "
            f"received {len(faces)} faces, count {count}, columns {columns}"
        )
    predicted = None if prediction is None else np.asarray(prediction, np.float64)
    if predicted is not None and (predicted.ndim != 3 or len(predicted) != len(faces) or predicted.shape[2] != 2):
        raise FacelearnError(f"predictions must have shape ({len(faces)}, K, 2); received {predicted.shape}")
    chosen = np.arange(min(count, len(faces)))
    if seed is not None and count < len(faces):
        chosen = np.sort(np.random.default_rng(seed).choice(len(faces), count, replace=False))
    longest = max(faces.height, faces.width)
    side = side or min(longest * 3, max(288, min(longest, 480)))
    panels = [
        face_panel(
            faces.images[i],
            truth=faces.keypoints[i] if points else None,
            prediction=None if predicted is None else predicted[i],
            schema=faces.schema if len(faces.schema) > 30 else None,
            side=side,
        )
        for i in chosen
    ]
    if named:
        panels = [named_panel(panel, face_name(faces, int(i))) for panel, i in zip(panels, chosen, strict=True)]
    sheet = tile(panels, columns)
    if path is not None:
        with whole_file(path) as scratch:
            scratch.write_bytes(encode_image(sheet, "png"))
    return sheet


def _enlarged(points: ArrayLike | None, scale: float) -> NDArray[np.float64]:
    """(K, 2) points of the enlarged picture; a pixel's centre stays the centre of the square it became."""
    if points is None:
        return np.empty((0, 2))
    return np.asarray(scaled(np.asarray(points, np.float64).reshape(-1, 2), scale))


def _fixed(point: Point) -> tuple[int, int]:
    # far outside the picture cv2's integers would overflow; nothing is visible there anyway
    clipped = np.clip(point, -20_000, 20_000)
    return round(float(clipped[0]) * 2**_SHIFT), round(float(clipped[1]) * 2**_SHIFT)


def _line(panel: Picture, start: Point, end: Point, colour: Colour, thickness: int) -> None:
    import cv2

    if np.isfinite(start).all() and np.isfinite(end).all():
        cv2.line(panel, _fixed(start), _fixed(end), colour, thickness, cv2.LINE_AA, _SHIFT)


def _dot(panel: Picture, point: Point, radius: float, colour: Colour) -> None:
    import cv2

    if np.isfinite(point).all():
        cv2.circle(panel, _fixed(point), round((radius + 2) * 2**_SHIFT), _OUTLINE, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(panel, _fixed(point), round(radius * 2**_SHIFT), colour, -1, cv2.LINE_AA, _SHIFT)


def _ring(panel: Picture, point: Point, radius: float, colour: Colour) -> None:
    import cv2

    thickness = max(2, round(radius * 0.36))
    if np.isfinite(point).all():
        # dark on the outside only, so that what the ring surrounds stays visible
        outer = radius + thickness / 2 + 0.5
        cv2.circle(panel, _fixed(point), round(outer * 2**_SHIFT), _OUTLINE, 2, cv2.LINE_AA, _SHIFT)
        cv2.circle(panel, _fixed(point), round(radius * 2**_SHIFT), colour, thickness, cv2.LINE_AA, _SHIFT)


def _draw_edges(panel: Picture, points: NDArray[np.float64], schema: KeypointSchema, colour: Colour) -> None:
    overlay = panel.copy()
    for start, end in schema.edges:
        _line(overlay, points[start], points[end], colour, 2)
    panel[...] = (panel.astype(np.uint16) + overlay + 1) // 2
