"""Deterministic preprocessing, fitted on the training split and saved with the model, so that prediction does what training did."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import BundleError, DataError, FacelearnError, RecipeError
from facelearn.geometry.coordinates import scaled, unscaled
from facelearn.transforms.steps.number_steps import Fixed, Scale, Standardise, StandardiseImage, Whiten
from facelearn.transforms.steps.pixel_steps import (
    Clahe,
    ContrastStretch,
    Equalise,
    Grey,
    NumberStep,
    PixelStep,
    Resize,
    Step,
    TrainingImages,
)

STEPS: dict[str, type[Step]] = {
    step.name: step
    for step in (Grey, Resize, ContrastStretch, Equalise, Clahe, Scale, Fixed, StandardiseImage, Standardise, Whiten)
}
"""Every step by its name in a recipe."""


@dataclass(frozen=True, eq=False)
class Preprocess:
    """Steps in order: first those on uint8 images (`prepare`, once), then those on numbers (`normalise`, every batch).

    Make one with `Preprocess.from_steps`, then `fit` it on the training images.

    Attributes:
        pixel_steps: grey, resize, contrast_stretch, equalise, clahe.
        number_steps: scale, fixed, standardise_image, standardise, whiten.
    """

    pixel_steps: tuple[PixelStep, ...] = ()
    number_steps: tuple[NumberStep, ...] = ()

    @classmethod
    def from_steps(cls, steps: Sequence[str | Mapping[str, Any]]) -> Preprocess:
        """Preprocessing from a recipe's list, such as ["grey", {"name": "resize", "size": 96}, "standardise"]; not fitted yet.

        Raises:
            RecipeError: an unknown step or option, a value out of range, or a step on pixels after one on numbers.
        """
        made = [_make_step(step) for step in steps]
        pixels = tuple(step for step in made if isinstance(step, PixelStep))
        numbers = tuple(step for step in made if isinstance(step, NumberStep))
        if [*pixels, *numbers] != made:
            raise RecipeError(
                f"steps on pixels ({', '.join(step.name for step in pixels)}) come before steps on numbers "
                f"({', '.join(step.name for step in numbers)}); received {', '.join(step.name for step in made)}"
            )
        return cls(pixels, numbers)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in order."""
        return (*self.pixel_steps, *self.number_steps)

    @property
    def fitted(self) -> bool:
        """True when no step waits for `fit`."""
        return all(step.fitted for step in self.steps)

    def fit(self, images: NDArray[np.uint8]) -> Preprocess:
        """A copy whose steps are fitted on the training split.

        Args:
            images: uint8 (N, H, W, C), in memory or memory-mapped; read a batch at a time, once for each step that is fitted.

        Raises:
            DataError: no images, or not uint8 (N, H, W, C).
        """
        _check_images(images)
        if len(images) == 0 and not self.fitted:
            raise DataError("preprocessing cannot be fitted on 0 images; give the images of the training split")
        done = Preprocess(self.pixel_steps)
        for step in self.number_steps:
            fitted = step.fit(TrainingImages(images, before=done))
            done = dataclasses.replace(done, number_steps=(*done.number_steps, fitted))
        return done

    def prepare(self, images: NDArray[np.uint8], *, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The steps on pixels: uint8 (N, H, W, C) -> uint8 (N, H', W', C').

        Where no step changes anything the very same array is returned, so memory-mapped images stay on disk.

        Args:
            images: uint8 (N, H, W, C), in memory or memory-mapped.
            out: where to write, uint8 (N, H', W', C'), for example memory-mapped; then images are read a batch at a time.

        Raises:
            DataError: not uint8 (N, H, W, C).
        """
        _check_images(images)
        if out is None:
            images = np.asanyarray(images)  # rows of a table become an array here, once
            for step in self.pixel_steps:
                images = step.prepare(images)
            return images
        if out.shape != (len(images), *self.output_shape(*images.shape[1:])) or out.dtype != np.uint8:
            wanted = (len(images), *self.output_shape(*images.shape[1:]))
            raise DataError(f"out must be uint8 of shape {wanted}; received {out.dtype} of shape {out.shape}")
        for start in range(0, len(images), 256):
            out[start : start + 256] = self.prepare(images[start : start + 256])
        return out

    def normalise(self, images: Any) -> Any:
        """The steps on numbers, for NumPy arrays and torch tensors alike (the trainer, the predictor and the ONNX export share it).

        Args:
            images: (N, C, H, W) numbers 0 .. 255, any type; prepared already.

        Returns:
            float32 (N, C, H, W) of the same kind and on the same device.

        Raises:
            RecipeError: a step is not fitted.
            DataError: images of another shape than it was fitted on.
        """
        self.require_fitted()
        images = images.float() if hasattr(images, "new_tensor") else np.asarray(images, np.float32)
        for step in self.number_steps:
            images = step.normalise(images)
        return images

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Everything, as a network takes it: uint8 (N, H, W, C) -> float32 (N, C', H', W').

        Raises:
            RecipeError: a step is not fitted.
            DataError: not uint8 (N, H, W, C), or of another shape than it was fitted on.
        """
        numbers: NDArray[np.float32] = self.normalise(self.prepare(images).transpose(0, 3, 1, 2))
        return np.ascontiguousarray(numbers)

    def require_fitted(self) -> None:
        """Raise RecipeError, saying what to type, where a step waits for `fit`."""
        waiting = [step.name for step in self.steps if not step.fitted]
        if waiting:
            raise RecipeError(
                f"preprocessing step '{waiting[0]}' is not fitted; type preprocess = preprocess.fit(faces.images) "
                "with the images of the training split first"
            )

    def output_shape(self, height: int, width: int, channels: int) -> tuple[int, int, int]:
        """(H', W', C') that images of height x width with `channels` channels have after `prepare`."""
        for step in self.pixel_steps:
            height, width, channels = step.output_shape(height, width, channels)
        return height, width, channels

    def keypoint_scale(self, height: int, width: int) -> tuple[float, float]:
        """(x, y) factors by which images of height x width pixels grow in `prepare`."""
        new_height, new_width, _ = self.output_shape(height, width, 1)
        return new_width / width, new_height / height

    def points_to_prepared(self, points: NDArray[Any], height: int, width: int) -> NDArray[Any]:
        """Points (..., 2) in pixels of an image of height x width, moved to pixels of the prepared image; NaN stays NaN."""
        return np.asarray(scaled(points, np.asarray(self.keypoint_scale(height, width), points.dtype)))

    def points_from_prepared(self, points: NDArray[Any], height: int, width: int) -> NDArray[Any]:
        """Points (..., 2) in pixels of the prepared image, moved back to pixels of the image of height x width it came from."""
        return np.asarray(unscaled(points, np.asarray(self.keypoint_scale(height, width), points.dtype)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able description of the steps; the fitted numbers are in `arrays`. `from_dict` reads both back."""
        return {"steps": [step.options() for step in self.steps]}

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The fitted numbers, named "POSITION.STEP.NAME", such as "2.standardise.mean"."""
        return {
            f"{i}.{step.name}.{name}": array
            for i, step in enumerate(self.steps)
            for name, array in step.arrays().items()
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]) -> Preprocess:
        """The inverse of `to_dict` and `arrays`; fitted where the arrays are there.

        Raises:
            BundleError: a description that does not read as preprocessing, from a newer version for example.
        """
        try:
            made = cls.from_steps(facts["steps"])
        except (FacelearnError, KeyError, TypeError) as error:
            raise BundleError(
                f"the stored preprocessing cannot be read ({error}); it may be from a newer facelearn: upgrade and try again"
            ) from error
        steps = [
            dataclasses.replace(step, **{name: arrays.get(f"{i}.{step.name}.{name}") for name in step.fitted_names})
            for i, step in enumerate(made.steps)
        ]
        return cls(
            tuple(step for step in steps if isinstance(step, PixelStep)),
            tuple(step for step in steps if isinstance(step, NumberStep)),
        )


def _make_step(step: str | Mapping[str, Any]) -> Step:
    options = {"name": step} if isinstance(step, str) else dict(step)
    name = options.pop("name", None)
    if name not in STEPS:
        raise RecipeError(f"unknown preprocessing step {name!r}; known are {', '.join(STEPS)}")
    kind = STEPS[name]
    accepted = kind.option_names()
    unknown = sorted(set(options) - set(accepted))
    if unknown:
        raise RecipeError(f"step '{name}' has no option '{unknown[0]}'; it takes {', '.join(accepted) or 'none'}")
    try:
        return kind(**options)
    except TypeError as error:
        raise RecipeError(
            f"step '{name}' with {options} is not understood ({error}); it takes {', '.join(accepted) or 'no options'}"
        ) from error


def _check_images(images: NDArray[np.uint8]) -> None:
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
        raise DataError(
            f"images must be uint8 of shape (N, H, W, 1) or (N, H, W, 3); received {images.dtype} of shape {images.shape}"
        )
