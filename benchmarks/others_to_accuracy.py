"""Seconds of a plain PyTorch loop and of dlib's trees until the error that `time_to_accuracy.py` prints for facelearn's own recipes.

    pip install --no-deps dlib-bin
    python benchmarks/others_to_accuracy.py ../shared/data/fkd/training.zip [--minutes 15] [--only plain dlib] [--levels 1.9 1.5 1.4]

The same rows are held out, and a level is passed by the mean of three successive evaluations: RMSE in pixels over the points less than 9%
of the width off. Seconds of processor time of one thread, of training alone. The plain loop is one as people write it: float32, a Dataset
that turns and scales each sample with OpenCV, Adam at 1e-3, squared error of the coordinates that have a label, for the published ML-ResNet
and for facelearn's own network. dlib is trained whole with two cascades, five and ten, its default, and default settings otherwise; its
points are whole numbers, so it gets images and labels four times as large.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

import facelearn
from facelearn.data.faces import Faces
from facelearn.metrics.keypoint_errors import robust_rmse_error
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.tasks.keypoints import Keypoints
from facelearn.training.device import describe_machine

SUCCESSIVE = 3
BATCH = 32
ROTATE, ZOOM = 15.0, 0.1
ENLARGED, CASCADES = 4, (2, 5, 10)
Curve = Iterator[tuple[float, float]]
"""Seconds of the processor so far, and the error at the held-out rows."""


def augmented(image: np.ndarray, points: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One sample, (H, W) and (K, 2), turned and scaled."""
    size = len(image)
    centre, turn, zoom = ((size - 1) / 2,) * 2, random.uniform(-ROTATE, ROTATE), 1 + random.uniform(-ZOOM, ZOOM)
    matrix = cv2.getRotationMatrix2D(centre, turn, zoom)
    turned = cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return turned, points @ matrix[:, :2].T + matrix[:, 2]


class Samples(torch.utils.data.Dataset):
    """Pixels about 0, and points from -1 to 1."""

    def __init__(self, faces: Faces, augment: bool) -> None:
        self.images, self.points, self.augment = np.ascontiguousarray(faces.images[..., 0]), faces.keypoints, augment
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, points = self.images[index], self.points[index]
        if self.augment:
            image, points = augmented(image, points, self.random)
        unit = (2 * points + 1) / len(image) - 1
        return torch.from_numpy((image[None].astype(np.float32) - 128) / 64), torch.from_numpy(unit.astype(np.float32))


def plain(network: str, train: Faces, valid: Faces) -> Curve:
    """A plain loop; an evaluation after each epoch."""
    torch.manual_seed(0)
    model = zoo.build(network)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    loader = torch.utils.data.DataLoader(Samples(train, True), BATCH, shuffle=True)
    held_out, spent = torch.stack([pixels for pixels, _ in Samples(valid, False)]), 0.0
    while True:
        begin = time.process_time()
        model.train()
        for pixels, target in loader:
            known = ~torch.isnan(target)
            difference = model(pixels).view_as(target) - torch.nan_to_num(target)
            optimiser.zero_grad()
            ((difference**2 * known).sum() / known.sum()).backward()
            optimiser.step()
        spent += time.process_time() - begin
        model.eval()
        with torch.no_grad():
            found = torch.cat([model(part) for part in held_out.split(64)]).view(len(valid), -1, 2).double().numpy()
        yield spent, robust_rmse_error(((found + 1) * valid.width - 1) / 2, valid.keypoints, valid.width).value


def trees(train: Faces, valid: Faces) -> Curve:
    """dlib's ensemble of regression trees (Kazemi & Sullivan 2014), trained from the start with more and more cascades."""
    import dlib

    def images(faces: Faces) -> list[np.ndarray]:
        sides = (faces.width * ENLARGED, faces.height * ENLARGED)
        return [cv2.resize(image, sides, interpolation=cv2.INTER_LINEAR) for image in faces.images[..., 0]]

    def enlarged(points: np.ndarray) -> np.ndarray:
        return (points + 0.5) * ENLARGED - 0.5

    whole = dlib.rectangle(0, 0, train.width * ENLARGED - 1, train.height * ENLARGED - 1)
    missing = dlib.point(2**31 - 1, 2**31 - 1)  # what dlib takes for a part that is not there
    labels = [
        [
            dlib.full_object_detection(
                whole, [missing if np.isnan(x) else dlib.point(round(x), round(y)) for x, y in points]
            )
        ]
        for points in enlarged(train.keypoints.astype(np.float64))
    ]
    pictures, held_out = images(train), images(valid)
    for cascades in CASCADES:
        options = dlib.shape_predictor_training_options()
        options.cascade_depth, options.num_threads, options.random_seed = cascades, 1, "0"
        begin = time.process_time()
        predictor = dlib.train_shape_predictor(pictures, labels, options)
        spent = time.process_time() - begin
        found = np.array([[(point.x, point.y) for point in predictor(image, whole).parts()] for image in held_out])
        yield spent, robust_rmse_error((found + 0.5) / ENLARGED - 0.5, valid.keypoints, valid.width).value


def passed(curve: list[tuple[float, float]], level: float, successive: int) -> str:
    """Seconds at which `level` was passed by the mean of so many evaluations."""
    for end in range(successive, len(curve) + 1):
        if np.mean([error for _, error in curve[end - successive : end]]) < level:
            return f"{curve[end - 1][0]:.1f}"
    return "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=15, help="of processor time, of each")
    parser.add_argument("--only", nargs="+", default=["plain", "dlib"], choices=["plain", "dlib"])
    parser.add_argument("--levels", type=float, nargs="+", default=[1.9, 1.7, 1.5, 1.4])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print(json.dumps(describe_machine()))
    faces = facelearn.read(arguments.data)
    recipe = Recipe().with_changes(split={"valid": 0.2})
    parts = Keypoints().split(faces, recipe).parts
    train, valid = faces[parts["train"]], faces[parts["valid"]]
    train = train[train.labelled.any(1)]
    contenders: dict[str, tuple[Callable[[], Curve], int]] = {}
    if "plain" in arguments.only:
        for network in ("ml_resnet", "facelearn_keypoints"):
            contenders[f"plain loop, {network}"] = (
                lambda network=network: plain(network, train, valid),  # type: ignore[misc]
                SUCCESSIVE,
            )
    if "dlib" in arguments.only:
        contenders["dlib's trees"] = (lambda: trees(train, valid), 1)  # each evaluation is a training of its own
    for name, (begin, successive) in contenders.items():
        curve: list[tuple[float, float]] = []
        for point in begin():
            curve.append(point)
            print(f"    {name}: {point[0]:.1f} s, {point[1]:.3f} px", flush=True)
            if point[0] > arguments.minutes * 60 or passed(curve, min(arguments.levels), successive) != "-":
                break
        levels = ", ".join(f"{level:g} px {passed(curve, level, successive)}" for level in arguments.levels)
        print(
            f"{name}: seconds to {levels}; last {curve[-1][1]:.3f} px, best {min(e for _, e in curve):.3f} px",
            flush=True,
        )


if __name__ == "__main__":
    main()
