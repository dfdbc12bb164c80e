"""What a search leaves behind beside its storage: the best recipe, the table of trials, the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.files import whole_file, write_text
from facelearn.recipe.recipe import Recipe
from facelearn.report.shown_numbers import number_text
from facelearn.studies.search import Search, TrialFacts
from facelearn.studies.search_page import TuningReport, write_tuning_report
from facelearn.studies.search_plots import Parameter

SCORES = {"rmse": "RMSE on held-out rows, pixels", "loss": "loss on held-out rows"}


def write_search(
    out: Path, search: Search, winner: Recipe | None, objective: str, folds: int, importance: dict[str, float]
) -> Path:
    """Write best_recipe.toml (where a trial is complete), trials.csv, the plots and tune.html; returns the page's path."""
    trials = search.trials()
    text = ""
    if winner is not None:
        text = winner.to_toml()
        write_text(out / "best_recipe.toml", text)
    _write_table(out / "trials.csv", trials)
    complete = [trial for trial in trials if trial.score is not None]
    kinds = ("pruned", "refused", "failed", "running")
    paths = list(dict.fromkeys(path for trial in trials for path in trial.values))
    name = SCORES[objective] + (f", mean of {folds} folds" if folds else "")
    report = TuningReport(
        title="facelearn: search",
        score_name=name,
        numbers=np.array([trial.number for trial in complete], np.int64),
        scores=np.array([trial.score for trial in complete], np.float64),
        parameters=[Parameter(name, *column) for name, column in search.columns().items()],
        importance=importance,
        others={kind: np.array([trial.number for trial in trials if trial.state == kind], np.int64) for kind in kinds},
        heading=[
            "trial",
            "score",
            "epochs",
            "seconds",
            *(path.rpartition(".")[2] for path in paths),
            "what became of it",
        ],
        rows=[_row(trial, paths) for trial in sorted(trials, key=_rank) if trial.state != "refused"],
        best_recipe=text,
    )
    return write_tuning_report(out, report)


def _rank(trial: TrialFacts) -> tuple[bool, float, int]:
    return trial.score is None, trial.score or 0.0, trial.number


def _row(trial: TrialFacts, paths: list[str]) -> list[str]:
    score = "-" if trial.score is None else f"{trial.score:.4g}"
    became = trial.state if not trial.reason else f"{trial.state}: {trial.reason}"
    values = [_value(trial.values[path]) if path in trial.values else "-" for path in paths]
    return [str(trial.number), score, str(trial.epochs), number_text(trial.seconds), *values, became]


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value).replace(", ", ",\u00a0")  # no line ends inside a list


def _write_table(path: Path, trials: list[TrialFacts]) -> None:
    """One row a trial; lists as JSON, numbers in full."""
    paths = list(dict.fromkeys(name for trial in trials for name in trial.values))
    folds = max((len(trial.folds) for trial in trials), default=0)
    heading = [
        "trial",
        "state",
        "score",
        *(f"fold_{n + 1}" for n in range(folds)),
        "epochs",
        "seconds",
        *paths,
        "reason",
    ]
    with whole_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        for trial in trials:
            values = [trial.values.get(name, "") for name in paths]
            writer.writerow(
                [
                    trial.number,
                    trial.state,
                    "" if trial.score is None else trial.score,
                    *(trial.folds[n] if n < len(trial.folds) else "" for n in range(folds)),
                    trial.epochs,
                    round(trial.seconds, 2),
                    *(value if isinstance(value, str | int | float) else json.dumps(value) for value in values),
                    trial.reason,
                ]
            )
