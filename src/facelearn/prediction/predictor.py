"""`Predictor`: a model file, ready to find keypoints in anything that holds faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.bundle import Bundle
from facelearn.data.schema import KeypointSchema
from facelearn.errors import BundleError, RecipeError
from facelearn.prediction.backends import Backend, BackendName, OpenModel, Precision, open_backend
from facelearn.prediction.photos import Photo, Source
from facelearn.prediction.stream import PhotoBatch, photo_batches
from facelearn.tasks.keypoints.answer import Predictions, join


class Predictor(OpenModel):
    """A keypoint model in use. It keeps nothing between calls.

    Args:
        path: `.safetensors` (run by torch) or `.onnx` (run by ONNX Runtime or OpenVINO, without torch), or what `open_backend` gave.
        device: "auto" (a GPU where there is one), "cpu" or "cuda".
        precision: "auto" and "32" are float32; "bf16" is bfloat16 where the backend has it.
        scheme: which annotation scheme to return where the model knows several: its name or index; None is the model's own choice.
        batch: images predicted at once.
        backend: "auto", "torch", "onnx" or "openvino".

    Raises:
        BundleError: the file cannot be used, or is not a keypoint model.
        RecipeError: an unknown or unavailable backend, device, precision or scheme.
        MissingExtraError: the backend's package is not installed.
    """

    def __init__(
        self,
        path: str | Path | Backend,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        scheme: str | int | None = None,
        batch: int = 64,
        backend: BackendName = "auto",
    ) -> None:
        super().__init__(open_backend(path, backend=backend, device=device, precision=precision), batch)
        self._scheme = _scheme_index(self.bundle, scheme)

    @property
    def schema(self) -> KeypointSchema:
        """Names of the K keypoints."""
        assert self.bundle.schema is not None  # a keypoint bundle has one
        return self.bundle.schema

    def predict(
        self, source: Source, *, boxes: ArrayLike | None = None, on_error: Literal["stop", "skip"] = "stop"
    ) -> Predictions:
        """The keypoints of every face in `source`, in pixels of the photos; see `predict_batches` for what is accepted."""
        return join(
            list(self.predict_batches(source, boxes=boxes, on_error=on_error)), self.schema, self.bundle.schemes
        )

    def predict_batches(
        self, source: Source, *, boxes: ArrayLike | None = None, on_error: Literal["stop", "skip"] = "stop"
    ) -> Iterator[Predictions]:
        """The keypoints, a batch at a time, so that memory does not grow with the number of photos.

        A photo is taken as the crop of one face: scaled to the model's input with its proportions kept, or cropped to its box.
        Colour is converted as the model's stored preprocessing has it, whatever the photo shows.

        Args:
            source: uint8 array (H, W), (H, W, 1 or 3), (N, H, W) or (N, H, W, 1 or 3), RGB; a list of such images of any sizes; a
                `Faces`; a path or list of paths: images, folders of images, data files such as Kaggle's test.csv.
            boxes: (N, 4), for each photo (left, top, right, bottom) of the face as in photo[top:bottom, left:right]; they may reach
                beyond the photo, whose edge is then repeated.
            on_error: "stop" raises at photos that cannot be read; "skip" leaves them out and lists them in `Predictions.skipped`.

        Yields:
            `Predictions` of up to `batch` photos, points in the photos' own pixels: for a `Faces` or a data file, those of the
            original photos, through `to_photo`.

        Raises:
            DataError: a source, photo or box that cannot be used, with the first ten.
            BundleError: the model gives NaN or infinity.
        """
        for chunk in photo_batches(source, self._shape, self._batch, boxes=boxes, on_error=on_error):
            yield self._predict(chunk)

    def _predict(self, chunk: PhotoBatch) -> Predictions:
        keypoints, schemes = len(self.schema), self.bundle.schemes
        points = np.zeros((0, len(schemes), keypoints, 2), np.float32)
        if len(chunk.images):
            prepared = self._backend(self.bundle.preprocess.prepare(chunk.images))
            if prepared.shape[1:] != (len(schemes), keypoints, 2) or not np.isfinite(prepared).all():
                raise BundleError(
                    f"the model gave {prepared.shape} numbers, or NaN, instead of {len(schemes)} x {keypoints} finite points"
                )
            stored = self.bundle.preprocess.points_from_prepared(prepared.astype(np.float64), *self._shape[:2])
            places = zip(stored, chunk.maps, chunk.photos, strict=True)
            points = np.stack([_to_photo(p, step, photo) for p, step, photo in places]).astype(np.float32)
        return Predictions(
            points=points[:, self._scheme],
            schemes=points,
            scheme_names=schemes,
            schema=self.schema,
            source=chunk.source,
            row=chunk.row,
            size=np.asarray([_size(photo) for photo in chunk.photos], np.int64).reshape(-1, 2),
            skipped=chunk.problems,
        )


def _to_photo(points: NDArray[np.float64], step: NDArray[np.float64], photo: Photo) -> NDArray[np.float64]:
    """(S, K, 2) in pixels of the model's image, in pixels of the photo."""
    points = points @ step[:, :2].T + step[:, 2]
    return points if photo.to_photo is None else points @ photo.to_photo[:, :2].T + photo.to_photo[:, 2]


def _size(photo: Photo) -> tuple[int, int]:
    return (photo.image.shape[1], photo.image.shape[0]) if photo.to_photo is None else (-1, -1)


def _scheme_index(bundle: Bundle, scheme: str | int | None) -> int:
    if bundle.task != "keypoints":
        raise BundleError(
            f"the model is for {bundle.task}, not keypoints{'; use facelearn.Identifier' if bundle.task == 'identification' else ''}. "
            "Train one on data with keypoints: facelearn train --data DATA --out RUN"
        )
    names = bundle.schemes
    if scheme is None:
        return bundle.scheme
    if isinstance(scheme, str) and scheme in names:
        return names.index(scheme)
    if isinstance(scheme, int) and not isinstance(scheme, bool) and 0 <= scheme < len(names):
        return scheme
    listed = ", ".join(f"{i} '{name}'" for i, name in enumerate(names))
    raise RecipeError(f"the model has no annotation scheme {scheme!r}; it has {listed}")
