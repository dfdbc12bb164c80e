"""How results are printed: lines, notes, JSON, and what each task says of its results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from facelearn.errors import FIRST_PROBLEMS

if TYPE_CHECKING:
    from facelearn.prediction import Identities, Predictions


def print_json(value: Any) -> None:
    """Print one JSON document; paths and other objects as text."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(*lines: str) -> None:
    """Print lines to standard output."""
    for line in lines:
        typer.echo(line)


def warn(warnings: Sequence[str]) -> None:
    """Print notes to standard error."""
    for warning in warnings:
        typer.echo(f"note: {warning}", err=True)


def warn_left_out(problems: Sequence[Any], what: str = "rows") -> None:
    """Note how many rows or images were left out, and the first of them."""
    if problems:
        warn([f"{len(problems)} {what} left out", *map(str, problems[:FIRST_PROBLEMS])])


def say_left_out(problems: Sequence[Any], folder: Path) -> None:
    """Say how many rows were left out of a run, and where they are listed."""
    if problems:
        say(f"{len(problems)} rows left out, listed in {folder / 'skipped.csv'}")


def headline_of(metrics: Mapping[str, Any]) -> str:
    """The headline numbers of metrics, as the task that they are of words them."""
    from facelearn.tasks import TASKS

    return TASKS["identification" if "balanced_accuracy_score" in metrics else "keypoints"].headline(metrics)


def predictions_json(predictions: Predictions | Identities) -> dict[str, Any]:
    """Predictions as `predict --json` prints them, without what is said of the photos that were left out."""
    from facelearn.prediction import Identities

    if isinstance(predictions, Identities):
        return {
            "images": len(predictions), "threshold": predictions.threshold, "people": list(predictions.people),
            "predictions": predictions.rows(),
        }  # fmt: skip
    return {
        "images": len(predictions.points), "keypoints": list(predictions.schema.names),
        "predictions": [
            {"file": str(file), "row": int(row), "points": [[round(float(v), 3) for v in point] for point in points]}
            for file, row, points in zip(predictions.source, predictions.row, predictions.points, strict=True)
        ],
    }  # fmt: skip


def predictions_text(predictions: Predictions | Identities, path: Path | None) -> list[str]:
    """Predictions as lines: each of them, or how many there are in the file `path`."""
    from facelearn.prediction import Identities

    if isinstance(predictions, Identities):
        return _identities_text(predictions, path)
    if path is not None:
        return [f"{len(predictions.points)} images, {len(predictions.schema)} keypoints each: {path}"]
    lines = []
    for file, row, points in zip(predictions.source, predictions.row, predictions.points, strict=True):
        lines.append(str(file) + (f", row {row}" if row >= 0 else ""))
        lines += [f"  {name}: {x:.2f} {y:.2f}" for name, (x, y) in zip(predictions.schema.names, points, strict=True)]
    return lines


def _identities_text(identities: Identities, path: Path | None) -> list[str]:
    if path is not None:
        unknown = int(identities.unknown.sum())
        return [f"{len(identities)} images, {unknown} of them unknown (threshold {identities.threshold:.3f}): {path}"]
    lines = []
    for row, best in zip(identities.rows(), identities.top(3), strict=True):
        place = row["file"] + (f", row {row['row']}" if "row" in row else "")
        names = ", ".join(f"{name} {probability:.1%}" for name, probability in best)
        lines.append(f"{place}: {row['name']}  ({names})")
    return lines
