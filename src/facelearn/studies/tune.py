"""The verb `tune`: search for a better recipe, trial by trial, in a storage that outlives the process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

from facelearn.data.faces import Faces
from facelearn.errors import DataError, FacelearnError, Problem, RecipeError
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.resolve import Draft, resolve
from facelearn.recipe.space import Dimension
from facelearn.record.folder import RunFolder
from facelearn.runs.train import read_rows, source_network
from facelearn.splits.split import Split
from facelearn.studies.search import SamplerName, Search, TrialFacts, open_search
from facelearn.studies.search_files import write_search
from facelearn.studies.suggest import check_space, default_space, recipe_with
from facelearn.studies.trial import DisplayFactory, Objective, TrialRunner
from facelearn.tasks import TASKS
from facelearn.training.device import apply, choose_device

STORAGE = "tuning.sqlite"
DEFAULT_TRIALS = 20
PRUNE_SHARE = 4  # no trial is pruned in the first quarter of its epochs
MOST_REFUSED = 30  # for each other trial: a space of which next to nothing makes a network is a mistake


@dataclass(frozen=True)
class TuneResult:
    """What `tune` gives.

    Attributes:
        folder: where everything is.
        best: the trial with the lowest score; None when the search was stopped before one was complete.
        best_recipe: best_recipe.toml, a recipe for `facelearn train`.
        model: the best trial's model file; None with folds, whose models are many, or where another machine trained it.
        trials: all of them, by number.
        importance: share of the score's variance by parameter; empty below four complete trials.
        report: tune.html.
        objective: what the score is: "rmse" (pixels of the images as read) or "loss".
        stopped: True when it was asked to stop early; the same call goes on.
        skipped, warnings: what the reader left out, and what it wants to be known.
    """

    folder: Path
    best: TrialFacts | None
    best_recipe: Path | None
    model: Path | None
    trials: tuple[TrialFacts, ...]
    importance: dict[str, float]
    report: Path | None
    objective: Objective
    stopped: bool = False
    skipped: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def tune(
    data: str | Path | Faces,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    trials: int | None = None,
    budget: float | None = None,
    folds: int | None = None,
    objective: Objective = "rmse",
    sampler: SamplerName = "random",
    seed: int = 0,
    prune: bool = True,
    storage: str | None = None,
    name: str = "facelearn",
    on_error: Literal["stop", "skip"] | None = None,
    display: DisplayFactory | None = None,
    on_trial: Callable[[TrialFacts, TrialFacts | None], None] | None = None,
    read_progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> TuneResult:
    """Search the space in `recipe.search` for the values with the lowest error on the held-out rows.

    Called again with the same arguments it goes on where it ended, to `trials` in all. With a storage that several machines reach, each
    runs the same call and they share the trials. There is no test split: measure the winner on rows that the search never saw.

    Args:
        data: a path that `facelearn.read` takes, or `Faces`.
        out: folder for trials.csv, best_recipe.toml, tune.html, the plots, and a folder a trial.
        recipe: what does not vary, and in `search` what does; without a search section `default_space(recipe)` is searched.
        trials: how many in all, earlier sittings included and refused ones not; 20 where no budget is given either.
        budget: seconds of this sitting; a trial in progress at its end does not count.
        folds: score each trial by its mean over so many folds instead of one split; from 2.
        objective: "rmse", in pixels of the images as read, or "loss", the recipe's own.
        sampler: "random", or "tpe", which learns from the trials so far.
        seed: of the sampler; every trial trains with the recipe's own.
        prune: end a trial at an epoch at which it is worse than half of the complete ones.
        storage: any Optuna address; a SQLite file in `out` where not given.
        name: of the search in the storage.
        on_error: as `facelearn.runs.train.train`.
        display: gives a context manager with a reporter for a trial's name.
        on_trial: called with each ended trial and the best so far.
        read_progress: called with (done, all) while images are decoded.
        stop: asked after every batch; once it says True, the trial in progress is dropped and the search ends; the same call goes on.

    Raises:
        DataError: unreadable data, data without keypoints, or fewer groups than folds.
        RecipeError: a space or recipe that cannot be carried out.
        FacelearnError: a storage that cannot be opened or holds another search, or no trial that completed.
    """
    out = Path(out)
    base, space = _base_and_space(recipe or Recipe(), on_error)
    _check_request(base, trials, budget, folds)
    apply(choose_device(base.device, precision=base.precision, threads=base.threads))
    read = read_rows(data, base, RunFolder(out), read_progress, task=base.task)
    faces = read.faces
    resolved = resolve(Draft(base, task=base.task, own=False), faces, source_network, folds=folds)
    base, parts = resolved.recipe, resolved.splits
    _check_held_out(faces, parts)
    out.mkdir(parents=True, exist_ok=True)
    url = storage or f"sqlite:///{(out / STORAGE).resolve()}"
    facts = _facts(faces, base, space, objective, folds)
    prune_after = max(1, base.epochs // PRUNE_SHARE) if prune else None
    with open_search(url, name, facts, sampler=sampler, seed=seed, prune_after=prune_after) as search:
        runner = TrialRunner(search, read, parts, base, space, out, objective, display=display, stop=stop)
        wanted = DEFAULT_TRIALS if trials is None and budget is None else trials
        stopped = _run(runner, wanted, budget, on_trial)
        said = tuple(dict.fromkeys((*read.warnings, *resolved.notes)))
        return replace(_result(runner, stopped, budget), skipped=read.skipped, warnings=said)


def _facts(
    faces: Faces, recipe: Recipe, space: dict[str, Dimension], objective: Objective, folds: int | None
) -> dict[str, Any]:
    """What all sittings of a search must agree on."""
    return {
        "data": faces.fingerprint(),
        "recipe": recipe.to_dict(),
        "space": {path: kind.model_dump(mode="json", exclude_none=True) for path, kind in space.items()},
        "objective": objective,
        "folds": folds or 0,
    }


def _result(runner: TrialRunner, stopped: bool, budget: float | None) -> TuneResult:
    """Write what the search has found so far; without a complete trial that is an error, unless it was stopped."""
    search, out = runner.search, runner.out
    best, importance = search.best(), search.importance()
    if best is None and not stopped:
        raise FacelearnError(_nothing(search, budget))
    winner = None if best is None else recipe_with(runner.recipe, best.values)
    folds = len(runner.parts) if len(runner.parts) > 1 else 0
    report = write_search(out, search, winner, runner.objective, folds, importance)
    return TuneResult(
        folder=out,
        best=best,
        best_recipe=None if winner is None else out / "best_recipe.toml",
        model=None if best is None else runner.model_of(best),
        trials=tuple(search.trials()),
        importance=importance,
        report=report,
        objective=runner.objective,
        stopped=stopped,
    )


def _base_and_space(recipe: Recipe, on_error: str | None) -> tuple[Recipe, dict[str, Dimension]]:
    changes: dict[str, Any] = {"search": {}, **({} if on_error is None else {"read__on_error": on_error})}
    space = dict(recipe.search) or default_space(recipe)
    base = recipe.with_changes(**changes)
    check_space(base, space)
    return base, space


def _check_request(recipe: Recipe, trials: int | None, budget: float | None, folds: int | None) -> None:
    if not TASKS[recipe.task].search_columns:
        raise RecipeError(
            "a search scores recipes for keypoints; for people, compare recipes as the cells of a study of your own (docs/studies.md): "
            "facelearn study FILE.toml --data PEOPLE"
        )
    if trials is not None and trials < 1:
        raise RecipeError(f"a search needs at least 1 trial; received {trials}")
    if budget is not None and budget <= 0:
        raise RecipeError(f"a search needs a budget of more than 0 seconds; received {budget:g}")
    if recipe.split.valid == 0 and not folds:
        raise RecipeError("a search scores its trials on held-out rows; set split.valid above 0, or give folds")
    if recipe.devices > 1:
        raise RecipeError(
            "a search trains one trial at a time on one device; set devices = 1, and for more run the same command several times with a "
            "--storage that all of them reach"
        )


def _check_held_out(faces: Faces, parts: list[Split]) -> None:
    if not all(faces[part.parts["valid"]].labelled.any() for part in parts):
        raise DataError("no held-out row has a label, so no trial could be scored; hold out more with split.valid")


def _run(
    runner: TrialRunner,
    trials: int | None,
    budget: float | None,
    on_trial: Callable[[TrialFacts, TrialFacts | None], None] | None,
) -> bool:
    """Trial after trial until there are enough or the time is up; True when asked to stop."""
    runner.deadline = None if budget is None else time.monotonic() + budget
    try:
        while (trials is None or runner.search.count() < trials) and _time_for_another(runner):
            number, stopped = runner.run()
            if on_trial is not None:
                on_trial(runner.search.trials()[number], runner.search.best())
            if stopped:
                return True
            refused = sum(trial.state == "refused" for trial in runner.search.trials())
            if refused >= MOST_REFUSED * (runner.search.count() + 1):
                return False
    except KeyboardInterrupt:
        return True
    return False


def _time_for_another(runner: TrialRunner) -> bool:
    if runner.deadline is None:
        return True
    left = runner.deadline - time.monotonic()
    known = [trial.seconds for trial in runner.search.trials() if trial.state == "complete"]
    return left > (median(known) if known else 0.0)


def _nothing(search: Search, budget: float | None) -> str:
    """Why a search has no best trial."""
    trials = search.trials()
    refused = [trial for trial in trials if trial.state == "refused"]
    if len(refused) >= MOST_REFUSED:
        return f"{len(refused)} combinations were refused, and next to none makes a network; the last one: {refused[-1].reason}"
    ended = [trial for trial in trials if trial.state == "pruned"]
    if ended and search.count() == len(ended):
        return f"none of the {len(ended)} trials came to its end; the last one: {ended[-1].reason}"
    if budget is not None:
        return f"no trial was complete within {budget:g} s; give a larger --budget, or a recipe with fewer epochs"
    return "no trial is complete yet: other processes may still be at theirs"
