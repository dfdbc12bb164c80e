"""How many times faster facelearn trains ML-ResNet than a plain PyTorch loop, on the same images and the same machine.

    python benchmarks/training_speed.py [--rounds 3] [--images 2048] [--data ../shared/data/fkd/training.zip]

Each measurement is a whole epoch, augmentation and validation counted, in a process of its own. The plain loop: fp32, its process
without our allocator setting, a Dataset that augments each sample with OpenCV, the fastest of 0, 1 and 2 DataLoader workers.
Rounds are interleaved; a ratio is the median of each round's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BATCH = 128
ROTATE, SCALE, SHIFT, BRIGHTNESS = 15.0, 0.1, 0.05, 0.2
CONTENDERS = ("plain-0", "plain-1", "plain-2", "facelearn-32", "facelearn-bf16")


def plain(folder: Path, workers: int) -> dict[str, float]:
    """One epoch of a loop as people write it; seconds and images/s."""
    import cv2
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    from facelearn.data.schema import FKD15
    from facelearn.models import zoo

    images, points = np.load(folder / "images.npy"), np.load(folder / "points.npy")
    cut = len(images) * 7 // 8

    class Samples(Dataset):
        def __init__(self, rows, augment):
            self.rows, self.augment = rows, augment

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            image, target = images[self.rows[index], :, :, 0], points[self.rows[index]].copy()
            size = image.shape[0]
            if self.augment:
                random = np.random
                if random.random() < 0.5:
                    image = image[:, ::-1]
                    target[:, 0] = size - 1 - target[:, 0]
                    target = target[FKD15.mirror_index]
                turn, zoom = random.uniform(-ROTATE, ROTATE), 1 + random.uniform(-SCALE, SCALE)
                matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), turn, zoom)
                matrix[:, 2] += random.uniform(-SHIFT, SHIFT, 2) * size
                image = cv2.warpAffine(
                    np.ascontiguousarray(image), matrix, (size, size), borderMode=cv2.BORDER_REPLICATE
                )
                target = target @ matrix[:, :2].T + matrix[:, 2]
                image = np.clip(image * (1 + random.uniform(-BRIGHTNESS, BRIGHTNESS)), 0, 255)
            pixels = (image.astype(np.float32) - 128) / 64
            return torch.from_numpy(pixels[None]), torch.from_numpy(((2 * target + 1) / size - 1).astype(np.float32))

    loaders = [
        DataLoader(Samples(rows, augment), BATCH, shuffle=augment, num_workers=workers)
        for rows, augment in ((np.arange(cut), True), (np.arange(cut, len(images)), False))
    ]
    model = zoo.build("ml_resnet")
    optimiser = torch.optim.Adam(model.parameters(), 1e-4)

    def loss_of(batch):
        pixels, target = batch
        mask = ~torch.isnan(target)
        return (((model(pixels).view_as(target) - torch.nan_to_num(target)) ** 2) * mask).sum() / mask.sum()

    def train(batch):
        optimiser.zero_grad()
        loss_of(batch).backward()
        optimiser.step()

    nn.Module.train(model)
    first = next(iter(loaders[0]))
    for _ in range(2):
        train(first)
    begin = time.perf_counter()
    for batch in loaders[0]:
        train(batch)
    model.eval()
    with torch.no_grad():
        for batch in loaders[1]:
            loss_of(batch)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "images_per_second": cut / seconds}


def ours(folder: Path, precision: str) -> dict[str, float]:
    """One epoch of `facelearn.training.loop.fit`, and the share of it that the data path takes."""
    import torch

    from facelearn.data.faces import Faces
    from facelearn.data.schema import FKD15
    from facelearn.models import zoo
    from facelearn.recipe.recipe import Recipe
    from facelearn.tasks.keypoints.learn import KeypointLearner
    from facelearn.training.batches import TrainingData
    from facelearn.training.device import apply, choose_device
    from facelearn.training.loop import fit
    from facelearn.transforms.augment.variation import Augment
    from facelearn.transforms.preprocess import Preprocess

    settings = choose_device("cpu", precision=precision, threads=torch.get_num_threads())
    apply(settings)
    faces = Faces.create(np.load(folder / "images.npy"), keypoints=np.load(folder / "points.npy"), schema=FKD15)
    cut = len(faces) * 7 // 8
    train, valid = faces[:cut], faces[cut:]
    recipe = Recipe().with_changes(
        model={"name": "ml_resnet"}, loss={"name": "masked_mse_per_valid"}, batch_size=BATCH, epochs=2, precision=precision,
        optimiser={"name": "adam", "learning_rate": 1e-4, "weight_decay": 0.0}, average_decay=0, schemes="one", mirrored_prediction=False,
        augment={
            "mirror": 0.5, "rotate": ROTATE, "scale": [1 - SCALE, 1 + SCALE], "shift": SHIFT, "stretch": 0.0,
            "contrast": [1 - BRIGHTNESS, 1 + BRIGHTNESS],
        },
    )  # fmt: skip
    preprocess = Preprocess.from_steps(["standardise"]).fit(train.images)
    learner = KeypointLearner(recipe, train, zoo.build("ml_resnet"), image_size=(faces.height, faces.width))
    data = [TrainingData(rows, preprocess, learner.targets(rows)) for rows in (train, valid)]
    augment = Augment(recipe.augment, faces.schema)
    result = fit(learner, *data, recipe, settings, augment=augment)
    seconds = result.progress.history[1]["seconds"] - result.progress.history[0]["seconds"]
    random = torch.Generator().manual_seed(0)
    begin = time.perf_counter()
    for start in range(0, cut - BATCH + 1, BATCH):
        data[0].batch(np.arange(start, start + BATCH), augment=augment, generator=random)
    return {
        "seconds": seconds,
        "images_per_second": cut / seconds,
        "data_share": (time.perf_counter() - begin) / seconds,
    }


def measure(contender: str, folder: Path) -> dict[str, float]:
    """One contender in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", contender, "--folder", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def material(folder: Path, count: int, data: Path | None) -> None:
    """The images and labels that all contenders train on."""
    if data is None:
        from facelearn.data.synthetic import synthetic_faces

        faces = synthetic_faces(count, missing="competition")
    else:
        from facelearn.runs.prepare import read

        faces = read(data)[:count]
    np.save(folder / "images.npy", faces.images)
    np.save(folder / "points.npy", faces.keypoints)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, setting = arguments.one.split("-")
        result = plain(arguments.folder, int(setting)) if kind == "plain" else ours(arguments.folder, setting)
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as name:
        material(Path(name), arguments.images, arguments.data)
        rounds = [{one: measure(one, Path(name)) for one in CONTENDERS} for _ in range(arguments.rounds)]
    from facelearn.training.device import describe_machine

    print(json.dumps(describe_machine()))
    print(
        f"ML-ResNet, batch {BATCH}, {arguments.images} images, whole epoch with augmentation and validation, median of {arguments.rounds}"
    )
    for one in CONTENDERS:
        ratios = [r[one]["images_per_second"] / max(r[p]["images_per_second"] for p in CONTENDERS[:3]) for r in rounds]
        speed = np.median([r[one]["images_per_second"] for r in rounds])
        share = (
            f", data path {np.median([r[one]['data_share'] for r in rounds]):.1%} of the epoch"
            if one.startswith("f")
            else ""
        )
        print(f"{one:<16}{speed:8.0f} images/s   {np.median(ratios):5.2f} x the fastest plain loop{share}")


if __name__ == "__main__":
    main()
