"""What mending, annotation schemes and filling gain, and how many labels are enough: default trainings, measured on the same held-out rows.

    python benchmarks/mending.py training.zip [--rows 300 1000] [--no-whole] [--no-curve] [--seeds 3] [--jobs 2] [--out runs/mending]

A fifth of the rows is held out by near-duplicates and only measured, with its labels as the file has them, wrong ones too. A tenth of the
rest calibrates what is filled, also where few rows are trained on. On what remains, and on so many rows of it as --rows says, the audit
runs, its findings of 0.5 and more are mended, missing labels are filled by three models, and each of those tables is trained on with every
seed. Then a share of the labels of the largest table is removed at random, and of three quarters removed more and more is filled, in one
scheme: rows that lose labels do not follow other rules for that. A killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import facelearn
from facelearn.auditing.keypoint_audit import audit_keypoints
from facelearn.auditing.patch_file import proposal_of, read_patch, write_patch
from facelearn.auditing.pseudo_label import THRESHOLD, look
from facelearn.auditing.regions import fit_regions
from facelearn.auditing.replay import replay
from facelearn.cores import usable_threads
from facelearn.data.faces import Faces
from facelearn.files import write_text
from facelearn.geometry.coordinates import inside
from facelearn.prediction.open import Predictor
from facelearn.recipe.recipe import Recipe
from facelearn.runs.fit_rows import train_parts
from facelearn.splits.split import split
from facelearn.training.device import apply, choose_device, describe_machine

REMOVED = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
FILLED_OF, LIMITS = 0.75, (0.02, 0.03, 0.04, 0.08, 1.0)
"""Of how many removed labels some are filled, and up to which radius, as a share of the width."""
SURE = 0.5
"""Findings of that score are mended without a look."""
MODELS = 3
MEASURES = ("robust_rmse_error", "rmse_error", "median_error")
HELD_OUT, CALIBRATION, WHOLE = "held out", "calibration", "all"


@dataclass(frozen=True)
class Bench:
    """Where everything lies: tables by name, and a folder for each training."""

    out: Path
    seeds: int
    jobs: int

    def table(self, name: str) -> Path:
        """A saved table of faces."""
        return self.out / "tables" / name

    def run(self, name: str, seed: int) -> Path:
        """The folder of one training."""
        return self.out / "runs" / f"{name}, seed {seed}"

    def put(self, name: str, make: Callable[[], Faces]) -> None:
        """Save a table, unless it is there."""
        if not (self.table(name) / "done").exists():
            make().save(self.table(name))
            write_text(self.table(name) / "done", "")

    def load(self, name: str) -> Faces:
        """A table that was saved."""
        return Faces.load(self.table(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, nargs="*", default=[300, 1000])
    parser.add_argument("--no-whole", action="store_true", help="only so many rows, not all")
    parser.add_argument("--no-curve", action="store_true", help="no labels are removed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--epochs", type=int, help="of each training, for a try")
    parser.add_argument("--out", type=Path, default=Path("runs/mending"))
    arguments = parser.parse_args()
    print(json.dumps(describe_machine(choose_device("auto"))))
    # every process's share of the cores, which fold networks and predictions keep to as well
    os.environ["OMP_NUM_THREADS"] = str(max(1, usable_threads() // arguments.jobs))
    bench = Bench(arguments.out, arguments.seeds, arguments.jobs)
    check_settings(arguments)
    divide(bench, arguments.data, arguments.rows)
    sizes = [*(f"{rows} rows" for rows in arguments.rows), *([] if arguments.no_whole else [WHOLE])]
    largest = sizes[-1]
    removed, radii = ((), ()) if arguments.no_curve else (REMOVED, LIMITS)
    curve = {share: f"{share:.0%} of the labels removed" for share in removed}
    for share, name in curve.items():
        bench.put(name, lambda share=share: without(bench.load(largest), share))  # type: ignore[misc]
    changed = {"epochs": arguments.epochs} if arguments.epochs else {}
    schemes = {
        f"{size}, {word} scheme{'s' * (word == 'two')}": (size, word) for size in sizes for word in ("one", "two")
    }
    one_scheme = {**changed, "schemes": "one"}
    trained = [(name, name, changed) for name in sizes] + [(name, name, one_scheme) for name in curve.values()]
    trained += [(name, size, {**changed, "schemes": word}) for name, (size, word) in schemes.items()]
    audits = [(audit_table, bench, size) for size in sizes]
    together(bench, [*audits, *trainings(bench, trained)])
    fillings = [(fill_table, bench, size, {size: THRESHOLD}) for size in sizes]
    if radii:
        fillings += [(fill_table, bench, curve[FILLED_OF], {filled_name(limit): limit for limit in radii})]
    together(bench, fillings)
    for size in sizes:
        bench.put(f"{size}, mended and filled", lambda size=size: mended_and_filled(bench, size))  # type: ignore[misc]
    after = [f"{size}, {what}" for size in sizes for what in ("mended", "filled", "mended and filled")]
    filled = [f"{filled_name(limit)}, filled" for limit in radii]
    fits = [(name, name, changed) for name in after] + [(name, name, one_scheme) for name in filled]
    together(bench, trainings(bench, fits))
    rows_of = {size: [size, *(name for name in (*schemes, *after) if name.startswith(f"{size}, "))] for size in sizes}
    for size, names in rows_of.items():
        table(bench, f"{size}: {len(bench.load(size)):,} rows", names)
    if radii:
        table(bench, f"{largest}, labels removed", [f"{largest}, one scheme", *curve.values()])
        table(bench, f"{largest}, filled of {FILLED_OF:.0%} removed", [curve[FILLED_OF], *filled])


def check_settings(arguments: argparse.Namespace) -> None:
    """Refuse to go on with what was made with other settings."""
    own = {name: value for name, value in vars(arguments).items() if name not in ("out", "jobs")}
    text = json.dumps({**own, "data": str(arguments.data.resolve())})
    kept = arguments.out / "settings.json"
    if kept.exists() and kept.read_text() != text:
        raise SystemExit(f"{arguments.out} was made with {kept.read_text()}; give the same, or another --out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_text(kept, text)


def filled_name(limit: float) -> str:
    """What a table is called whose labels are filled up to a radius."""
    return f"{FILLED_OF:.0%} removed, radius to {limit:.0%}"


def divide(bench: Bench, data: Path, sizes: Sequence[int]) -> None:
    """Held-out rows, calibration rows, and the tables of each size."""
    if (bench.table(WHOLE) / "done").exists():
        return
    faces = facelearn.read(data)
    parts = split(faces, {"train": 0.72, CALIBRATION: 0.08, HELD_OUT: 0.2}).parts
    order = np.random.default_rng(0).permutation(parts["train"])
    bench.put(HELD_OUT, lambda: faces[parts[HELD_OUT]])
    bench.put(CALIBRATION, lambda: faces[parts[CALIBRATION]])
    for rows in sizes:
        bench.put(f"{rows} rows", lambda rows=rows: faces[np.sort(order[:rows])])  # type: ignore[misc]
    bench.put(WHOLE, lambda: faces[parts["train"]])


def without(faces: Faces, share: float) -> Faces:
    """The faces with a share of their labels removed at random."""
    gone = np.random.default_rng(1).random(faces.labelled.shape) < share
    return faces.replace(keypoints=np.where(gone[..., None], np.nan, faces.keypoints).astype(np.float32))


def trainings(bench: Bench, wanted: Sequence[tuple[str, str, dict[str, Any]]]) -> list[tuple[Any, ...]]:
    """(name, table, changes) with every seed."""
    return [(train_table, bench, *one, seed) for one in wanted for seed in range(bench.seeds)]


def together(bench: Bench, tasks: Sequence[tuple[Any, ...]]) -> None:
    """Do them, some at a time, in processes of their own."""
    with ProcessPoolExecutor(bench.jobs, multiprocessing.get_context("spawn")) as pool:
        begun = [pool.submit(*one) for one in tasks]
        try:
            for one in as_completed(begun):
                one.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def train_table(bench: Bench, name: str, table: str, changes: dict[str, Any], seed: int) -> None:
    """One default training; its figures on the held-out rows are kept."""
    folder = bench.run(name, seed)
    if (folder / "figures.json").exists():
        return
    apply(choose_device())
    recipe = Recipe().with_changes(seed=seed, **changes)
    faces = bench.load(table)
    result = train_parts(faces[faces.labelled.any(1)], bench.load(HELD_OUT), folder, recipe=recipe)
    figures = {one: result.metrics[one]["value"] for one in MEASURES}
    write_text(folder / "figures.json", json.dumps({**figures, "labels": int(faces.labelled.sum())}) + "\n")


def audit_table(bench: Bench, table: str) -> None:
    """Audit a table, and save it with the sure findings mended."""
    apply(choose_device())

    def mended() -> Faces:
        faces, patch = bench.load(table), bench.out / f"{table}.jsonl"
        result = audit_keypoints(faces, out=bench.out / "audits" / table)
        write_patch([proposal_of(fault) for fault in result.faults], faces, patch)
        replayed = replay(faces, read_patch(patch, faces), min_score=SURE)
        write_text(bench.out / f"{table}.mended.json", json.dumps(replayed.applied) + "\n")
        np.save(bench.out / f"{table}.kept.npy", replayed.rows)
        return replayed.faces

    bench.put(f"{table}, mended", mended)


def fill_table(bench: Bench, table: str, limits: dict[str, float]) -> None:
    """Save a table with what models of it say where labels are missing: a table by each name, up to a radius as a share of the width."""
    if all((bench.table(f"{called}, filled") / "done").exists() for called in limits):
        return
    apply(choose_device())
    faces, fresh = bench.load(table), bench.load(CALIBRATION)
    models = [Predictor(bench.run(table, seed) / "model.safetensors") for seed in range(min(MODELS, bench.seeds))]
    known = look(models, fresh)
    regions = fit_regions(np.linalg.norm(known.points - fresh.keypoints, axis=-1), known.spread)
    assert regions is not None, "too few labels to calibrate on"
    seen = look(models, faces)
    radius = regions.radius(seen.spread)
    placed = ~faces.labelled & inside(seen.points, faces.width, faces.height)
    for called, limit in limits.items():
        fill = placed & (radius <= limit * faces.width)
        points = np.where(fill[..., None], seen.points, faces.keypoints).astype(np.float32)
        bench.put(f"{called}, filled", lambda points=points: faces.replace(keypoints=points))  # type: ignore[misc]


def mended_and_filled(bench: Bench, size: str) -> Faces:
    """The mended table, with what the filled one has where the file had no label and mending gave none."""
    mended, filled = bench.load(f"{size}, mended"), bench.load(f"{size}, filled")
    kept = np.load(bench.out / f"{size}.kept.npy")
    fill = ~mended.labelled & ~bench.load(size)[kept].labelled
    return mended.replace(keypoints=np.where(fill[..., None], filled[kept].keypoints, mended.keypoints))


def table(bench: Bench, title: str, names: Sequence[str]) -> None:
    """Markdown: each figure as its mean over the seeds, with the smallest and the largest."""
    print(f"\n| {title} | labels | RMSE without far points, px | RMSE, px | median, px |\n|---|---:|---:|---:|---:|")
    for name in names:
        runs = [json.loads((bench.run(name, seed) / "figures.json").read_text()) for seed in range(bench.seeds)]
        cells = []
        for measure in MEASURES:
            values = [one[measure] for one in runs]
            cells.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        print(f"| {name} | {runs[0]['labels']:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
