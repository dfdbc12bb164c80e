"""Whom models name in photos that are turned in the plane: what random rotation in training is worth where photos are not upright.

    python benchmarks/turned_photos.py RUN [RUN ...] [--degrees 0 15 30 45 90]

RUN is a folder of `facelearn train --task identification`, or of a cell of a study that was run with `--keep-models`: its model.safetensors
names the held-out photos that lie in its evaluation.npz, each turned about its middle to the left and to the right, edges repeated as in
training. Prints balanced accuracy and its 95% interval over photos, both turns of a photo kept together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import facelearn
from facelearn.geometry.warp import warp
from facelearn.metrics.classes import class_metrics


def turned(images: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Images uint8 (N, H, W, C) turned by `degrees` about their middles, to the left where it is above 0."""
    height, width = images.shape[1:3]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return np.stack([warp(image, matrix, (height, width)) for image in images])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--degrees", nargs="+", type=float, default=[0, 15, 30, 45, 90])
    arguments = parser.parse_args()
    for run in arguments.runs:
        model = facelearn.open(run / "model.safetensors")
        with np.load(run / "evaluation.npz") as held_out:
            images, truth, people = held_out["images"], held_out["truth"], held_out["people"]
        print(f"{run}: {model.bundle.recipe['model']['name']}, {len(truth):,} photos of {len(people)} people")
        for degrees in arguments.degrees:
            sides = [degrees, -degrees] if degrees else [0.0]
            said = np.concatenate([model.predict(turned(images, angle)).probabilities for angle in sides])
            found = class_metrics(
                said, np.tile(truth, len(sides)), people=list(people), groups=np.tile(np.arange(len(truth)), len(sides))
            )["balanced_accuracy_score"]
            print(
                f"  turned {degrees:g} degrees: {found['value']:.1%} ({found['low']:.1%} to {found['high']:.1%})",
                flush=True,
            )


if __name__ == "__main__":
    main()
