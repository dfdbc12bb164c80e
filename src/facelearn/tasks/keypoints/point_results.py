"""What one run of keypoints left behind: its held-out faces with true and predicted points."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.arrays import as_rows
from facelearn.data.schema import NO_KEYPOINTS, KeypointSchema
from facelearn.errors import DataError
from facelearn.report.finished_run import EVALUATE_AGAIN, TASK, FinishedRun, broken, read_arrays, write_arrays

_ARRAYS = ("images", "truth", "prediction", "source", "row")


@dataclass(frozen=True, eq=False, kw_only=True)
class PointResult(FinishedRun):
    """One trained or evaluated keypoint model: how it was made, what it measured, and the held-out faces it was measured on.

    Attributes (beside those of `FinishedRun`; the metrics are as `metrics.keypoints.keypoint_metrics` returns them):
        images: uint8 (N, H, W, C), the held-out faces.
        truth: float32 (N, K, 2) pixels of `images`, origin at the centre of the top-left pixel, NaN where missing.
        prediction: float32 (N, K, 2), same frame.
        schema: names and drawing edges of the K keypoints.
        source: str (N,), the file each face came from.
        row: int64 (N,), 1-based row in that file, -1 where the file is the face.
    """

    images: NDArray[np.uint8]
    truth: NDArray[np.float32]
    prediction: NDArray[np.float32]
    schema: KeypointSchema
    source: NDArray[np.str_]
    row: NDArray[np.int64]

    def __post_init__(self) -> None:
        n, k = len(self.images), len(self.schema)
        wanted = {"truth": (n, k, 2), "prediction": (n, k, 2), "source": (n,), "row": (n,)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise DataError(
                    f"{name} of run '{self.name}' must have shape {shape} to go with {n} images and {k} keypoints; "
                    f"received {getattr(self, name).shape}"
                )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def distance(self) -> NDArray[np.float64]:
        """float64 (N, K): pixels between prediction and truth, NaN where the truth is missing."""
        difference = np.asarray(self.prediction, np.float64) - self.truth
        return np.asarray(np.hypot(difference[..., 0], difference[..., 1]), np.float64)


def save_point_results(
    file: str | Path,
    *,
    images: NDArray[np.uint8],
    truth: ArrayLike,
    prediction: ArrayLike,
    schema: KeypointSchema,
    source: ArrayLike,
    row: ArrayLike,
) -> Path:
    """Write the held-out faces and their predictions to `file`, whole or not at all.

    Args:
        file: `record.folder.RunFolder.evaluation`.
        images, truth, prediction, schema, source, row: as the attributes of `PointResult`.

    Raises:
        DataError: shapes that do not go together.
    """
    checked = PointResult(
        name=str(Path(file).parent),
        # the rows of a view stay in the table until they are written, a piece at a time
        images=as_rows(images, np.uint8),
        truth=as_rows(truth, np.float32),
        prediction=as_rows(prediction, np.float32),
        schema=schema,
        source=as_rows(source, np.str_),
        row=as_rows(row, np.int64),
    )
    arrays = {name: getattr(checked, name) for name in _ARRAYS}
    return write_arrays(file, schema=np.asarray(json.dumps(schema.to_dict())), **arrays)


def load_point_results(run: FinishedRun, file: Path) -> PointResult:
    """A run with its held-out faces; without any where there is no `file` yet, or where it is that of another task.

    Raises:
        FacelearnError: a file that is cut short or of another kind.
    """
    if not file.is_file() or TASK in read_arrays(file, [TASK]):
        nowhere = np.empty((0, 0, 2), np.float32)
        return PointResult(
            **vars(run), images=np.empty((0, 1, 1, 1), np.uint8), truth=nowhere, prediction=nowhere, schema=NO_KEYPOINTS,
            source=np.empty(0, np.str_), row=np.empty(0, np.int64),
        )  # fmt: skip
    stored = read_arrays(file)
    try:
        arrays: dict[str, Any] = {name: stored[name] for name in _ARRAYS}
        schema = KeypointSchema.from_dict(json.loads(str(stored["schema"])))
    except (ValueError, KeyError, TypeError) as error:
        raise broken(file, error, EVALUATE_AGAIN) from error
    return PointResult(**vars(run), **arrays, schema=schema)
