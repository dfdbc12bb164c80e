"""Small pictures and label files, made in place: no photograph is kept with the tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


def gradient(width: int = 40, height: int = 30, channels: int = 3) -> NDArray[np.uint8]:
    """uint8 (H, W, C): red grows to the right, green downwards; no two corners alike."""
    y, x = np.mgrid[:height, :width]
    planes = [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), np.full((height, width), 60)]
    return np.stack(planes[:channels], -1).astype(np.uint8)


def spot(points: NDArray[np.float64], size: int = 160, sigma: float = 3.0) -> NDArray[np.uint8]:
    """uint8 (size, size, 1) with Gaussian spots at `points` (K, 2)."""
    y, x = np.mgrid[:size, :size]
    light = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points)
    return np.clip(255 * np.asarray(light), 0, 255).astype(np.uint8)[..., None]


def centroid(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(2,), the centre of light in pixels (x, y)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image[..., 0].astype(float)
    return np.asarray([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def save_picture(path: Path, pixels: NDArray[Any] | None = None, **options: Any) -> Path:
    """Write `pixels` (default: a gradient) in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = gradient() if pixels is None else pixels
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(path, **options)
    return path


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def kaggle_text(rows: list[tuple[list[str], str]], names: tuple[str, ...] = ("left_eye", "right_eye")) -> str:
    """A Kaggle training file: one (coordinates, pixels) a row."""
    header = ",".join([*(f"{name}_{axis}" for name in names for axis in "xy"), "Image"])
    return "\n".join([header, *(",".join([*points, pixels]) for points, pixels in rows)]) + "\n"


def pixels(side: int = 8, start: int = 0) -> str:
    """side * side numbers as Kaggle writes them."""
    return " ".join(str((start + i) % 256) for i in range(side * side))
