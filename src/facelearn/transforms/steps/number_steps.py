"""The preprocessing steps on numbers: scaling, standardising, whitening; NumPy arrays and torch tensors alike, without importing torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError, RecipeError
from facelearn.transforms.steps.pixel_steps import NumberStep, TrainingImages

_SAMPLE_FLOATS = 1 << 25
"""Numbers in the sample that whitening looks at (128 MiB of float32)."""


@dataclass(frozen=True, eq=False)
class Scale(NumberStep):
    """0 .. 255 to 0 .. 1."""

    name: ClassVar[str] = "scale"

    def normalise(self, images: Any) -> Any:
        return images * (1 / 255)


@dataclass(frozen=True, eq=False)
class Fixed(NumberStep):
    """(x - mean)/std with given numbers, one or one per channel, in the units of its input; after `scale`, ImageNet's are
    mean [0.485, 0.456, 0.406] and std [0.229, 0.224, 0.225]."""

    name: ClassVar[str] = "fixed"
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for field in ("mean", "std"):
            value = getattr(self, field)
            object.__setattr__(
                self, field, tuple(float(v) for v in (value if isinstance(value, (list, tuple)) else [value]))
            )
        if len(self.mean) != len(self.std) or not all(std > 0 for std in self.std):
            raise RecipeError(
                "fixed needs mean and std of equal length, every std above 0; "
                f"received mean = {self.mean}, std = {self.std}"
            )

    def normalise(self, images: Any) -> Any:
        if len(self.mean) not in (1, images.shape[1]):
            raise DataError(
                f"step 'fixed' was given {len(self.mean)} channel means but the images have {images.shape[1]} channels"
            )
        mean = np.asarray(self.mean, np.float32)[:, None, None]
        gain = (1 / np.asarray(self.std))[:, None, None].astype(np.float32)
        return (images - like(images, mean)) * like(images, gain)


@dataclass(frozen=True, eq=False)
class StandardiseImage(NumberStep):
    """Each image by its own numbers, (x - mean)/(std + softening): nothing to fit, and light and contrast of the photo drop out.

    `softening`, in the units of its input (8 grey levels by default), keeps a flat image from being blown up into noise.
    """

    name: ClassVar[str] = "standardise_image"
    softening: float = 8.0

    def __post_init__(self) -> None:
        if not self.softening > 0:
            raise RecipeError(f"standardise_image needs softening above 0; received {self.softening}")

    def normalise(self, images: Any) -> Any:
        centred = images - images.mean((1, 2, 3), keepdims=True)
        deviation = (centred * centred).mean((1, 2, 3), keepdims=True) ** 0.5
        return centred / (deviation + self.softening)


@dataclass(frozen=True, eq=False)
class Standardise(NumberStep):
    """(x - mean)/std with mean and deviation of the training images, `per` "channel" or "pixel".

    A deviation under `floor` times the overall one is raised to that, so that pixels which hardly vary are not blown up.
    Fitted in one pass in float64, batches merged by Chan, Golub and LeVeque (1979).
    """

    name: ClassVar[str] = "standardise"
    fitted_names: ClassVar[tuple[str, ...]] = ("mean", "std")
    per: Literal["channel", "pixel"] = "channel"
    floor: float = 0.05
    mean: NDArray[np.float32] | None = dataclasses.field(default=None, repr=False)
    std: NDArray[np.float32] | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.per not in ("channel", "pixel") or not self.floor > 0:
            raise RecipeError(
                "standardise needs per = 'channel' or 'pixel' and floor above 0; "
                f"received per = {self.per!r}, floor = {self.floor}"
            )

    def fit(self, training: TrainingImages) -> Self:
        axes = (0,) if self.per == "pixel" else (0, 2, 3)
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in training.batches():
            new = batch.size // batch.mean(axes, keepdims=True).size
            new_mean = batch.mean(axes, keepdims=True, dtype=np.float64)
            new_squares = np.square(batch - new_mean).sum(axes, keepdims=True)
            apart = new_mean - mean
            squares = squares + new_squares + apart**2 * (count * new / (count + new))
            count, mean = count + new, mean + apart * (new / (count + new))
        variance = squares / count
        overall = np.sqrt((variance + (mean - mean.mean()) ** 2).mean())
        std = np.maximum(np.sqrt(variance), self.floor * overall if overall > 0 else 1.0)
        return dataclasses.replace(self, mean=mean[0].astype(np.float32), std=std[0].astype(np.float32))

    def normalise(self, images: Any) -> Any:
        assert self.mean is not None and self.std is not None
        check_shape(self.name, images, self.mean.shape)
        return (images - like(images, self.mean)) * like(images, np.reciprocal(self.std))


@dataclass(frozen=True, eq=False)
class Whiten(NumberStep):
    """ZCA whitening: pixels decorrelated and of unit variance, the image kept as like itself as that allows.

    The full matrix of a 96x96 image has 9216 x 9216 numbers, so only the `components` directions U of largest variance s are kept
    (9216 x k numbers) and every other direction is given their mean variance r, which is probabilistic PCA (Tipping and Bishop 1999):
    y = x'/sqrt(r + e) + U (1/sqrt(s + e) - 1/sqrt(r + e)) U^T x', with x' = x - mean. All components give exact ZCA.
    `epsilon`, as a fraction of the mean variance, keeps directions that hardly vary from being blown up. Mean and directions come from
    up to `sample` training images spread evenly over the set, fewer where the images are large (128 MiB of float32 at most).
    """

    name: ClassVar[str] = "whiten"
    fitted_names: ClassVar[tuple[str, ...]] = ("mean", "directions", "gain", "rest")
    components: int = 256
    epsilon: float = 0.01
    sample: int = 4000
    mean: NDArray[np.float32] | None = dataclasses.field(default=None, repr=False)
    directions: NDArray[np.float32] | None = dataclasses.field(default=None, repr=False)
    gain: NDArray[np.float32] | None = dataclasses.field(default=None, repr=False)
    rest: NDArray[np.float32] | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.components < 1 or self.sample < 2 or not self.epsilon > 0:
            raise RecipeError(
                "whiten needs components of at least 1, sample of at least 2 and epsilon above 0; "
                f"received components = {self.components}, sample = {self.sample}, epsilon = {self.epsilon}"
            )

    def fit(self, training: TrainingImages) -> Self:
        count = len(training.images)
        first = next(training.batches(np.zeros(1, np.int64)))
        most = min(count, self.sample, max(2, _SAMPLE_FLOATS // first.size))
        index = np.linspace(0, count - 1, most).round().astype(np.int64)
        data = np.concatenate([batch.reshape(len(batch), -1) for batch in training.batches(index)])
        mean = data.mean(0, dtype=np.float64).astype(np.float32)
        data -= mean
        variances, directions = _principal(data, min(self.components, data.shape[1], most - 1))
        total = float(np.square(data).sum(dtype=np.float64)) / max(1, most - 1)
        others = data.shape[1] - len(variances)
        epsilon = self.epsilon * total / data.shape[1] or 1.0
        # with every direction kept there is no rest, and a large base would only cost digits
        base = 1 / np.sqrt(max(0.0, total - variances.sum()) / others + epsilon) if others else 0.0
        return dataclasses.replace(
            self,
            mean=mean.reshape(first.shape[1:]),
            directions=directions.astype(np.float32),
            gain=(1 / np.sqrt(variances + epsilon) - base).astype(np.float32),
            rest=np.asarray([base], np.float32),
        )

    def normalise(self, images: Any) -> Any:
        assert self.mean is not None and self.directions is not None and self.gain is not None and self.rest is not None
        check_shape(self.name, images, self.mean.shape)
        flat = (images - like(images, self.mean)).reshape(-1, self.mean.size)
        directions = like(images, self.directions)
        whitened = flat * like(images, self.rest) + ((flat @ directions) * like(images, self.gain)) @ directions.T
        return whitened.reshape(-1, *self.mean.shape)


def _principal(data: NDArray[np.float32], components: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest variances (k,), falling, and their directions (D, k) of centred data (n, D), through the smaller Gram matrix."""
    n, size = data.shape
    gram = (data.T @ data if size <= n else data @ data.T).astype(np.float64)
    values, vectors = np.linalg.eigh(gram)
    values, vectors = np.maximum(values[::-1][:components], 0), vectors[:, ::-1][:, :components]
    if size > n:
        vectors = data.T @ (vectors / np.sqrt(np.maximum(values, 1e-12 * values.max(initial=1e-30))))
    return values / max(1, n - 1), vectors


def like(images: Any, array: NDArray[np.float32]) -> Any:
    """`array` as the kind of `images`: a tensor of its type and device where that is a tensor, without importing torch."""
    return images.new_tensor(array) if hasattr(images, "new_tensor") else array


def check_shape(step: str, images: Any, fitted: tuple[int, ...]) -> None:
    """Refuse images that do not broadcast with numbers fitted as (C, 1, 1) or (C, H, W)."""
    shape = tuple(int(side) for side in images.shape[1:])
    wanted = tuple(side if side > 1 or i == 0 else shape[i] for i, side in enumerate(fitted))
    if shape != wanted:
        raise DataError(
            f"step '{step}' was fitted on images of {wanted} (channels, height, width) but received {shape}; "
            "resize or convert them first"
        )
