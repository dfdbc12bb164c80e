"""Makes the two graphs of the embedded detector: python -m facelearn.detect.refiner.make BACKGROUNDS... --out FOLDER

Everything that they learn from is drawn: synthetic people, laid over procedural textures and over the pictures of the folders given, which
must show nobody. `docs/detection.md` says which ones the embedded graphs were made with. The same machine makes the same files again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facelearn.detect.detections import Detections
from facelearn.detect.finder import session
from facelearn.detect.guesses import guesses, surest
from facelearn.detect.refine import Levels
from facelearn.detect.refiner.face_networks import FinderNetwork
from facelearn.detect.refiner.finder_learning import train_finder
from facelearn.detect.refiner.graphs import graph
from facelearn.detect.refiner.refiner_learning import train_refiner
from facelearn.detect.refiner.scenes import draw_people, texture
from facelearn.files import whole_file
from facelearn.images.decode import IMAGE_EXTENSIONS, ImageError, decode_image
from facelearn.training.device import keep_freed_memory

Grids = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]
PEOPLE, SEED = 6000, 5
_LONGEST = 1280  # pixels of the longer side of a background
_MINED_SCORE = 0.03
CASCADE_FOLDER = Path(cv2.__file__).parent / "data"
_CASCADES = ("haarcascade_frontalface_alt2", "haarcascade_frontalface_default", "haarcascade_profileface")


def make(backgrounds: Sequence[Path], out: Path, *, finder_steps: int, refiner_steps: int) -> tuple[Path, Path]:
    """Train both networks and write finder.onnx and refiner.onnx to `out`.

    Args:
        backgrounds: folders of pictures without people.
        out: folder.
        finder_steps, refiner_steps: optimiser steps, of 32 scenes and of 160 crops; without finder_steps the embedded finder stays.
    """
    started = time.perf_counter()
    pictures = read_backgrounds(backgrounds)
    people = draw_people(PEOPLE, SEED)
    _say(f"{len(pictures)} backgrounds, {PEOPLE} people drawn, {time.perf_counter() - started:.0f} s")
    finder = train_finder(people, pictures, steps=finder_steps, say=_say) if finder_steps else None
    mined = mine(_grids_of(finder), pictures)
    _say(f"{len(mined)} places without a face where the finder or a cascade saw one")
    refiner = train_refiner(people, pictures, mined, steps=refiner_steps, say=_say)
    facts = {
        "licence": "Apache-2.0",
        "trained on": f"{PEOPLE} synthetic people over {len(pictures)} pictures that show nobody, and procedural textures",
        "steps": json.dumps({"finder": finder_steps, "refiner": refiner_steps}),
    }
    side = torch.zeros(1, 1, 192, 192, dtype=torch.uint8)
    crops = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    parts = {"refiner": graph(refiner, "crops", crops, ("numbers",), {0: "crops"}, facts)}
    if finder is not None:
        parts["finder"] = graph(finder, "picture", side, ("at_8", "at_16", "at_32"), {2: "height", 3: "width"}, facts)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        with whole_file(out / f"{name}.onnx") as scratch:
            scratch.write_bytes(content)
    _say(f"{sum(map(len, parts.values())):,} bytes in {out}, {time.perf_counter() - started:.0f} s in all")
    return out / "finder.onnx", out / "refiner.onnx"


def read_backgrounds(folders: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """uint8 (H, W) of each picture, or picture in a folder, grey, up to 1280 pixels wide or high; of those almost alike, one."""
    kept: list[NDArray[np.uint8]] = []
    small: list[NDArray[np.int64]] = []
    listed = [file for place in folders for file in (place.rglob("*") if place.is_dir() else [place])]
    files = sorted({file.resolve() for file in listed if file.suffix.lower() in IMAGE_EXTENSIONS})
    for file in files:
        try:
            grey = decode_image(file, color="grey")[..., 0]
        except ImageError as error:
            _say(f"left out: {file}: {error}")
            continue
        if min(grey.shape) < 300:
            continue
        thumbnail = np.asarray(cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA), np.int64)
        if any(np.abs(thumbnail - other).mean() < 8 for other in small):
            continue
        factor = min(1.0, _LONGEST / max(grey.shape))
        size = (round(grey.shape[1] * factor), round(grey.shape[0] * factor))
        small.append(thumbnail)
        kept.append(np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8))
    return kept


def _grids_of(finder: FinderNetwork | None) -> Grids:
    """What a picture uint8 (H, W) looks like to the finder, or to the embedded one."""
    if finder is None:
        return lambda picture: [grid[0] for grid in session("finder").run(None, {"picture": picture[None, None]})]
    network = finder.eval()

    def run(picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        with torch.inference_mode():
            return [grid[0].numpy() for grid in network(torch.from_numpy(picture)[None, None].float() / 255)]

    return run


def mine(
    grids: Grids, pictures: Sequence[NDArray[np.uint8]], *, cuts: int = 6, textures: int = 200
) -> NDArray[np.uint8]:
    """uint8 (M, 64, 64): crops of pictures without faces where the finder, or a cascade of OpenCV, sees one."""
    crops = []
    for number, picture in enumerate(_faceless(pictures, cuts, textures)):
        found = _seen_by_finder(grids, picture)
        squares = np.concatenate([found.squares, _seen_by_cascades(picture)])
        angles = np.concatenate([found.angles, np.zeros(len(squares) - len(found))])
        levels = Levels(picture)
        rng = np.random.default_rng((SEED, number))
        for square, angle in list(zip(squares, angles, strict=True))[:60]:
            moved = square + rng.normal(0, 0.06, 3) * square[2]
            crops.append(levels.crop(moved, float(angle + rng.normal(0, 0.1))))
    return np.asarray(crops, np.uint8).reshape(-1, 64, 64)


def _faceless(pictures: Sequence[NDArray[np.uint8]], cuts: int, textures: int) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(SEED)
    for picture in pictures:
        for _ in range(cuts):
            height, width = picture.shape
            cut = int(min(height, width) * rng.uniform(0.3, 1))
            top, left = int(rng.integers(0, height - cut + 1)), int(rng.integers(0, width - cut + 1))
            piece = picture[top : top + cut, left : left + cut]
            side = int(32 * rng.integers(5, 15))
            yield np.asarray(
                cv2.resize(piece, (side, side), interpolation=cv2.INTER_AREA if side < cut else cv2.INTER_LINEAR),
                np.uint8,
            )
    for _ in range(textures):
        yield texture(rng, 320)


def _seen_by_finder(grids: Grids, picture: NDArray[np.uint8]) -> Detections:
    scores, squares, points = guesses(grids(picture), _MINED_SCORE)
    kept = surest(scores, squares)
    return Detections(squares[kept], scores[kept], points[kept])


def _seen_by_cascades(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    boxes = [
        box
        for name in _CASCADES
        for box in cv2.CascadeClassifier(f"{CASCADE_FOLDER}/{name}.xml").detectMultiScale(picture, 1.2, 1, 0, (20, 20))
    ]
    return np.asarray([(x + w / 2 - 0.5, y + h / 2 - 0.5, max(w, h)) for x, y, w, h in boxes], np.float64).reshape(
        -1, 3
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def make_as_typed() -> None:
    """Read what was typed, and make."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backgrounds", nargs="+", type=Path, help="folders of pictures, or pictures, without people")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--finder-steps", type=int, default=6000)
    parser.add_argument("--refiner-steps", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    make(
        arguments.backgrounds, arguments.out, finder_steps=arguments.finder_steps, refiner_steps=arguments.refiner_steps
    )


if __name__ == "__main__":
    make_as_typed()
