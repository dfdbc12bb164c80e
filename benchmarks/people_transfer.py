"""What a network trained on some people is worth for others, of whom there are few photos.

    python benchmarks/people_transfer.py ../shared/data/pins [--photos 6] [--epochs 30] [--minutes 8] [--source MODEL]

Half of the people (by the seed) train `facelearn_identity`; of each of the others, so many photos are trained on, starting from nothing,
from that network with only a new last layer, and from it with a tenth of the learning rate below the last layer. All three are measured
on all other photos of these people, near-duplicates of trained ones left out. Nobody of the second half is in the first network.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from facelearn.cli.display import training_display
from facelearn.data.faces import Faces
from facelearn.recipe.recipe import Recipe
from facelearn.runs.fit_rows import train_parts
from facelearn.runs.prepare import read
from facelearn.runs.train import train
from facelearn.splits.groups import person_units
from facelearn.training.device import apply, choose_device

STARTS = {
    "from nothing": {},
    "new last layer only": {"freeze": "body"},
    "all, a tenth of the rate below": {"body_rate": 0.1},
}


def few(faces: Faces, photos: int, seed: int) -> tuple[Faces, Faces]:
    """`photos` of each person to train on, and all their others that look like none of these."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(faces))
    place = np.empty(len(faces), np.int64)  # of each face among its person's
    for person in np.unique(faces.identity):
        mine = rows[faces.identity[rows] == person]
        place[mine] = np.arange(len(mine))
    chosen = place < photos
    units = person_units(faces, "auto")[0].of_row
    return faces[chosen], faces[~chosen & ~np.isin(units, units[chosen])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--photos", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=30, help="passes over the few photos")
    parser.add_argument("--minutes", type=float, default=8.0, help="for the first network")
    parser.add_argument("--source", type=Path, help="the first network, where it was trained before with the same seed")
    parser.add_argument("--out", type=Path, default=Path("runs/people_transfer"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    faces = read(arguments.data, color="rgb")
    order = np.random.default_rng(arguments.seed).permutation(len(faces.people))
    first = np.isin(faces.identity, order[: len(order) // 2])
    source = arguments.source or arguments.out / "first" / "model.safetensors"
    if not source.exists():
        with training_display("first people") as reporter:
            train(
                faces[first], arguments.out / "first", task="identification", overwrite=True, reporter=reporter,
                changes={"budget_seconds": 60 * arguments.minutes, "split__test": 0.0, "split__strangers": 0.0, "seed": arguments.seed},
            )  # fmt: skip
    learned, measured = few(faces[~first], arguments.photos, arguments.seed)
    apply(choose_device())
    people = len(np.unique(learned.identity))
    print(
        f"{people} people, {arguments.photos} photos of each trained on for {arguments.epochs} epochs, {len(measured):,} others measured"
    )
    for name, settings in STARTS.items():
        recipe = Recipe(task="identification").with_changes(
            epochs=arguments.epochs, seed=arguments.seed, batch_size=16, average_decay=0.98,
            split__valid=0.0, split__test=0.0, split__strangers=0.0,
            transfer={"source": str(source), **settings} if settings else {},
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            result = train_parts(learned, learned[:0], folder, recipe=recipe, held_out={"test": measured})
        score = result.metrics["balanced_accuracy_score"]
        print(
            f"{name:<32} balanced accuracy {score['value']:.1%} ({score['low']:.1%} to {score['high']:.1%}), "
            f"{result.summary['seconds']:.0f} s"
        )


if __name__ == "__main__":
    main()
