"""Whole epochs of the networks of the W207 study on this machine, beside those that the study printed for its GPU (a K520, by inference).

    python benchmarks/network_epochs.py [--steps 4] [--device auto] [--only net5 --only net6]

An epoch is that of the study: 1,712 images (80% of the 2,140 complete rows of the competition's file), batches of 128, forward,
backward and optimiser through facelearn's own training step. A few steps are timed and the median is scaled to an epoch.
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import time

import numpy as np

from facelearn.data.synthetic import synthetic_faces
from facelearn.models.layers.initialise import initialise
from facelearn.models.zoo import build, model_info
from facelearn.recipe.recipe import Recipe
from facelearn.studies.definition import load_study
from facelearn.tasks.keypoints.learn import KeypointLearner
from facelearn.training.batches import TrainingData
from facelearn.training.device import DeviceSettings, apply, choose_device, describe_machine
from facelearn.training.loop import Reporter, fit
from facelearn.transforms.augment.variation import Augment
from facelearn.transforms.preprocess import Preprocess

ROWS, BATCH = 1712, 128


def seconds_an_epoch(recipe: Recipe, settings: DeviceSettings, steps: int) -> tuple[float, int]:
    """Median seconds of a step times the steps of an epoch, and the number of parameters."""
    faces = synthetic_faces(BATCH, seed=0)
    preprocess = Preprocess.from_steps(list(recipe.preprocess)).fit(faces.images)
    model = initialise(build(recipe.model.name, **recipe.model.options, outputs=30), recipe.model.initialise)
    learner = KeypointLearner(recipe, faces, model, image_size=(96, 96))
    data = TrainingData(faces, preprocess, learner.targets(faces), device=settings.device)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    augment = Augment(recipe.augment, faces.schema)
    ends: list[float] = []  # a step ends with the loss as a number, so the device is done
    reporter = Reporter(on_batch=lambda progress, images, loss: ends.append(time.perf_counter()))
    one_batch = recipe.with_changes(batch_size=BATCH, epochs=steps + 2)
    fit(learner, data, None, one_batch, settings, augment=augment, reporter=reporter)
    return statistics.median(np.diff(ends)[1:]) * math.ceil(ROWS / BATCH), parameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4, help="timed steps for each network")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", action="append", help="name of a network; may be given several times")
    parser.add_argument("--threads", type=int, help="processor threads; as many as others leave cores where not given")
    arguments = parser.parse_args()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    settings = choose_device(arguments.device, threads=arguments.threads)
    apply(settings)
    print(describe_machine(settings))
    print(f"{'network':28}{'parameters':>12}{'then, s':>9}{'here, s':>9}{'then / here':>12}")
    for variation in load_study("w207_networks").variations:
        name = variation.recipe.model.name
        if arguments.only and name not in arguments.only:
            continue
        seconds, parameters = seconds_an_epoch(variation.recipe, settings, arguments.steps)
        assert parameters == model_info(name).parameters
        then = variation.published.get("seconds_per_epoch", math.nan)
        shown = [f"{value:.2f}" if math.isfinite(value) else "-" for value in (then, seconds, then / seconds)]
        print(f"{name:28}{parameters:12,}{shown[0]:>9}{shown[1]:>9}{shown[2]:>12}", flush=True)


if __name__ == "__main__":
    main()
