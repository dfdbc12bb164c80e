"""What a preprocessing step is, and the steps on uint8 images. `preprocess.Preprocess` strings them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import MissingExtraError, RecipeError
from facelearn.geometry.warp import resize
from facelearn.images.decode import to_channels

_BATCH_FLOATS = 1 << 23
"""Numbers held at once while fitting (32 MiB of float32), so that memory does not grow with the data."""


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The images that a step is fitted on, handed out a batch at a time.

    Attributes:
        images: uint8 (N, H, W, C), in memory or memory-mapped.
        before: the steps before this one: uint8 (B, H, W, C) -> float32 (B, C', H', W').
    """

    images: NDArray[np.uint8]
    before: Callable[[NDArray[np.uint8]], NDArray[np.float32]]

    def batches(self, index: NDArray[np.int64] | None = None) -> Iterator[NDArray[np.float32]]:
        """All images, or those at `index`, as float32 (B, C', H', W')."""
        count = len(self.images) if index is None else len(index)
        size = max(1, _BATCH_FLOATS // max(1, int(np.prod(self.images.shape[1:]))))
        for start in range(0, count, size):
            stop = min(start + size, count)
            yield self.before(np.asarray(self.images[start:stop] if index is None else self.images[index[start:stop]]))


@dataclass(frozen=True, eq=False)
class Step:
    """One step. Its fields are its options, except those in `fitted_names`, which `fit` fills in."""

    name: ClassVar[str] = ""
    fitted_names: ClassVar[tuple[str, ...]] = ()

    @property
    def fitted(self) -> bool:
        """True when nothing is left to fit."""
        return all(getattr(self, name) is not None for name in self.fitted_names)

    @classmethod
    def option_names(cls) -> list[str]:
        """The options a recipe may set."""
        return [field.name for field in dataclasses.fields(cls) if field.name not in cls.fitted_names]

    def options(self) -> dict[str, Any]:
        """The options, JSON-able, with the step's name."""
        values = {name: getattr(self, name) for name in self.option_names()}
        return {
            "name": self.name,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()},
        }

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The fitted numbers by name; empty before fitting."""
        return {name: getattr(self, name) for name in self.fitted_names if getattr(self, name) is not None}


class PixelStep(Step):
    """A step from uint8 images to uint8 images, done once, before training."""

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (N, H, W, C) -> uint8 (N, H', W', C')."""
        raise NotImplementedError

    def output_shape(self, height: int, width: int, channels: int) -> tuple[int, int, int]:
        """(H', W', C') that images of (H, W, C) become."""
        return height, width, channels


class NumberStep(Step):
    """A step on float arrays (N, C, H, W), NumPy or torch alike, done on every batch."""

    def normalise(self, images: Any) -> Any:
        """float32 (N, C, H, W) -> the same shape and kind."""
        raise NotImplementedError

    def fit(self, training: TrainingImages) -> Self:
        """The step with its numbers computed from the training images; itself where there is nothing to fit."""
        return self


@dataclass(frozen=True, eq=False)
class Grey(PixelStep):
    """RGB to one grey channel, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, in the integers Pillow uses). Grey images pass untouched."""

    name: ClassVar[str] = "grey"

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return to_channels(images, 1)

    def output_shape(self, height: int, width: int, channels: int) -> tuple[int, int, int]:
        return height, width, 1


@dataclass(frozen=True, eq=False)
class Resize(PixelStep):
    """To `size` pixels: an int for a square, or (height, width). By area where the image shrinks, bilinear where it grows (OpenCV)."""

    name: ClassVar[str] = "resize"
    size: int | tuple[int, int]

    def __post_init__(self) -> None:
        size: tuple[Any, ...] = tuple(self.size) if isinstance(self.size, (list, tuple)) else (self.size, self.size)
        if len(size) != 2 or not all(type(side) is int and 1 <= side <= 8192 for side in size):
            raise RecipeError(
                f"resize needs size = a side of 1 to 8192 pixels or [height, width]; received {self.size!r}"
            )
        object.__setattr__(self, "size", size)

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        n, *shape = images.shape
        height, width, channels = self.output_shape(*shape)
        if [height, width, channels] == shape:
            return images
        resized = np.empty((n, height, width, channels), np.uint8)
        for i, image in enumerate(images):
            resized[i] = resize(image, width, height)
        return resized

    def output_shape(self, height: int, width: int, channels: int) -> tuple[int, int, int]:
        assert isinstance(self.size, tuple)
        return *self.size, channels


@dataclass(frozen=True, eq=False)
class ContrastStretch(PixelStep):
    """Intensities `low` .. `high` (of 0 .. 1) stretched to the full range by scikit-image's `exposure.rescale_intensity`.

    The W207 study stretches 0 to 0.8.
    """

    name: ClassVar[str] = "contrast_stretch"
    low: float = 0.0
    high: float = 0.8

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise RecipeError(
                f"contrast_stretch needs 0 <= low < high <= 1; received low = {self.low}, high = {self.high}"
            )

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        exposure = _exposure()
        # each grey level maps on its own, so scikit-image is asked once for all 256 of them
        levels = np.arange(256) / 255
        stretched = exposure.rescale_intensity(levels, in_range=(self.low, self.high), out_range=(0.0, 255.0))
        table: NDArray[np.uint8] = np.rint(stretched).astype(np.uint8)
        return table[images]


@dataclass(frozen=True, eq=False)
class Equalise(PixelStep):
    """Histogram equalisation of each image (scikit-image's `exposure.equalize_hist`); of RGB images the value in HSV."""

    name: ClassVar[str] = "equalise"

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return _each_image(images, _exposure().equalize_hist)


@dataclass(frozen=True, eq=False)
class Clahe(PixelStep):
    """Contrast-limited adaptive equalisation of each image (scikit-image's `exposure.equalize_adapthist`); 0.03 in the W207 study.

    About 3 ms for a 96x96 image.
    """

    name: ClassVar[str] = "clahe"
    clip_limit: float = 0.03

    def __post_init__(self) -> None:
        if not 0 < self.clip_limit <= 1:
            raise RecipeError(f"clahe needs 0 < clip_limit <= 1; received {self.clip_limit}")

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        equalise = _exposure().equalize_adapthist
        return _each_image(images, lambda image: equalise(image, clip_limit=self.clip_limit))


def _exposure() -> Any:
    try:
        from skimage import exposure
    except ImportError as error:
        raise MissingExtraError("scikit-image", "train") from error
    return exposure


def _each_image(images: NDArray[np.uint8], equalise: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[np.uint8]:
    """`equalise` (a grey image -> floats 0 .. 1) applied to each image, or to the value channel of each RGB image."""
    from skimage.color import hsv2rgb, rgb2hsv

    result = np.empty(images.shape, np.uint8)
    for i, image in enumerate(images):
        if image.shape[-1] == 1:
            result[i, ..., 0] = np.rint(255 * equalise(image[..., 0]))
        else:
            hsv = rgb2hsv(image)
            hsv[..., 2] = equalise(hsv[..., 2])
            result[i] = np.rint(255 * hsv2rgb(hsv))
    return result
