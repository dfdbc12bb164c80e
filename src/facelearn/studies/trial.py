"""One trial of a search: draw, train, watch, score."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
from optuna.trial import Trial

from facelearn.errors import DataError, RecipeError
from facelearn.files import write_text
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.space import Dimension
from facelearn.record.folder import RunFolder
from facelearn.runs.fit_rows import fit_parts, write_fitted
from facelearn.runs.prepare import ReadResult
from facelearn.splits.split import Split
from facelearn.studies.search import Search, TrialFacts
from facelearn.studies.suggest import recipe_with
from facelearn.tasks import TASKS
from facelearn.training.loop import Reporter
from facelearn.training.plan import Fitted
from facelearn.training.state import Progress, write_history

DisplayFactory = Callable[[str], AbstractContextManager[Reporter | None]]
Objective = Literal["rmse", "loss"]
ALIVE_SECONDS = 20.0


class _PrunedError(Exception):
    """The trial is worse than half of the others: raised by a callback, so that it ends the training loop."""


class _OutOfTimeError(Exception):
    """The search's time is up: raised by a callback likewise."""


class TrialRunner:
    """Trains the trials of one search on one table.

    Args:
        search: where values come from and scores go.
        read: all rows, and how photos became them.
        parts: one split, or one for each fold, with "train" and "valid".
        recipe: what does not vary.
        space: what does.
        out: gets a folder a trial; files of a model are kept for the best only.
        objective: which column of the history is the score.
        display: gives a context manager with a reporter for a trial's name.
        stop: as `tune`.
    """

    def __init__(
        self,
        search: Search,
        read: ReadResult,
        parts: list[Split],
        recipe: Recipe,
        space: Mapping[str, Dimension],
        out: Path,
        objective: Objective,
        *,
        display: DisplayFactory | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self.search, self.read, self.faces, self.parts = search, read, read.faces, parts
        self.recipe, self.space = recipe, space
        self.out, self.objective, self.stop = out, objective, stop
        self.display: DisplayFactory = display or (lambda name: nullcontext(None))
        self.deadline: float | None = None  # in time.monotonic's seconds

    def run(self) -> tuple[int, bool]:
        """One trial from its draw to its end; returns its number, and True when it was asked to stop."""
        trial, values = self.search.begin(self.space)
        try:
            with self.display(f"trial {trial.number}") as reporter:
                scores = self._scores(trial, recipe_with(self.recipe, values), reporter)
            if scores is None:
                self.search.fail(trial, "stopped")
                return trial.number, True
            self.search.complete(trial, float(np.mean(scores)), tuple(scores) if len(scores) > 1 else ())
        except _PrunedError:
            self.search.prune(
                trial, f"worse than half of the complete trials after epoch {trial.user_attrs.get('epochs', 0)}"
            )
        except _OutOfTimeError:
            self.search.fail(trial, "the time of the search was up")
        except (RecipeError, DataError) as error:
            self.search.prune(trial, " ".join(str(error).split()), refused=not self.folder(trial.number).exists())
        except BaseException as error:
            if _out_of_memory(error):
                self.search.prune(trial, "the network does not fit into memory")
                return trial.number, False
            self.search.fail(trial, type(error).__name__)
            raise
        return trial.number, False

    def folder(self, number: int) -> Path:
        """Where trial `number` keeps its files."""
        return self.out / f"trial-{number:04d}"

    def model_of(self, trial: TrialFacts) -> Path | None:
        """The model file of a trial, where there is one."""
        run = RunFolder(self.folder(trial.number))
        return run.model if run.is_finished else None

    def _scores(self, trial: Trial, recipe: Recipe, reporter: Reporter | None) -> list[float] | None:
        """The score of each fold; None when asked to stop."""
        folder = self.folder(trial.number)
        scores: list[float] = []
        for fold, part in enumerate(self.parts):
            watch = _Watch(self, trial, fold, recipe, reporter or Reporter())
            place = folder if len(self.parts) == 1 else folder / f"fold-{fold + 1}"
            train, valid = (self.faces[part.parts[name]] for name in ("train", "valid"))
            try:
                fitted = fit_parts(
                    train,
                    valid,
                    place,
                    recipe=recipe,
                    facts={"split": part.report()},
                    reporter=watch.reporter(),
                    stop=self.stop,
                )
            finally:
                if watch.history:
                    write_history(RunFolder(place).history, watch.history)
                trial.set_user_attr("epochs", len(watch.history) + trial.user_attrs.get("epochs", 0))
            if fitted.result.stopped:
                return None
            scores.append(_score_of(watch, recipe))
            if 0 < fold < len(self.parts) - 1 and self.search.report(
                trial, recipe.epochs + fold, float(np.mean(scores))
            ):
                raise _PrunedError
        if len(self.parts) == 1:
            self._keep_best(trial, scores[0], fitted)
        return scores

    def _keep_best(self, trial: Trial, score: float, fitted: Fitted) -> None:
        """Write the model file of a trial that is the best so far, and remove that of the one before it."""
        best = self.search.best()
        if best is not None and best.score is not None and best.score <= score:
            return
        own = self.folder(trial.number)
        write_fitted(fitted, own)
        for other in self.out.glob("trial-*"):
            if other != own:
                RunFolder(other).drop_results()


class _Watch:
    """The callbacks of one training: it reports, prunes and looks at the clock."""

    def __init__(self, runner: TrialRunner, trial: Trial, fold: int, recipe: Recipe, inner: Reporter) -> None:
        self.runner, self.trial, self.fold, self.recipe, self.inner = runner, trial, fold, recipe, inner
        self.history: list[dict[str, float]] = []
        self.epochs = 0
        self.said = time.monotonic()

    def reporter(self) -> Reporter:
        """What the training loop calls."""
        return Reporter(self._start, self._batch, self._epoch)

    def score(self, row: dict[str, float]) -> float | None:
        """The score in a row of the history; None where it was not validated, or nothing was measured."""
        value = row.get(TASKS[self.recipe.task].search_columns[self.runner.objective], math.nan)
        return None if math.isnan(value) else value

    def _start(self, progress: Progress, batches: int) -> None:
        self.epochs = progress.epochs
        # only a trial that trains has a folder
        write_text(RunFolder(self.runner.folder(self.trial.number)).recipe, self.recipe.to_toml())
        self.inner.on_start(progress, batches)

    def _batch(self, progress: Progress, images: int, loss: float) -> None:
        self.inner.on_batch(progress, images, loss)
        now = time.monotonic()
        if self.runner.deadline is not None and now > self.runner.deadline:
            raise _OutOfTimeError
        if now - self.said > ALIVE_SECONDS:
            self.said = now
            self.runner.search.alive(self.trial)

    def _epoch(self, row: dict[str, float]) -> None:
        self.history.append(row)
        self.inner.on_epoch(row)
        score, last = self.score(row), row["epoch"] >= self.epochs
        # further folds are compared by their means: their epochs are not those of the first
        if (
            score is not None
            and not self.fold
            and self.runner.search.report(self.trial, int(row["epoch"]), score)
            and not last
        ):
            raise _PrunedError


def _score_of(watch: _Watch, recipe: Recipe) -> float:
    """The score of the epoch whose weights the recipe keeps."""
    rows = [row for row in watch.history if watch.score(row) is not None]
    if not rows:
        raise RecipeError("no held-out row has a label, so the trial has no score")
    row = min(rows, key=lambda one: one["valid_loss"]) if recipe.keep == "best" else rows[-1]
    score = watch.score(row)
    assert score is not None
    return score


def _out_of_memory(error: BaseException) -> bool:
    """Whether torch had no memory left: on a device an error of its own, on the processor a RuntimeError that says so."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )
