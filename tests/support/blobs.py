"""Small, quick material for training: blobs on a dark ground whose keypoints are exactly where the light is."""

from __future__ import annotations

import numpy as np

from facelearn.data.faces import Faces
from facelearn.data.schema import KeypointSchema

BLOBS = KeypointSchema("blobs", ("left", "right", "middle"), mirror=((0, 1),), eyes=((0,), (1,)))


def blob_faces(
    count: int,
    *,
    size: int = 24,
    missing: float = 0.5,
    seed: int = 0,
    lights: tuple[float, float, float] = (1.0, 0.6, 0.8),
) -> Faces:
    """`count` grey images with three blobs; half of the rows lack keypoints where `missing` says so."""
    random = np.random.default_rng(seed)
    base = np.array([[0.7, 0.35], [0.3, 0.35], [0.5, 0.7]]) * size
    points = base + random.uniform(-0.15, 0.15, (count, 3, 2)) * size
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    distance = ((grid[None, None] - points[:, :, None, None]) ** 2).sum(-1)
    light = (np.exp(-distance / 4) * np.array(lights)[:, None, None]).max(1)
    keypoints = points.astype(np.float32)
    keypoints[(random.random((count, 3)) < 0.7) & (random.random((count, 1)) < missing)] = np.nan
    return Faces.create((light * 250).astype(np.uint8), keypoints=keypoints, schema=BLOBS, group=np.arange(count))
