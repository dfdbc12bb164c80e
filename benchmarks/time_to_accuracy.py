"""Seconds of training until a recipe passes a level on held-out rows, recipes in turns on one machine.

    python benchmarks/time_to_accuracy.py ../shared/data/fkd/training.zip --seeds 0 1 --levels 1.9 1.5 1.4 \
        --recipe default --recipe 'before: epochs=26 loss.heat_map_weight=0 optimiser.name="adamw" \
            optimiser.learning_rate=0.004 schedule.warm_up=0.1'
    python benchmarks/time_to_accuracy.py ../shared/data/pins --task identification --levels 0.5 0.6 0.7

A level is passed when the mean of three successive evaluations is better. Of keypoints that is the RMSE in pixels over the points less
than 9% of the width off, on a fifth of the rows, about eight times an epoch; of names the balanced accuracy on a tenth of each person's
photos, twice an epoch. Only training steps are counted: seconds by the clock, and seconds of processor time, which other processes
disturb less. `--until LEVEL` ends a run as soon as it has passed that level.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.metrics.keypoint_errors import robust_rmse_error
from facelearn.recipe.recipe import Recipe
from facelearn.runs.train import train
from facelearn.tasks.identification.learn import IdentificationLearner
from facelearn.tasks.keypoints.learn import KeypointLearner
from facelearn.training import loop
from facelearn.training.device import describe_machine

EVALUATIONS_AN_EPOCH = {"keypoints": 8, "identification": 2}
SUCCESSIVE = 3
LEVELS = {"keypoints": [1.9, 1.5, 1.4], "identification": [0.5, 0.6, 0.7]}


class LevelPassedError(Exception):
    """The last level that was asked for is passed."""


class Watch:
    """Times a run's steps and evaluates now and then; the run itself is the library's own, seen from outside."""

    def __init__(self, task: str, until: float | None) -> None:
        self.often = EVALUATIONS_AN_EPOCH[task]
        self.sign = 1 if task == "keypoints" else -1  # of what is better when it is lower
        self.until, self.wall, self.processor = until, 0.0, 0.0
        self.rows: list[tuple[float, float, float]] = []  # seconds, of the processor, measure
        self.value = np.nan

    def better(self, end: int, level: float) -> bool:
        """Whether the evaluations just before `end` are better than the level."""
        found = [value for _, _, value in self.rows[max(0, end - SUCCESSIVE) : end]]
        return len(found) == SUCCESSIVE and self.sign * float(np.mean(found)) < self.sign * level

    def passed(self, level: float) -> tuple[float, float] | None:
        """Seconds, and of the processor, at which `level` was passed."""
        ends = (end for end in range(1, len(self.rows) + 1) if self.better(end, level))
        return next((self.rows[end - 1][:2] for end in ends), None)

    def step(self, run: Any, rows: Any) -> float:
        """In the place of a step of the run."""
        wall, processor = time.perf_counter(), time.process_time()
        loss = OWN_STEP(run, rows)
        self.wall += time.perf_counter() - wall
        self.processor += time.process_time() - processor
        last = run.progress.step + 1 == run.batches * run.progress.epochs
        if last or (run.progress.step + 1) % max(1, run.batches // self.often) == 0:
            run.validate(run.valid)
            run.training_mode()
            self.rows.append((self.wall, self.processor, self.value))
            if self.until is not None and self.better(len(self.rows), self.until):
                raise LevelPassedError
        return loss

    def measure_keypoints(self, learner: KeypointLearner, combined: Any, targets: Any) -> dict[str, float]:
        """In the place of the learner's measures of held-out rows."""
        chosen = combined[np.arange(len(combined)), targets["scheme"], :, :2].astype(np.float64)
        self.value = robust_rmse_error(chosen, targets["points"], learner.image_size[1]).value
        return OWN_KEYPOINTS(learner, combined, targets)

    def measure_names(self, learner: IdentificationLearner, combined: Any, targets: Any) -> dict[str, float]:
        """In the place of the learner's measures of held-out rows."""
        found = OWN_NAMES(learner, combined, targets)
        self.value = found["valid_balanced_accuracy_score"]
        return found


OWN_STEP, OWN_KEYPOINTS, OWN_NAMES = loop._Fit.step, KeypointLearner.measure, IdentificationLearner.measure


def watched(data: Path, recipe: Recipe, until: float | None) -> Watch:
    """One run."""
    watch = Watch(recipe.task, until)
    loop._Fit.step = lambda run, rows: watch.step(run, rows)  # type: ignore[method-assign]
    KeypointLearner.measure = lambda learner, *given: watch.measure_keypoints(learner, *given)  # type: ignore[method-assign]
    IdentificationLearner.measure = lambda learner, *given: watch.measure_names(learner, *given)  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            train(data, Path(folder) / "run", recipe=recipe)
    except LevelPassedError:
        pass
    finally:
        loop._Fit.step, KeypointLearner.measure = OWN_STEP, OWN_KEYPOINTS  # type: ignore[method-assign]
        IdentificationLearner.measure = OWN_NAMES  # type: ignore[method-assign]
    return watch


def recipe_of(text: str) -> tuple[str, dict[str, Any]]:
    """`NAME` or `NAME: setting=value setting=value`."""
    name, _, said = text.partition(":")
    changes: dict[str, Any] = {}
    for part in said.split():
        key, _, value = part.partition("=")
        try:
            changes[key] = json.loads(value)
        except json.JSONDecodeError:
            changes[key] = value
    return name.strip(), changes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", action="append", help="NAME, or 'NAME: setting=value ...'; may be repeated")
    parser.add_argument("--task", choices=LEVELS, default="keypoints")
    parser.add_argument("--levels", type=float, nargs="+", help="in pixels, or as shares of 1")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--until", type=float)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    recipes = [recipe_of(text) for text in arguments.recipe or ["default"]]
    print(json.dumps(describe_machine()))
    levels = arguments.levels or LEVELS[arguments.task]
    heads = "".join(f"{f'to {level:g}':>18}" for level in levels)
    print(f"{'recipe':<20}{'seed':>5}{heads}{'whole run':>18}{'last':>12}   seconds (of the processor)")
    for seed in arguments.seeds:
        for name, changes in recipes:
            own: dict[str, Any] = {"seed": seed, "threads": arguments.threads}
            own |= {"split.valid": 0.2} if arguments.task == "keypoints" else {}
            recipe = Recipe.for_task(arguments.task).with_changes(**{**own, **changes})
            watch = watched(arguments.data, recipe, arguments.until)
            passed = [watch.passed(level) for level in levels] + [(watch.wall, watch.processor)]
            cells = ["-" if one is None else f"{one[0]:.1f} ({one[1]:.1f})" for one in passed]
            print(
                f"{name:<20}{seed:>5}{''.join(f'{cell:>18}' for cell in cells)}{watch.rows[-1][2]:>12.3f}", flush=True
            )


if __name__ == "__main__":
    main()
