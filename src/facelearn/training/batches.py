"""The data path: uint8 images and their targets, turned into augmented, normalised batches without a Python loop over samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facelearn.data.arrays import array_on_disk
from facelearn.data.faces import Faces
from facelearn.tasks.batch import Batch, ChangedCopies
from facelearn.transforms.augment.variation import Augment
from facelearn.transforms.preprocess import Preprocess
from facelearn.transforms.steps.pixel_steps import Grey, PixelStep, Resize

PREPARE_CHUNK = 1024
RESIDENT_BYTES = 256 * 2**20


class TrainingData:
    """Faces ready to be batched: deterministic preprocessing done once, everything random done per batch.

    Images that the preprocessing leaves as they are stay where they are, and so do the keypoints: a memory-mapped table is paged in batch
    by batch, so that memory grows with the batch and not with the data. Changed images are kept as uint8 in memory up to 256 MiB and
    otherwise in a memory-mapped file in `scratch`. On CUDA, tables of up to half the free device memory move there whole.

    `label_offset` (pixels, 0 at first) says how far right of the place that a mirrored image implies the labels stand; augmentation
    moves points without it. The task may measure and set it.

    Args:
        faces: the table; keypoints in pixels of its images.
        preprocess: fitted preprocessing.
        targets: further per-row arrays (first dimension N) that the task wants beside "points".
        device: where batches are made.
        memory_format: layout of the batches' images.
        scratch: folder for the memory-mapped file; None keeps changed images in memory whatever their size.
        copies: of rows, to be had under the index row + N * copy; None: there are none.
    """

    def __init__(
        self,
        faces: Faces,
        preprocess: Preprocess,
        targets: Mapping[str, NDArray[Any]] | None = None,
        *,
        device: torch.device | str = "cpu",
        memory_format: torch.memory_format = torch.channels_last,
        scratch: Path | None = None,
        copies: ChangedCopies | None = None,
    ) -> None:
        self.label_offset = 0.0
        self.copies = copies
        self.preprocess = preprocess
        self.device = torch.device(device)
        self.memory_format = memory_format
        self.images: NDArray[np.uint8] | Tensor = prepare(faces.images, preprocess, scratch)
        self.faces = faces
        self.own_targets = {
            name: torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
            for name, array in (targets or {}).items()
        }
        self.height, self.width, self.channels = (int(n) for n in self.images.shape[1:])
        if self.device.type == "cuda" and self.images.nbytes < torch.cuda.mem_get_info(self.device)[0] // 2:
            self.images = torch.from_numpy(np.ascontiguousarray(self.images)).to(self.device)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def targets(self) -> dict[str, Tensor]:
        """The targets of all rows; made anew each time."""
        return {"points": self._points(np.arange(len(self))), **self.own_targets}

    def _points(self, index: NDArray[np.int64]) -> Tensor:
        """float32 (B, K, 2) on the device: the keypoints of the rows `index`, in pixels of the prepared images."""
        points = self.preprocess.points_to_prepared(
            np.asarray(self.faces.keypoints[index]), self.faces.height, self.faces.width
        )
        return torch.from_numpy(np.ascontiguousarray(points, np.float32)).to(self.device)

    def batch(
        self,
        index: NDArray[np.int64],
        *,
        augment: Augment | None = None,
        generator: torch.Generator | None = None,
        mirror: bool = False,
    ) -> Batch:
        """The rows `index`, or changed copies of them, as a batch; augmented when `augment` is given (randomness from `generator`).

        `mirror` mirrors the images before they are normalised, as a deployed model does; the targets stay those of the rows.
        """
        copy = np.zeros_like(index)
        if self.copies is not None:
            copy, index = np.divmod(index, len(self))
        rows = torch.from_numpy(index).to(self.device)
        if isinstance(self.images, Tensor):
            pixels = self.images[rows]
        else:
            pixels = torch.from_numpy(self.images[index]).to(self.device)
        images = pixels.permute(0, 3, 1, 2)  # (B, C, H, W), channels last in memory as it was stored
        targets = {"points": self._points(index), **{name: values[rows] for name, values in self.own_targets.items()}}
        if self.copies is not None:
            images, targets = self.copies.changed(images, targets, torch.from_numpy(copy).to(self.device))
        if augment is not None:
            offset = torch.tensor([self.label_offset, 0.0], device=self.device)
            images, points = augment(images, targets["points"] - offset, generator)
            targets["points"] = points + offset
        else:
            images = images.to(torch.float32)
        images = self.preprocess.normalise(images.flip(3) if mirror else images)
        return Batch(images.contiguous(memory_format=self.memory_format), targets)


def prepare(images: NDArray[np.uint8], preprocess: Preprocess, scratch: Path | None = None) -> NDArray[np.uint8]:
    """The deterministic uint8 steps over all images, chunk by chunk.

    Args:
        images: uint8 (N, H, W, C), possibly memory-mapped.
        preprocess: fitted preprocessing.
        scratch: folder for a memory-mapped result above 256 MiB.

    Returns:
        uint8 (N, H', W', C'); `images` itself when no step changes it.
    """
    if len(images) == 0:
        return np.zeros((0, *preprocess.output_shape(*images.shape[1:])), np.uint8)
    first = preprocess.prepare(images[:1])
    # what other pixel steps do depends on the image: some may come out as they went in, and the next one not
    whole = all(isinstance(step, Grey | Resize) for step in preprocess.steps if isinstance(step, PixelStep))
    if whole and first.shape == images[:1].shape and np.array_equal(preprocess.prepare(images[:8]), images[:8]):
        return images
    shape = (len(images), *first.shape[1:])
    if scratch is None or int(np.prod(shape)) <= RESIDENT_BYTES:
        result = np.empty(shape, np.uint8)
    else:
        scratch.mkdir(parents=True, exist_ok=True)
        result = array_on_disk(scratch / "prepared.npy", shape)
    for start in range(0, len(images), PREPARE_CHUNK):
        result[start : start + PREPARE_CHUNK] = preprocess.prepare(images[start : start + PREPARE_CHUNK])
    return result
