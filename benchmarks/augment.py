"""Augmentation of a whole batch against OpenCV one sample at a time: the same affine map, mirror and brightness; 96x96 grey.

python benchmarks/augment.py [--threads 2] [--rounds 9]

Rounds interleave the two, so that what else the machine does hits both; medians are printed, and the median of each round's ratio.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facelearn.data.schema import FKD15
from facelearn.training.device import keep_freed_memory
from facelearn.transforms.augment.variation import Augment, AugmentSettings

BATCH, SIZE, BATCHES = 128, 96, 20
AFFINE = dict(AugmentSettings.none()) | {
    "mirror": 0.5, "warp": 1.0, "shift": 0.08, "scale": (0.86, 1.16), "rotate": 20.0, "brightness": 0.08
}  # fmt: skip
CASES = {
    "mirror + affine + brightness": AugmentSettings(**AFFINE),
    "the default settings": AugmentSettings(),
    "everything": AugmentSettings(crop=0.1, blur=0.2, noise=0.2, erasing=0.2, gamma=(0.8, 1.25)),
}


def opencv_batch(images: NDArray[np.uint8], points: NDArray[np.float32], rng: np.random.Generator) -> torch.Tensor:
    """mirror + affine + brightness of uint8 (B, H, W), a sample at a time; the points move along."""
    result = np.empty((len(images), 1, SIZE, SIZE), np.float32)
    centre = (SIZE - 1) / 2
    for i, image in enumerate(images):
        matrix = cv2.getRotationMatrix2D((centre, centre), rng.uniform(-20, 20), np.exp(rng.uniform(-0.15, 0.15)))
        matrix[:, 2] += rng.uniform(-0.08, 0.08, 2) * SIZE
        kept = points[i]
        if rng.random() < 0.5:
            image, kept = cv2.flip(image, 1), kept[FKD15.mirror_index] * [-1, 1] + [SIZE - 1, 0]
        warped = cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        points[i] = kept @ matrix[:, :2].T + matrix[:, 2]
        result[i, 0] = cv2.convertScaleAbs(warped, alpha=1, beta=rng.uniform(-20, 20))
    return torch.from_numpy(result)


def rate(one_batch: Callable[[], object]) -> float:
    """Images a second."""
    one_batch()
    start = time.perf_counter()
    for _ in range(BATCHES):
        one_batch()
    return BATCHES * BATCH / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    images = torch.randint(0, 256, (BATCH, 1, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    points = 96 * torch.rand(BATCH, 15, 2, generator=generator)
    single = images[:, 0].numpy()
    rates: dict[str, list[float]] = {name: [] for name in ("OpenCV per sample", *CASES)}
    for _ in range(arguments.rounds):
        rates["OpenCV per sample"].append(rate(lambda: opencv_batch(single, points.numpy().copy(), rng)))
        for name, settings in CASES.items():
            augment = Augment(settings, FKD15)
            rates[name].append(rate(lambda augment=augment: augment(images, points, generator)))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads, torch {torch.__version__}"
    )
    for name, values in rates.items():
        ratios = np.asarray(values) / np.asarray(rates["OpenCV per sample"])
        print(f"{name:32s}{np.median(values):9,.0f} images/s  x{np.median(ratios):.2f}  (slowest {min(values):,.0f})")


if __name__ == "__main__":
    main()
