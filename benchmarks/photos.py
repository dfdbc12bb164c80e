"""Milliseconds from a photo to answers, by part: find the faces, frame them, run the network; beside libfacedetection in the same run.

python benchmarks/photos.py MODEL [--rounds 15]

Photos are synthetic: 0, 1 or 10 heads over textures, at 640 x 480 and 1280 x 960. Medians over rounds, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.data.synthetic.render import render_cutouts
from facelearn.data.synthetic.textures import background_bank
from facelearn.detect import open_detector
from facelearn.detect.others import Libfacedetection
from facelearn.errors import FacelearnError
from facelearn.images.decode import to_channels
from facelearn.prediction.open import OpenModel
from facelearn.training.device import describe_machine


def photo_of(faces: int, width: int, height: int) -> NDArray[np.uint8]:
    """RGB photo with so many heads in two rows."""
    room = cv2.resize(background_bank()[7], (width, height))[..., None] * 255
    picture = np.repeat(room, 3, 2).astype(np.float32)
    index = np.arange(max(1, faces))
    heads, covers, _ = render_cutouts(2027, index, index, 256, 3, (-0.4, 0.4))
    side = height // 2 if faces > 1 else round(height * 0.9)
    for k in range(faces):
        left, top = (k % 5) * (width // 5) - (side - width // 5) // 2, (k // 5) * (height // 2)
        left = max(0, min(width - side, left)) if faces > 1 else (width - side) // 2
        cover = cv2.resize(covers[k], (side, side), interpolation=cv2.INTER_AREA)[..., None] / 255
        part = picture[top : top + side, left : left + side]
        part += cover * (cv2.resize(heads[k], (side, side), interpolation=cv2.INTER_AREA) - part)
    return picture.clip(0, 255).astype(np.uint8)


def milliseconds(call: Callable[[], Any], rounds: int) -> float:
    """Median of `rounds` calls, after one that is not counted."""
    call()
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return 1000 * statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    finding = OpenModel(arguments.model, detector="facelearn").finding
    opened = OpenModel(arguments.model, detector="none")  # its images are framed here
    channels = opened.bundle.image_shape[2]
    ours = open_detector("facelearn")
    try:
        other: Libfacedetection | None = Libfacedetection()
    except FacelearnError as error:
        other = None
        print(f"libfacedetection: left out, {error}")
    print(f"{describe_machine().get('processor')}, {arguments.model.name}, medians of {arguments.rounds} rounds, ms")
    print(f"{'photo':<12}{'faces':>6}{'found':>7}{'detect':>9}{'frame':>8}{'network':>9}{'libface':>9}{'ratio':>7}")
    for width, height in ((640, 480), (1280, 960)):
        for faces in (0, 1, 10):
            photo = photo_of(faces, width, height)
            image = to_channels(photo, channels)
            found = ours(photo)
            detect = milliseconds(lambda p=photo: ours(p), arguments.rounds)
            frame = milliseconds(
                lambda i=image, f=found: [finding.place(i, f, k) for k in range(len(f))], arguments.rounds
            )
            crops = (
                np.stack([finding.place(image, found, k).framed.image for k in range(len(found))])
                if len(found)
                else None
            )
            network = 0.0 if crops is None else milliseconds(lambda c=crops: opened.predict(c), arguments.rounds)
            theirs = (
                milliseconds(lambda p=photo: other.squares(p), arguments.rounds) if other is not None else float("nan")
            )
            ratio = detect / theirs
            print(
                f"{width}x{height:<7}{faces:>6}{len(found):>7}{detect:>9.1f}{frame:>8.1f}{network:>9.1f}{theirs:>9.1f}{ratio:>7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
