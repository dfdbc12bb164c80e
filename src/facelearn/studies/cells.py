"""One cell of a study: trained once, its numbers kept under the hash of its recipe and data, resumed where it was killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facelearn import bundle as bundles
from facelearn.bundle.graph import build_network
from facelearn.data.faces import Faces
from facelearn.errors import DivergedError, FacelearnError
from facelearn.files import write_text
from facelearn.models.layers.profile import profile
from facelearn.recipe.recipe import Recipe
from facelearn.record.folder import RunFolder
from facelearn.record.results import load_run, read_run
from facelearn.runs.fit_rows import train_split
from facelearn.splits.split import Split
from facelearn.studies.definition import cell_key, network_facts, same_network
from facelearn.tasks import TASKS
from facelearn.training.device import apply, choose_device
from facelearn.training.loop import Reporter
from facelearn.transforms.framing import Framing


@dataclass(frozen=True)
class CellPlan:
    """What to compute: a recipe on a table, or on one fold (index, folds) of it."""

    recipe: Recipe
    data: str
    fold: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """Name of the cell's folder."""
        return cell_key(self.recipe, self.data, self.fold)


def load_cell(folder: Path) -> dict[str, Any] | None:
    """The numbers of a finished cell, or None where there is none yet (or a file that is not whole)."""
    try:
        facts = json.loads(RunFolder(folder).cell.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def finished_cells(store: Path) -> dict[str, dict[str, Any]]:
    """The numbers of all finished cells in `store`, by their keys.

    Keys are made anew from the stored recipes: a cell of an earlier version that knew fewer settings is found as long as the settings
    it did not know stand at values that change nothing, and one whose defaults or network have changed since is not. "folder" is where
    it lies.
    """
    found = {}
    for folder in sorted(store.glob("*")) if store.is_dir() else []:
        facts = load_cell(folder)
        try:
            recipe = Recipe.from_dict((facts or {})["recipe"])
            data, fold = facts["data"]["table"], facts["fold"]  # type: ignore[index]
            key = CellPlan(recipe, data, tuple(fold) if fold else None).key
        except (KeyError, TypeError, FacelearnError):
            continue
        if not same_network((facts or {}).get("network", {}), recipe):
            continue
        found[key] = {**(facts or {}), "folder": str(folder)}
    return found


def finished_otherwise_alike(recipe: Recipe, data: str, finished: Mapping[str, Mapping[str, Any]]) -> list[Recipe]:
    """The recipes of finished cells that are `recipe` on these rows but for the weights that they started from, one for each such weights.

    Args:
        recipe: of a cell whose weights were not named.
        data: of its plan.
        finished: what `finished_cells` gives.
    """
    wanted = CellPlan(_without_weights(recipe), data).key
    found = {}
    for facts in finished.values():
        then = Recipe.from_dict(facts["recipe"])
        if facts["data"]["table"] == data and CellPlan(_without_weights(then), data).key == wanted:
            found[then.transfer.sha256 or then.transfer.source] = then
    return list(found.values())


def _without_weights(recipe: Recipe) -> Recipe:
    return recipe.with_changes(transfer__source=None, transfer__sha256=None)


def run_cell(
    plan: CellPlan, faces: Faces, folder: Path, *, framing: Framing | None = None, keep_model: bool = False, threads: int | None = None,
    device: str = "auto", reporter: Reporter | None = None, stop: Callable[[], bool] | None = None,
) -> dict[str, Any] | None:  # fmt: skip
    """Train the cell, or go on with it; returns its numbers, None where it was stopped (its state is kept).

    A cell whose loss becomes NaN or infinite is a finished cell without numbers, whose "diverged" says when. Another process at the same
    cell is waited for.

    Args:
        plan: recipe, data fingerprint and fold.
        faces: the table of that fingerprint.
        folder: of this cell alone.
        framing: how photos became these faces.
        keep_model: keep the model file; the numbers, curves and held-out predictions are always kept.
        threads: processor threads.
        device: auto, cpu or cuda.
        reporter: callbacks.
        stop: asked after every batch; once it says True, the state is kept and None returned.
    """
    recipe = plan.recipe.with_changes(device=device, **({"threads": threads} if threads else {}))
    apply(choose_device(recipe.device, precision=recipe.precision, threads=recipe.threads))
    run = RunFolder(folder)
    with run.locked(wait=True):
        facts = load_cell(folder)
        if facts is not None and (run.is_finished or not keep_model):
            return facts  # another process has finished it meanwhile
        try:
            parts = _parts(faces, recipe, plan.fold)
            result = train_split(recipe, faces, parts, run, framing=framing, reporter=reporter, stop=stop)
            if result.stopped:
                return None
            facts = _numbers(plan, folder, result.summary)
            facts["summary"]["multiply_adds"] = _multiply_adds(run.model)
            facts |= TASKS[recipe.task].cell_numbers(load_run(folder), faces, parts)
        except DivergedError as error:
            data = {"table": plan.data}
            facts = {
                "key": plan.key,
                "fold": plan.fold,
                "recipe": plan.recipe.to_dict(),
                "network": network_facts(plan.recipe),
                "data": data,
                "diverged": str(error),
            }
        write_text(run.cell, json.dumps(facts, indent=1) + "\n")
        run.drop_state()
        if not keep_model:
            run.model.unlink(missing_ok=True)
        return facts


def _parts(faces: Faces, recipe: Recipe, fold: tuple[int, int] | None) -> Split:
    task = TASKS[recipe.task]
    held_out = task.split(faces, recipe)
    if fold is None:
        return held_out
    index, count = fold
    return task.folds(faces, recipe, count, held_out)[index]


def _multiply_adds(model: Path) -> int:
    """Of one image, of the network in a model file."""
    bundle = bundles.load(model)
    height, width = bundle.network_args["image_size"]
    layers = profile(build_network(bundle), (bundle.network_args["in_channels"], height, width))
    return sum(layer.multiply_adds for layer in layers)


def _numbers(plan: CellPlan, folder: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What tables and curves are made of."""
    run = read_run(folder)
    return {
        "key": plan.key,
        "fold": list(plan.fold) if plan.fold else None,
        "data": {"table": plan.data, **run.data},
        "recipe": plan.recipe.to_dict(),
        "network": network_facts(plan.recipe),
        "summary": dict(summary),
        "metrics": {key: value for key, value in run.metrics.items() if key not in ("curve", "summary")},
        "environment": dict(run.environment),
        "finished": datetime.now(UTC).date().isoformat(),
        "history": [
            {key: value for key, value in row.items() if isinstance(value, (int, float)) and value == value}
            for row in run.history
        ],
    }


def child(
    plan: CellPlan,
    table: str,
    folder: str,
    framing: Framing,
    keep_model: bool,
    threads: int,
    device: str,
    asked: Any,
    answer: Any,
) -> None:
    """`run_cell` as the whole life of a process; sends (stopped, error) and leaves the numbers in `folder`.

    Ctrl-C reaches every process of a terminal: this one leaves it to the one that started it, which sets `asked`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        facts = run_cell(
            plan,
            Faces.load(table),
            Path(folder),
            framing=framing,
            keep_model=keep_model,
            threads=threads,
            device=device,
            stop=asked.is_set,
        )
        answer.send((facts is None, ""))
    except FacelearnError as error:
        answer.send((False, str(error)))
