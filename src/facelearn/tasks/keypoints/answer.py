"""`Predictions`: keypoints found, and the files they are written to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.schema import KeypointSchema
from facelearn.data.writers import write_predictions_csv
from facelearn.errors import Problem
from facelearn.files import write_text


@dataclass(frozen=True, eq=False)
class Predictions:
    """Keypoints of N photos; every one of the K points is there, none is NaN.

    Attributes:
        points: float32 (N, K, 2), (x, y) in pixels of each photo, origin at the centre of the top-left pixel.
        schemes: float32 (N, S, K, 2), the same in each annotation scheme the model knows; S is 1 for most models.
        scheme_names: the S schemes' names, such as ("complete", "partial").
        schema: names of the K keypoints.
        source: str (N,), each photo's file; empty for arrays.
        row: int64 (N,), row or image id in that file, 1-based position for arrays, -1 where the file is the photo.
        size: int64 (N, 2), width and height of each photo; -1 where only a crop or a resized copy of it was at hand.
        skipped: photos that could not be read, left out.
    """

    points: NDArray[np.float32]
    schemes: NDArray[np.float32]
    scheme_names: tuple[str, ...]
    schema: KeypointSchema
    source: NDArray[np.str_]
    row: NDArray[np.int64]
    size: NDArray[np.int64]
    skipped: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def to_csv(self, path: str | Path) -> Path:
        """Write one row a photo: file, row (where photos are rows of a file), then NAME_x and NAME_y in pixels of the photo.

        Without the column `row` the file reads back with `facelearn.read`.
        """
        return write_predictions_csv(
            path, source=self.source.tolist(), row=self.row, points=self.points, names=self.schema.names
        )

    def to_coco(self, path: str | Path) -> Path:
        """Write COCO keypoints JSON: one image, one annotation of category "face" (v = 2) for each photo.

        Boxes are those of the points. Photos of unknown size have no width and height.
        """
        category = {
            "id": 1, "name": "face", "supercategory": "person", "keypoints": list(self.schema.names),
            "skeleton": [[first + 1, second + 1] for first, second in self.schema.edges],
        }  # fmt: skip
        images = [self._coco_image(i) for i in range(len(self))]
        annotations = [self._coco_annotation(i) for i in range(len(self))]
        return write_text(path, json.dumps({"images": images, "annotations": annotations, "categories": [category]}))

    def _coco_image(self, i: int) -> dict[str, Any]:
        width, height = self.size[i].tolist()
        known = {"width": width, "height": height} if width > 0 else {}
        return {"id": i + 1, "file_name": str(self.source[i]) or f"{i + 1}", **known}

    def _coco_annotation(self, i: int) -> dict[str, Any]:
        points = self.points[i].astype(np.float64).round(4)
        low, high = points.min(0), points.max(0)
        width, height = (high - low).tolist()
        values = np.concatenate([points, np.full((len(points), 1), 2.0)], 1).ravel().tolist()
        return {
            "id": i + 1, "image_id": i + 1, "category_id": 1, "iscrowd": 0, "num_keypoints": len(points), "keypoints": values,
            # from pixel centres to COCO's box, which is measured from the image's edge
            "bbox": [round(value, 4) for value in (*(low + 0.5).tolist(), width, height)], "area": round(width * height, 4),
        }  # fmt: skip


def join(parts: Sequence[Predictions], schema: KeypointSchema, scheme_names: tuple[str, ...]) -> Predictions:
    """All predictions of `parts` in order; none gives an empty one."""
    k, s = len(schema), len(scheme_names)
    return Predictions(
        points=np.concatenate([np.zeros((0, k, 2), np.float32), *(part.points for part in parts)]),
        schemes=np.concatenate([np.zeros((0, s, k, 2), np.float32), *(part.schemes for part in parts)]),
        scheme_names=scheme_names,
        schema=schema,
        source=np.concatenate([np.zeros(0, np.str_), *(part.source for part in parts)]),
        row=np.concatenate([np.zeros(0, np.int64), *(part.row for part in parts)]),
        size=np.concatenate([np.zeros((0, 2), np.int64), *(part.size for part in parts)]),
        skipped=tuple(problem for part in parts for problem in part.skipped),
    )


def submission_points(predictions: Predictions, asked: Mapping[int, int]) -> NDArray[np.float32]:
    """The points a Kaggle submission takes: each photo in the annotation scheme that its hidden labels most likely follow.

    Photos of which every keypoint is asked for were labelled with all of them; in that data they follow another annotation
    scheme than the photos labelled with some.

    Args:
        predictions: of the test file; `row` is the image id.
        asked: image id -> how many values (x or y of a keypoint) are asked for.

    Returns:
        float32 (N, K, 2): "complete" where at least 2K values are asked for, "partial" elsewhere; `predictions.points` where the
        model does not know these two schemes.
    """
    names = predictions.scheme_names
    if "complete" not in names or "partial" not in names:
        return predictions.points
    every = 2 * len(predictions.schema)
    complete = np.asarray([asked.get(int(image), 0) >= every for image in predictions.row], bool)
    chosen = np.where(complete, names.index("complete"), names.index("partial"))
    return predictions.schemes[np.arange(len(predictions)), chosen]
