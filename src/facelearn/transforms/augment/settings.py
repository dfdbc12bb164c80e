"""How strongly training images are varied: the settings of `augment.Augment`, readable without torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


def _rising(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError(f"a range is [lowest, highest]; received [{values[0]}, {values[1]}]")
    return values


def _fraction(values: tuple[float, float]) -> tuple[float, float]:
    if values[1] > 1:
        raise ValueError(f"a share of the image is at most 1; received [{values[0]}, {values[1]}]")
    return values


Positive = Annotated[float, Field(gt=0, le=255)]
Sigma = Annotated[float, Field(gt=0, le=8)]
Range = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]


class AugmentSettings(BaseModel):
    """Random ranges of augmentation; `AugmentSettings()` is our recipe's, `AugmentSettings.none()` changes nothing.

    Light is left alone by default, because the recipe's `standardise_image` takes light and contrast out of every image again.
    Every image draws its own values. Factors are drawn evenly in their logarithm, the rest evenly.

    The W207 study added its DCT-filtered images to the training set, which made its epochs longer; here `dct` is the probability that
    an image is filtered, in every epoch anew: a share of 0.5 is its set with one filtered copy of each image, at half the epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mirror: Probability = 0.5
    """Share of images mirrored, left and right keypoints changing places."""
    warp: Probability = 1.0
    """Share of images that shift, scale, stretch, rotate and crop apply to."""
    shift: float = Field(0.0625, ge=0, le=1)
    """Largest shift to each side, as a share of the image's width and height."""
    scale: Range = (0.887, 1.127)
    """Factors by which the face grows about the image's centre."""
    stretch: float = Field(0.06, ge=0, le=1)
    """Largest stretch: the width times f and the height times 1/f, or the reverse, f up to 1 + stretch."""
    rotate: float = Field(15.0, ge=0, le=180)
    """Largest rotation to each side in degrees, about the image's centre."""
    crop: float = Field(0.0, ge=0, lt=1)
    """Largest share of the side cut away: a window of 1 - crop .. 1 of the image, anywhere in it, blown up to the whole."""
    padding: Literal["border", "zeros", "reflection"] = "border"
    """What fills the image where a warp uncovers it: the nearest pixel, black, or the image mirrored at its edge."""
    brightness: float = Field(0.0, ge=0, le=1)
    """Largest change of brightness to each side, as a share of the full range."""
    contrast: Range = (1.0, 1.0)
    """Factors of contrast, about each image's own mean."""
    gamma: Range = (1.0, 1.0)
    """Exponents of the intensity 0 .. 1; under 1 lightens, over 1 darkens."""
    blur: Probability = 0.0
    """Share of images blurred."""
    blur_sigma: Annotated[tuple[Sigma, Sigma], AfterValidator(_rising)] = (0.4, 1.5)
    """Standard deviation of the Gaussian blur, in pixels."""
    noise: Probability = 0.0
    """Share of images that noise is added to."""
    noise_sigma: Range = (1.0, 10.0)
    """Standard deviation of the Gaussian noise, in grey levels of 255."""
    erasing: Probability = 0.0
    """Share of images in which a rectangle is painted over in one random colour; keypoints under it keep their labels."""
    erasing_area: Annotated[Range, AfterValidator(_fraction)] = (0.02, 0.15)
    """Area of that rectangle, as a share of the image."""
    erasing_aspect: float = Field(2.0, ge=1, le=10)
    """Largest ratio of that rectangle's sides."""
    dct: Probability = 0.0
    """Share of images of which a discrete cosine transform leaves only the low or only the high frequencies; keypoints stay."""
    dct_window: Annotated[Range, AfterValidator(_fraction)] = (0.1, 0.4)
    """Side of the window of lowest coefficients, as a share of the image's sides: low-pass keeps it, high-pass takes it out. With "corner"
    it is the window of highest coefficients."""
    dct_pass: Literal["low", "corner", "high", "both"] = "both"
    """Which frequencies pass; "both" tosses a coin between low and high for each image. High-pass images are drawn around mid-grey over
    the full range. "corner" is the W207 study's low-pass: only what is high along both axes at once is taken out."""

    @classmethod
    def none(cls) -> Self:
        """Settings that change nothing."""
        return cls(
            mirror=0,
            warp=0,
            shift=0,
            scale=(1, 1),
            stretch=0,
            rotate=0,
            crop=0,
            brightness=0,
            contrast=(1, 1),
            gamma=(1, 1),
        )

    @property
    def warps(self) -> bool:
        """True when shift, scale, stretch, rotation or crop can happen."""
        still = self.shift == self.stretch == self.rotate == self.crop == 0 and self.scale == (1, 1)
        return self.warp > 0 and not still

    @property
    def recolours(self) -> bool:
        """True when brightness, contrast or gamma can change."""
        return self.brightness > 0 or self.contrast != (1, 1) or self.gamma != (1, 1)
