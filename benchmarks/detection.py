"""How well faces are found: recall, false boxes, pose, point noise and time, for each detector that is installed.

python benchmarks/detection.py ../shared/data --faceless FOLDER... [--detector facelearn libfacedetection alt2] [--photos 300]

- ytf: found when a box has an intersection over union of 0.5 or more with the square around the 68 labelled points, enlarged by 1.1.
- lfw (as it is, and padded by half), pins, orl: found when one box has its middle in the middle half of the picture and a side of 0.4 to
  1.3 of the picture's.
- false boxes: on every picture of the folders given, whole and in four quarters; they must show nobody and be used in no training.
- pose: synthetic heads of other people than any in training, turned by so many degrees, over textures.
- point noise: mean distance of the five points from the labelled ones, in % of the distance between the eyes, on the ytf faces found.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.data.synthetic.render import render_cutouts
from facelearn.data.synthetic.textures import background_bank
from facelearn.detect import open_detector
from facelearn.detect.detections import NO_FACES, Detections
from facelearn.detect.face_box import five_points, square_around
from facelearn.detect.guesses import intersection_over_union
from facelearn.errors import FacelearnError
from facelearn.images.decode import IMAGE_EXTENSIONS, decode_image
from facelearn.training.device import describe_machine

Detect = Callable[[NDArray[np.uint8]], Detections]
SYNTHETIC_SEED = 2026


def cascade(photo: NDArray[np.uint8]) -> Detections:
    """OpenCV's alt2 cascade, for comparison; its squares are taken as they are."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    least = max(20, int(0.12 * min(grey.shape)))
    boxes = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml").detectMultiScale(
        grey, 1.1, 3, 0, (least, least)
    )
    if not len(boxes):
        return NO_FACES
    squares = np.asarray([(x + w / 2 - 0.5, y + h / 2 - 0.5, w) for x, y, w, h in boxes], float)
    return Detections(squares, np.ones(len(squares)), np.full((len(squares), 5, 2), np.nan))


def centred(found: Detections, width: int, height: int, pad: int) -> bool:
    """Whether a face fills the middle of a picture of `width` x `height` around which `pad` pixels were added."""
    x, y = found.squares[:, 0] - pad, found.squares[:, 1] - pad
    middle = (np.abs(x - width / 2) < width / 4) & (np.abs(y - height / 2) < height / 4)
    side = found.squares[:, 2]
    return bool((middle & (side >= 0.4 * min(width, height)) & (side <= 1.3 * max(width, height))).any())


def padded(photo: NDArray[np.uint8], share: float) -> tuple[NDArray[np.uint8], int]:
    """The photo with a border that repeats its edge, as a share of its longer side, and that border in pixels."""
    pad = round(share * max(photo.shape[:2]))
    return np.asarray(cv2.copyMakeBorder(photo, pad, pad, pad, pad, cv2.BORDER_REPLICATE), np.uint8), pad


def sample(files: Iterable[Path], count: int | None) -> list[Path]:
    """`count` of the files, always the same; None: all."""
    ordered = sorted(file for file in files if file.suffix.lower() in IMAGE_EXTENSIONS)
    if count is None or count >= len(ordered):
        return ordered
    return [ordered[i] for i in np.sort(np.random.default_rng(0).permutation(len(ordered))[:count])]


def filling(detect: Detect, files: list[Path], pad: float = 0.0) -> str:
    """Recall on pictures that one face fills."""
    hits = 0
    for file in files:
        photo = decode_image(file, color="rgb")
        larger, border = padded(photo, pad)
        hits += centred(detect(larger), photo.shape[1], photo.shape[0], border)
    return f"{hits / len(files):.3f} ({len(files)})"


def labelled(detect: Detect, folder: Path, count: int | None) -> tuple[str, str]:
    """Recall on ytf, and the noise of the five points on the faces found."""
    with (folder / "annotations.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    hits, noise = 0, []
    files = sample((folder / "images" / name for name in rows), count)
    for file in files:
        points = np.array([[float(rows[file.name][f"{axis}{k}"]) for axis in "xy"] for k in range(68)])
        found = detect(decode_image(file, color="rgb"))
        shared = intersection_over_union(np.array(square_around(points)), found.squares) if len(found) else np.zeros(1)
        if shared.max() < 0.5:
            continue
        hits += 1
        five = five_points(points)
        distance = np.linalg.norm(found.points[int(shared.argmax())] - five, axis=1).mean()
        noise.append(100 * distance / np.linalg.norm(five[1] - five[0]))
    return f"{hits / len(files):.3f} ({len(files)})", f"{np.mean(noise):.1f} (median {np.median(noise):.1f})"


def faceless(folders: list[Path]) -> Iterator[NDArray[np.uint8]]:
    """Pictures without faces, whole and in quarters, at most 1280 pixels wide or high."""
    seen: list[NDArray[Any]] = []
    for file in sample((file for folder in folders for file in folder.rglob("*")), None):
        photo = decode_image(file, color="rgb")
        thumbnail = cv2.resize(photo, (16, 16), interpolation=cv2.INTER_AREA).astype(int)
        if min(photo.shape[:2]) < 300 or any(np.abs(thumbnail - other).mean() < 8 for other in seen):
            continue
        seen.append(thumbnail)
        factor = min(1.0, 1280 / max(photo.shape[:2]))
        size = (round(photo.shape[1] * factor), round(photo.shape[0] * factor))
        small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
        height, width = small.shape[:2]
        yield small
        for top in (0, height // 2):
            for left in (0, width // 2):
                yield small[top : top + height // 2, left : left + width // 2]


def posed(detect: Detect, yaw: float, turn: float, count: int = 100) -> str:
    """Recall on synthetic heads turned to a side by `yaw` degrees and in the plane by `turn`."""
    index = np.arange(count)
    pictures, covers, points = render_cutouts(SYNTHETIC_SEED, index, index, 256, 3, (np.radians(yaw), np.radians(yaw)))
    hits = 0
    for k in range(count):
        room = cv2.resize(background_bank()[k % 48], (320, 320))[..., None] * 255
        angle = turn if k % 2 else -turn
        matrix = cv2.getRotationMatrix2D((128, 118), angle, 0.8)
        matrix[:, 2] += 32
        head = cv2.warpAffine(pictures[k], matrix, (320, 320), flags=cv2.INTER_AREA).astype(float)
        cover = cv2.warpAffine(covers[k], matrix, (320, 320))[..., None] / 255
        photo = np.ascontiguousarray(room + cover * (head - room), dtype=np.float32).clip(0, 255).astype(np.uint8)
        truth = np.array(square_around(points[k] @ matrix[:, :2].T + matrix[:, 2]))
        found = detect(photo)
        hits += bool(len(found) and intersection_over_union(truth, found.squares).max() >= 0.4)
    return f"{hits / count:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with ytf, lfw, pins and orl")
    parser.add_argument("--faceless", nargs="*", type=Path, default=[], help="folders of pictures that show nobody")
    parser.add_argument("--detector", nargs="*", default=["facelearn", "libfacedetection", "alt2"])
    parser.add_argument("--photos", type=int, help="so many of each set (default: all)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(describe_machine().get("processor"), "- one thread")
    pictures = list(faceless(arguments.faceless))
    for name in arguments.detector:
        try:
            detector: Detect = cascade if name == "alt2" else open_detector(name)
        except FacelearnError as error:
            print(f"{name}: left out, {error}")
            continue
        data, count = arguments.data, arguments.photos
        recall, noise = labelled(detector, data / "ytf", count)
        lfw, pins = sample((data / "lfw/images").rglob("*"), count), sample((data / "pins").rglob("*"), count)
        rows = {
            "recall ytf": recall,
            "recall lfw, as it is": filling(detector, lfw),
            "recall lfw, padded by half": filling(detector, lfw, 0.5),
            "recall pins": filling(detector, pins),
            "recall orl": filling(detector, sample((data / "orl").rglob("*"), count)),
            "points, % of eye distance": noise,
        }
        if pictures:
            begin = time.perf_counter()
            false = [len(detector(picture)) for picture in pictures]
            rows["false boxes a picture"] = f"{np.mean(false):.3f} ({len(pictures)} pictures)"
            rows["ms a faceless picture"] = f"{1000 * (time.perf_counter() - begin) / len(pictures):.1f}"
        for yaw in (0, 30, 60):
            rows[f"recall, turned {yaw} degrees to a side"] = posed(detector, yaw, 0)
        for turn in (15, 30, 45):
            rows[f"recall, turned {turn} degrees in the plane"] = posed(detector, 0, turn)
        print(f"\n{name}")
        for label, value in rows.items():
            print(f"  {label:<36}{value}", flush=True)


if __name__ == "__main__":
    main()
