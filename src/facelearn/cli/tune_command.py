"""`facelearn tune`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import complain, print_json, say, say_left_out, warn
from facelearn.cli.signals import stop_requests
from facelearn.cli.typed_settings import recipe_typed, seconds_of, settings_typed

if TYPE_CHECKING:
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


Data = Annotated[
    Path, typer.Option(rich_help_panel=options.DATA, help="Labelled faces: file or folder in any known format.")
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe", rich_help_panel=options.TRAINING, help="Recipe file (TOML); its [search] section is the space."
    ),
]
Epochs = Annotated[
    int | None,
    options.Sets("epochs"),
    typer.Option(min=1, rich_help_panel=options.TRAINING, help="Passes of each trial over the training rows."),
]


def _of_search(*names: str, help: str, **limits: Any) -> Any:
    return typer.Option(*names, rich_help_panel=options.SEARCH, help=help, **limits)


@command(
    epilog="Example: facelearn tune --data training.zip --model ml_resnet --epochs 30 --trials 40 --out runs/tune",
)
def tune(
    context: typer.Context,
    data: Data,
    size: options.Size = None,
    crop: options.Crop = None,
    color: options.Colors = None,
    missing: options.MissingMark = None,
    units: options.Unit = None,
    schema: options.Schema = None,
    on_error: options.BadRowsOfRecipe = None,
    recipe: RecipeFile = None,
    model: options.Model = None,
    epochs: Epochs = None,
    no_mirror: options.NoMirror = None,
    assignments: options.Assignments = None,
    trials: Annotated[int | None, _of_search(min=1, help="Trials in all (default: 20, or any number in --budget).")] = None,
    budget: Annotated[str | None, _of_search(help="Begin no trial that would end after: 90s, 30m, 2h.")] = None,
    folds: Annotated[int | None, _of_search(min=2, help="Score by the mean over so many folds.")] = None,
    objective: Annotated[Objective, _of_search(help="Lower the held-out rmse (pixels) or loss.")] = Objective.rmse,
    sampler: Annotated[Sampler, _of_search(help="random, or tpe, which learns from earlier trials.")] = Sampler.random,
    seed: Annotated[int, _of_search(min=0, help="Of the sampler.")] = 0,
    prune: Annotated[bool, _of_search("--prune/--no-prune", help="End trials that are worse than half of the others.")] = True,
    storage: Annotated[str | None, _of_search(help="Optuna address, e.g. postgresql://...; default: a file in --out.")] = None,
    name: Annotated[str, _of_search(help="Of the search in the storage.")] = "facelearn",
    out: Annotated[
        Path, typer.Option(rich_help_panel=options.RUN, help="Folder of the search; the same command goes on with it.")
    ] = Path("runs/tune"),
    device: options.DeviceOfRecipe = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Search for a better recipe: random search with pruning over the settings that a recipe lets vary."""
    changes = settings_typed(context, assignments)  # of the recipe: all options whose annotation says what it sets
    settings = {
        "recipe": recipe_typed(changes, file=recipe), "trials": trials, "budget": seconds_of(budget), "folds": folds,
        "objective": objective.value, "sampler": sampler.value, "seed": seed, "prune": prune, "storage": storage, "name": name,
    }  # fmt: skip
    _tune(data, out, settings, as_json)


def _tune(data: Path, out: Path, settings: dict[str, Any], as_json: bool) -> None:
    from facelearn.cli.display import ReadDisplay
    from facelearn.studies.tune import tune as run

    display, on_trial = (None, None) if as_json else _displays()
    progress = ReadDisplay(quiet=as_json)
    with stop_requests() as stop:
        result = run(data, out, **settings, stop=stop, display=display, on_trial=on_trial, read_progress=progress)
    _print_result(result, as_json)
    if result.stopped:
        done = sum(trial.state in ("complete", "pruned") for trial in result.trials)
        complain(
            f"stopped; {done} ended {'trial is' if done == 1 else 'trials are'} kept, and the same command goes on"
        )
        raise typer.Exit(stop.exit_code)


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
    say_left_out(result.skipped, result.folder)
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
