"""The command that searches for a better recipe: tune."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelearn.cli.app import (
    ColorOption,
    CropOption,
    JsonOption,
    OnError,
    OnErrorOption,
    SizeOption,
    app,
    print_json,
    say,
    seconds_of,
    warn,
)
from facelearn.errors import RecipeError

if TYPE_CHECKING:
    from facelearn.recipe.recipe import Recipe
    from facelearn.studies.search import TrialFacts
    from facelearn.studies.tune import TuneResult
    from facelearn.training.loop import Reporter


class Sampler(StrEnum):
    """How values are drawn."""

    random = "random"
    tpe = "tpe"


class Objective(StrEnum):
    """What is lowered."""

    rmse = "rmse"
    loss = "loss"


@app.command(
    epilog="Example: facelearn tune --data training.zip --model ml_resnet --epochs 30 --trials 40 --out runs/tune"
)
def tune(
    data: Annotated[Path, typer.Option(help="Labelled faces: file or folder in any known format.")],
    out: Annotated[Path, typer.Option(help="Folder of the search; the same command goes on with it.")] = Path("runs/tune"),
    recipe: Annotated[Path | None, typer.Option(help="Recipe file (TOML); its [search] section is the space.")] = None,
    model: Annotated[str | None, typer.Option(help="Network, as 'facelearn models' lists them.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes of each trial over the training rows.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all (default: 20, or any number in --budget).")] = None,
    budget: Annotated[str | None, typer.Option(help="Begin no trial that would end after: 90s, 30m, 2h.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Score by the mean over so many folds.")] = None,
    objective: Annotated[Objective, typer.Option(help="Lower the held-out rmse (pixels) or loss.")] = Objective.rmse,
    sampler: Annotated[Sampler, typer.Option(help="random, or tpe, which learns from earlier trials.")] = Sampler.random,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampler.")] = 0,
    prune: Annotated[bool, typer.Option("--prune/--no-prune", help="End trials that are worse than half of the others.")] = True,
    storage: Annotated[str | None, typer.Option(help="Optuna address, e.g. postgresql://...; default: a file in --out.")] = None,
    name: Annotated[str, typer.Option(help="Of the search in the storage.")] = "facelearn",
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    size: SizeOption = None,
    crop: CropOption = None,
    color: ColorOption = None,
    on_error: OnErrorOption = OnError.stop,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Search for a better recipe: random search with pruning over the settings that a recipe lets vary."""
    changes = {
        "model__name": model, "epochs": epochs, "device": device, "read__size": size, "read__crop": crop,
        "read__color": color.value if color else None, "read__on_error": None if on_error is OnError.stop else on_error.value,
    }  # fmt: skip
    settings = {
        "recipe": _base(recipe, {key: value for key, value in changes.items() if value is not None}), "trials": trials,
        "budget": seconds_of(budget), "folds": folds, "objective": objective.value, "sampler": sampler.value, "seed": seed,
        "prune": prune, "storage": storage, "name": name,
    }  # fmt: skip
    _tune(data, out, settings, as_json)


def _tune(data: Path, out: Path, settings: dict[str, Any], as_json: bool) -> None:
    from facelearn.cli.display import ReadDisplay
    from facelearn.studies.tune import tune as run

    display, on_trial = (None, None) if as_json else _displays()
    result = run(data, out, **settings, display=display, on_trial=on_trial, read_progress=ReadDisplay(quiet=as_json))
    _print_result(result, as_json)
    if result.stopped:
        done = sum(trial.state in ("complete", "pruned") for trial in result.trials)
        typer.echo(
            f"stopped; {done} ended {'trial is' if done == 1 else 'trials are'} kept, and the same command goes on",
            err=True,
        )
        raise typer.Exit(1)


def _base(recipe: Path | None, changes: dict[str, Any]) -> Recipe:
    from facelearn.recipe.recipe import Recipe

    base = Recipe.from_toml(recipe) if recipe else Recipe()
    try:
        return base.with_changes(**changes)
    except RecipeError as error:  # only what was typed can be wrong here
        raise typer.BadParameter(str(error)) from error


def _displays() -> tuple[Callable[[str], Any], Callable[[TrialFacts, TrialFacts | None], None]]:
    """A line for each ended trial on standard error, and in a terminal the epoch of the one in progress."""
    from rich.console import Console

    from facelearn.training.loop import Reporter

    console = Console(stderr=True)

    @contextmanager
    def in_progress(name: str) -> Iterator[Reporter | None]:
        if not console.is_terminal:
            yield None
            return
        with console.status(name) as status:

            def on_epoch(row: dict[str, float]) -> None:
                error = row.get("valid_rmse_error")
                held_out = "" if error is None else f", held-out {error:.2f} px"
                status.update(f"{name}: epoch {row['epoch']:.0f}, loss {row['train_loss']:.4f}{held_out}")

            yield Reporter(on_epoch=on_epoch)

    def ended(trial: TrialFacts, best: TrialFacts | None) -> None:
        console.print(_line(trial, best), highlight=False, markup=False, soft_wrap=True)

    return in_progress, ended


def _line(trial: TrialFacts, best: TrialFacts | None) -> str:
    if trial.score is None:
        return f"trial {trial.number}: {trial.state}, {trial.reason}; {_values(trial)}"
    mark = "" if best is None else ", the best so far" if best.number == trial.number else f" (best {best.score:.4g})"
    return f"trial {trial.number}: {trial.score:.4g}{mark}; {_values(trial)}"


def _values(trial: TrialFacts) -> str:
    texts = {
        path: f"{value:.3g}" if isinstance(value, float) else json.dumps(value) for path, value in trial.values.items()
    }
    return ", ".join(f"{path.rpartition('.')[2]} {text}" for path, text in texts.items())


def _print_result(result: TuneResult, as_json: bool) -> None:
    if as_json:
        facts = {key: value for key, value in vars(result).items() if key not in ("best", "trials", "skipped")}
        trials = [vars(trial) for trial in result.trials]
        best = None if result.best is None else vars(result.best)
        print_json({**facts, "best": best, "trials": trials, "skipped": [str(row) for row in result.skipped]})
        return
    warn(result.warnings)
    if result.skipped:
        say(f"{len(result.skipped)} rows left out, listed in {result.folder / 'skipped.csv'}")
    if result.best is None:
        return
    unit = " px" if result.objective == "rmse" else ""
    say("", f"best: {result.best.score:.4g}{unit} held-out {result.objective}, trial {result.best.number}")
    say(*(f"  {path} = {json.dumps(value)}" for path, value in result.best.values.items()))
    if result.importance:
        first, share = next(iter(result.importance.items()))
        say(f"mattered most: {first} ({share:.0%} of the variance)")
    say(
        "",
        f"recipe: {result.best_recipe}",
        *([f"model:  {result.model}"] if result.model else []),
        f"report: {result.report}",
    )
    say(
        f"next:   facelearn train --recipe {result.best_recipe} --data DATA --out runs/best, with more epochs if they are few"
    )
