"""`facelearn.open`: a model file, ready to answer anything that holds faces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.bundle import Bundle
from facelearn.data.schema import KeypointSchema
from facelearn.errors import BundleError, DataError, FacelearnError, RecipeError
from facelearn.prediction.backends import Backend, BackendName, Precision, open_backend
from facelearn.prediction.finding import Finding, FindSettings
from facelearn.prediction.photos import LabelsRead, Source
from facelearn.prediction.stream import PhotoBatch, photo_batches
from facelearn.tasks.found import Found
from facelearn.tasks.task import Asked, Photos
from facelearn.tasks.verification.answer import Comparison, Embeddings, VerificationAnswering

EMPTY = np.zeros((0,), np.float32)


class OpenModel:
    """A model in use, whatever its task. It keeps nothing between calls. Made by `facelearn.open`.

    Args:
        path: `.safetensors` (run by torch, or by what `facelearn bench` found faster) or `.onnx` (run by ONNX Runtime or OpenVINO, without
            torch), or what `open_backend` gave.
        device: "auto" (a GPU where there is one), "cpu" or "cuda".
        precision: "auto" and "32" are float32; "bf16" is bfloat16 where the backend has it.
        scheme: keypoints: which annotation scheme to return where the model knows several, its name or index; None is the model's own.
        threshold: identification: the smallest probability at which a name is given; None is the one stored in the model (none, where no
            strangers were held out), 0 always gives a name.
        batch: images answered at once.
        backend: "auto" (torch or ONNX Runtime, as the file asks, unless `facelearn bench` found another one faster here), "torch", "onnx"
            or "openvino".
        detector: how faces are found in photos of which nothing is known: "auto" (the detector the model was trained with), a name of
            `facelearn.detect.DETECTORS`, a YuNet .onnx file, or "none", which takes every photo whole, as the crop of one face.
        largest: only the largest face of each photo.
        min_size: smallest side of a face in pixels of the photo; None: the detector's own.
        min_score: 0 to 1, faces that the detector is less sure of are left out; None: the detector's own.
        one_face: every photo shows one person: of several faces the one that is sure, large and near the middle is meant, and a photo in
            which none is found is taken whole.

    Raises:
        BundleError: the file cannot be used.
        RecipeError: an unknown or unavailable backend, device, precision or detector, or a scheme or threshold that the model does not
            have.
        MissingExtraError: the backend's package is not installed.
    """

    def __init__(
        self,
        path: str | Path | Backend,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        scheme: str | int | None = None,
        threshold: float | None = None,
        batch: int = 64,
        backend: BackendName = "auto",
        detector: str = "auto",
        largest: bool = False,
        min_size: float | None = None,
        min_score: float | None = None,
        one_face: bool = False,
    ) -> None:
        if batch < 1:
            raise RecipeError(f"batch must be at least 1; received {batch}")
        self._backend = open_backend(path, backend=backend, device=device, precision=precision)
        self._process = os.getpid()
        self.asked = Asked(scheme, threshold)
        self.answering = self.bundle.answering(self.asked)
        embeds = isinstance(self.answering, VerificationAnswering)
        self._find = FindSettings(detector, largest, min_size, min_score, one_face, twice=embeds)
        self._batch, self._shape = batch, self.bundle.image_shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bundle!r}, {self.backend} on {self.device})"

    @property
    def bundle(self) -> Bundle:
        """The model's facts."""
        return self._backend.bundle

    @property
    def backend(self) -> str:
        """What runs the model: "torch", "onnx" or "openvino"."""
        return self._backend.name

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        return self._backend.device

    @property
    def finding(self) -> Finding:
        """How faces are found and framed in photos of which nothing is known."""
        return Finding(self.bundle.framing.sized(self._shape[:2]), self._find)

    @property
    def schema(self) -> KeypointSchema:
        """Names of the K keypoints of a keypoint model."""
        if self.bundle.schema is None:
            raise BundleError(f"the model is for {self.bundle.task}; it has no keypoints")
        return self.bundle.schema

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the C people that the model knows; none for a keypoint model."""
        return self.bundle.people

    def predict(
        self, source: Source, *, boxes: ArrayLike | None = None, on_error: Literal["stop", "skip"] = "stop"
    ) -> Any:
        """The answer for every face of every photo in `source`: `Predictions` of a keypoint model, `Identities` of one that names people.

        See `predict_batches` for what is accepted.
        """
        return self.answering.join(list(self.predict_batches(source, boxes=boxes, on_error=on_error)))

    def embed(
        self, source: Source, *, boxes: ArrayLike | None = None, on_error: Literal["stop", "skip"] = "stop"
    ) -> Embeddings:
        """The embedding of every face of every photo in `source`, as `predict` for a verification model.

        Raises:
            BundleError: the model gives no embeddings.
            DataError: as `predict_batches`.
        """
        self.comparing()
        found: Embeddings = self.predict(source, boxes=boxes, on_error=on_error)
        return found

    def compare(self, first: Source | Embeddings, second: Source | Embeddings) -> Comparison:
        """Whether two photos show the same person: distance, the model's threshold, and what was calibrated.

        Args:
            first, second: each a photo with one face (what `predict` takes for one photo), or the `Embeddings` of one face.

        Raises:
            BundleError: the model gives no embeddings.
            DataError: a photo without a face, or with several (open the model with largest=True to take the largest), or embeddings of
                another model.
        """
        answering = self.comparing()
        return answering.compare(*(self._one_face(one) for one in (first, second)))

    def comparing(self) -> VerificationAnswering:
        """How the model compares faces.

        Raises:
            BundleError: it is no verification model.
        """
        if not isinstance(self.answering, VerificationAnswering):
            raise BundleError(
                f"the model is for {self.bundle.task}, and gives no embeddings to compare; train one that does: facelearn train --task "
                "verification --data PEOPLE --out RUN"
            )
        return self.answering

    def _one_face(self, given: Source | Embeddings) -> Embeddings:
        """The embedding of the one face that is meant.

        Raises:
            DataError: there are none, or several.
        """
        if isinstance(given, Embeddings):
            return given
        found = self.embed(given)
        if len(found) == 1:
            return found
        name = str(given) if isinstance(given, str | os.PathLike) else "the photo"
        if not len(found):
            raise DataError(
                f"no face was found in {name}; give a photo that shows one, or take photos whole, each as the crop of one face: "
                "detector='none' (--detector none)"
            )
        boxes = "; ".join(" ".join(f"{edge:.0f}" for edge in box) for box in found.found.boxes[:5])
        raise DataError(
            f"{name} shows {len(found)} faces (left top right bottom: {boxes}), and one is compared; crop the photo, or take the largest: "
            "largest=True (--largest)"
        )

    def predict_batches(
        self, source: Source, *, boxes: ArrayLike | None = None, on_error: Literal["stop", "skip"] = "stop"
    ) -> Iterator[Any]:
        """The answers, a batch at a time, so that memory does not grow with the number of photos.

        Where neither labels nor boxes say where the faces are, they are found by the detector, and each is framed as the training images
        were. A model that was trained on images of whole faces takes photos of their kind (their proportions, up to twice their size) as
        they are.
        Colour is converted as the model's stored preprocessing has it, whatever the photo shows.

        Args:
            source: uint8 array (H, W), (H, W, 1 or 3), (N, H, W) or (N, H, W, 1 or 3), RGB; a Pillow image, an image file's bytes or
                an opened one; a path: image, folder of images, data file such as Kaggle's test.csv; a list of such, images of any
                sizes; a `Faces`.
            boxes: (N, 4), for each photo (left, top, right, bottom) of the face as in photo[top:bottom, left:right]; they may reach
                beyond the photo, whose edge is then repeated.
            on_error: "stop" raises at photos that cannot be read; "skip" leaves them out and lists them in the answer's `skipped`.

        Yields:
            The task's answer for up to `batch` photos, embeddings of a face that was seen twice as two rows, the second without a box
            (`predict` gives their mean); points in the photos' own pixels: for a `Faces` or a data file, those of the
            original photos, through `to_photo`.

        Raises:
            DataError: a source, photo or box that cannot be used, with the first ten.
            BundleError: the model gives NaN or infinity.
        """
        batches = photo_batches(
            source,
            self._shape,
            self._batch,
            framing=self.bundle.framing,
            boxes=boxes,
            on_error=on_error,
            read=LabelsRead.of_recipe(self.bundle.recipe),
            find=self._find,
        )
        for chunk in batches:
            combined = self._run(chunk.images) if len(chunk.images) else EMPTY
            yield self.answering.answer(combined, self._photos(chunk))

    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network says of framed images.

        Raises:
            BundleError: facts and network do not go together, or this process is a fork of the one that opened the model.
        """
        if os.getpid() != self._process:
            raise BundleError(
                "this model was opened in another process, of which this one is a fork: its threads are not here, and it would wait for "
                "them forever; open the model in this process (facelearn.open), or start processes with "
                "multiprocessing.get_context('spawn')"
            )
        try:
            return self._backend(self.bundle.preprocess.prepare(images))
        except (FacelearnError, MemoryError):
            raise
        except Exception as error:  # torch, ONNX Runtime and OpenVINO have each their own
            raise BundleError(
                f"the model does not run on the images that it says it takes ({error}); make it again with facelearn train"
            ) from error

    def _photos(self, chunk: PhotoBatch) -> Photos:
        maps = [
            [step, *([] if photo.to_photo is None else [photo.to_photo])]
            for step, photo in zip(chunk.maps, chunk.photos, strict=True)
        ]
        size = [
            (photo.image.shape[1], photo.image.shape[0]) if photo.to_photo is None else (-1, -1)
            for photo in chunk.photos
        ]
        return Photos(
            source=chunk.source, row=chunk.row, size=np.asarray(size, np.int64).reshape(-1, 2), maps=maps,
            preprocess=self.bundle.preprocess, shape=self._shape, skipped=chunk.problems, notes=chunk.notes,
            found=Found(chunk.boxes, chunk.scores, chunk.faceless),
        )  # fmt: skip


def open(path: str | Path | Backend, **options: Any) -> OpenModel:
    """A model file, ready to answer: `facelearn.open("model.safetensors").predict("photos/")`.

    Args:
        path: `.safetensors` or `.onnx` model file of any task.
        options: device, precision, scheme, threshold, batch, backend, detector, largest, min_size, min_score, one_face, as `OpenModel`
            takes them.

    Raises:
        BundleError, RecipeError, MissingExtraError: as `OpenModel`.
    """
    return OpenModel(path, **options)


class Predictor(OpenModel):
    """A keypoint model in use: `facelearn.open` for who wants keypoints and nothing else. Arguments as `OpenModel`.

    Raises:
        BundleError: the model is not for keypoints.
    """

    def __init__(self, path: str | Path | Backend, **options: Any) -> None:
        opened = open_backend(path, **_of_the_backend(options))
        if opened.bundle.schema is None:
            raise BundleError(
                f"the model is for {opened.bundle.task}, not keypoints; use facelearn.open, or facelearn.Identifier for "
                "names. To have one, train on data with keypoints: facelearn train --data DATA --out RUN"
            )
        super().__init__(opened, **options)


class Identifier(OpenModel):
    """An identification model in use: `facelearn.open` for who wants names and nothing else. Arguments as `OpenModel`.

    Raises:
        BundleError: the model does not name people.
    """

    def __init__(self, path: str | Path | Backend, **options: Any) -> None:
        opened = open_backend(path, **_of_the_backend(options))
        if not opened.bundle.people:
            raise BundleError(
                f"the model is for {opened.bundle.task}, not identification; use facelearn.open, or facelearn.Predictor for keypoints"
            )
        super().__init__(opened, **options)

    @property
    def threshold(self) -> float:
        """The smallest probability at which a name is given."""
        return float(self.answering.threshold)  # type: ignore[attr-defined]


def _of_the_backend(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("backend", "device", "precision") if name in options}
