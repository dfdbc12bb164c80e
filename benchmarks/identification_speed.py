"""How many times faster facelearn trains classifiers and embeddings of people than a plain PyTorch loop, on the same photos and machine.

    python benchmarks/identification_speed.py --data ../shared/data/pins [--rounds 3] [--images 2048] [--networks tronnet ...]

Each measurement is a whole epoch at batch 64, augmentation and validation counted, in a process of its own. The plain loop: fp32, its
process without our allocator setting, a Dataset that decodes and augments each photo with Pillow, the fastest of 0, 1 and 2 DataLoader
workers. facelearn: `training.loop.fit` on the table that `facelearn.read` keeps in its cache; that reading is printed apart. Both turn,
mirror, shift, scale and brighten alike. A network that facelearn shows smaller photos than they are is measured against two plain loops:
one that makes them as small, each time anew (the same work), and one that trains it on the photos' own 112x112 (the same photos).
A network of embeddings is trained by the cross-entropy of a linear last layer on both sides. Rounds are interleaved; a ratio is the median
of each round's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BATCH, SIZE = 64, 112
SEES = {
    "facelearn_identity": 80,
    "facelearn_embedding": 64,
}  # side in pixels at which a network sees the photos, where that is not theirs
ROTATE, SCALE, SHIFT, BRIGHTNESS = 12.0, 0.15, 0.06, 0.2
WORKERS = (0, 1, 2)
NETWORKS = ("tronnet", "facelearn_identity")


def contenders(network: str) -> list[str]:
    """KIND-SETTING-SIDE: plain loops with so many workers, facelearn in a precision, and the side in pixels that the network sees."""
    side = SEES.get(network, SIZE)
    loops = [f"plain-{workers}-{one}" for one in dict.fromkeys((side, SIZE)) for workers in WORKERS]
    return [*loops, f"facelearn-32-{side}", f"facelearn-bf16-{side}"]


def plain(folder: Path, network: str, workers: int, side: int) -> dict[str, float]:
    """One epoch of a loop as people write it; seconds and images/s."""
    import torch
    from PIL import Image, ImageEnhance
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    from facelearn.models import zoo

    facts = json.loads((folder / "photos.json").read_text())
    files, people = facts["files"], facts["identity"]
    cut = len(files) * 7 // 8
    mean, deviation = (np.asarray(facts[key], np.float32) for key in ("mean", "std"))

    class Photos(Dataset):
        def __init__(self, rows, augment):
            self.rows, self.augment = rows, augment

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            row = self.rows[index]
            image = Image.open(files[row]).convert("RGB")
            if image.size != (side, side):
                image = image.resize((side, side), Image.Resampling.BILINEAR)
            if self.augment:
                random = np.random
                if random.random() < 0.5:
                    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                angle, zoom = np.deg2rad(random.uniform(-ROTATE, ROTATE)), 1 + random.uniform(-SCALE, SCALE)
                a, b = np.cos(angle) / zoom, np.sin(angle) / zoom
                centre = (side - 1) / 2
                dx, dy = centre + random.uniform(-SHIFT, SHIFT, 2) * side
                matrix = (a, b, centre - a * dx - b * dy, -b, a, centre + b * dx - a * dy)
                image = image.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
                image = ImageEnhance.Brightness(image).enhance(1 + random.uniform(-BRIGHTNESS, BRIGHTNESS))
            pixels = (np.asarray(image, np.float32) - mean) / deviation
            return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), people[row]

    loaders = [
        DataLoader(Photos(rows, augment), BATCH, shuffle=augment, num_workers=workers)
        for rows, augment in ((range(cut), True), (range(cut, len(files)), False))
    ]
    if zoo.model_info(network).gives == "embedding":
        model = nn.Sequential(
            zoo.build(network, in_channels=3, image_size=(side, side), outputs=256), nn.Linear(256, max(people) + 1)
        )
    else:
        model = zoo.build(network, in_channels=3, image_size=(side, side), outputs=max(people) + 1)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    criterion = nn.CrossEntropyLoss()

    def train(batch):
        optimiser.zero_grad()
        criterion(model(batch[0]), batch[1]).backward()
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
        for pixels, truth in loaders[1]:
            criterion(model(pixels), truth)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "images_per_second": cut / seconds}


def ours(folder: Path, network: str, precision: str, side: int) -> dict[str, float]:
    """One epoch of `facelearn.training.loop.fit`, and the share of it that the data path takes."""
    import torch

    from facelearn.data.faces import Faces
    from facelearn.models import zoo
    from facelearn.recipe.recipe import Recipe
    from facelearn.tasks import TASKS
    from facelearn.training.batches import TrainingData
    from facelearn.training.device import apply, choose_device
    from facelearn.training.loop import fit
    from facelearn.transforms.augment.variation import Augment
    from facelearn.transforms.preprocess import Preprocess

    settings = choose_device("cpu", precision=precision, threads=torch.get_num_threads())
    apply(settings)
    faces = Faces.load(folder / "table")
    cut = len(faces) * 7 // 8
    train, valid = faces[:cut], faces[cut:]
    embeds = zoo.model_info(network).gives == "embedding"
    task = TASKS["verification" if embeds else "identification"]
    recipe = Recipe(task=task.name).with_changes(
        model__name=network, loss={"name": "softmax" if embeds else "cross_entropy", "options": {}}, batch_size=BATCH, epochs=2,
        precision=precision, average_decay=0, optimiser__learning_rate=1e-3,
        augment={
            "mirror": 0.5, "rotate": ROTATE, "scale": [1 / (1 + SCALE), 1 + SCALE], "shift": SHIFT, "stretch": 0.0,
            "brightness": BRIGHTNESS / 2,
        },
    )  # fmt: skip
    preprocess = Preprocess.from_steps([{"name": "resize", "size": side}, "standardise"]).fit(train.images)
    people = len(np.unique(train.identity))
    outputs = 256 if embeds else people
    model = zoo.build(network, in_channels=3, image_size=(side, side), outputs=outputs)
    learner = task.learner(recipe, train, model, {"outputs": outputs})
    data = [TrainingData(rows, preprocess, learner.targets(rows)) for rows in (train, valid)]
    augment = Augment(recipe.augment, faces.schema)
    result = fit(learner, *data, recipe, settings, augment=augment)
    seconds = result.progress.history[1]["seconds"] - result.progress.history[0]["seconds"]
    random = torch.Generator().manual_seed(0)
    begin = time.perf_counter()
    for start in range(0, cut - BATCH + 1, BATCH):
        data[0].batch(np.arange(start, start + BATCH), augment=augment, generator=random)
    data_share = (time.perf_counter() - begin) / seconds
    return {"seconds": seconds, "images_per_second": cut / seconds, "data_share": data_share}


def measure(contender: str, network: str, folder: Path) -> dict[str, float]:
    """One contender in a fresh process."""
    command = [sys.executable, __file__, "--one", contender, "--networks", network, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def material(folder: Path, count: int, data: Path) -> float:
    """The photos that all contenders train on, in one order: files for the plain loop, a table for ours; seconds to read that."""
    from facelearn.runs.prepare import read

    begin = time.perf_counter()
    faces = read(data, size=SIZE, color="rgb", cache=str(folder / "cache"))
    seconds = time.perf_counter() - begin
    rows = np.random.default_rng(0).permutation(len(faces))[:count]
    chosen = faces[rows]
    people = np.unique(chosen.identity, return_inverse=True)[1]
    chosen.save(folder / "table")
    pixels = chosen.images.astype(np.float32)
    facts = {
        "files": [os.path.abspath(source) for source in chosen.source.tolist()], "identity": people.tolist(),
        "mean": pixels.mean((0, 1, 2)).tolist(), "std": pixels.std((0, 1, 2)).tolist(),
    }  # fmt: skip
    (folder / "photos.json").write_text(json.dumps(facts))
    print(f"{len(faces):,} photos read into the cache in {seconds:.1f} s, once")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of photos, one folder a person")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, setting, side = arguments.one.split("-")
        network = arguments.networks[0]
        result = (
            plain(arguments.folder, network, int(setting), int(side))
            if kind == "plain"
            else ours(arguments.folder, network, setting, int(side))
        )
        print(json.dumps(result))
        return
    if arguments.data is None:
        parser.error("say which photos, e.g. --data people/")
    from facelearn.training.device import describe_machine

    print(json.dumps(describe_machine()))
    with tempfile.TemporaryDirectory() as name:
        material(Path(name), arguments.images, arguments.data)
        for network in arguments.networks:
            names = contenders(network)
            rounds = [{one: measure(one, network, Path(name)) for one in names} for _ in range(arguments.rounds)]
            print(
                f"\n{network}, batch {BATCH}, {arguments.images} photos of {SIZE}x{SIZE}, whole epoch, median of {arguments.rounds}"
            )
            for one in names:
                speed = np.median([r[one]["images_per_second"] for r in rounds])
                print(f"{one:<18}{speed:8.0f} images/s{against(rounds, one, names) if one.startswith('f') else ''}")


def against(rounds: list[dict[str, dict[str, float]]], one: str, names: list[str]) -> str:
    """How many times as fast as the fastest plain loop at each side, and the data path's share."""
    said = []
    for side in dict.fromkeys(name.split("-")[2] for name in names):
        loops = [name for name in names if name.startswith("plain") and name.endswith(f"-{side}")]
        ratios = [r[one]["images_per_second"] / max(r[name]["images_per_second"] for name in loops) for r in rounds]
        said.append(f"{np.median(ratios):5.2f} x the fastest plain loop at {side}x{side}")
    share = np.median([r[one]["data_share"] for r in rounds])
    return f"   {', '.join(said)}, data path {share:.1%} of the epoch"


if __name__ == "__main__":
    main()
