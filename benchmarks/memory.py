"""Memory of training on memory-mapped tables of growing size: it follows the batch, not the data.

    python benchmarks/memory.py [--counts 10000 30000 100000] [--steps 60]

Prints the peak of anonymous memory (what the process itself holds; pages of the mapped file, which the system may drop at any time,
are listed apart), each count in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CODE = """
import sys, threading, time
import numpy as np, torch
from facelearn.data.faces import Faces
from facelearn.models import zoo
from facelearn.training.batches import TrainingData
from facelearn.training.device import choose_device, apply
from facelearn.training.loop import fit
from facelearn.training.loop import Reporter
from facelearn.recipe.recipe import Recipe
from facelearn.tasks.keypoints.learn import Keypoints
from facelearn.transforms.augment.variation import Augment
from facelearn.transforms.preprocess import Preprocess

def memory():
    lines = open("/proc/self/status").read().splitlines()
    return [int(next(l for l in lines if l.startswith(k)).split()[1]) / 1024 for k in ("RssAnon", "RssFile")]

faces = Faces.load(sys.argv[1])
steps, peak = int(sys.argv[2]), [0.0, 0.0]
recipe = Recipe().with_changes(model={"name": "mlp"}, batch_size=128, epochs=1, schemes="one", device="cpu")
settings = choose_device("cpu")
apply(settings)
preprocess = Preprocess.from_steps(["standardise"]).fit(faces.images)
task = Keypoints.from_recipe(recipe, faces, (faces.height, faces.width))
data = TrainingData(faces, preprocess, task.targets(faces))
class Enough(Exception): pass
def watch(progress, images, loss):
    peak[:] = [max(a, b) for a, b in zip(peak, memory())]
    if progress.step >= steps: raise Enough
try:
    augment = Augment(recipe.augment, faces.schema)
    fit(zoo.build("mlp"), task, data, None, recipe, settings, augment=augment, reporter=Reporter(on_batch=watch))
except Enough: pass
size = faces.images.nbytes / 2**20
print(f"{len(faces):>8} faces, images {size:7.0f} MiB   own memory {peak[0]:6.0f} MiB   mapped pages {peak[1]:6.0f} MiB")
"""


def main() -> None:
    from facelearn.data.synthetic import synthetic_faces

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    base = synthetic_faces(2_000, missing="competition")
    with tempfile.TemporaryDirectory() as name:
        for count in arguments.counts:
            # repeated rows cost the reader and the loop as much as different ones
            folder = base[np.arange(count) % len(base)].save(Path(name) / str(count))
            done = subprocess.run(
                [sys.executable, "-c", CODE, str(folder), str(arguments.steps)], capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            print(done.stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
