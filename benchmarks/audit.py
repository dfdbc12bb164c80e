"""What an audit of keypoints finds of planted faults, beside an auditor that sees only the labels' geometry.

    python benchmarks/audit.py [--rows 1200] [--data ../shared/data/ytf --schema ibug68] [--out runs/audit] [--epochs 22] [--seed 7]

Without `--data` synthetic faces get label noise of 1.1 px of 96 and lose 30% of their labels; a data set keeps its labels as they are. In
3% of the rows a fault is planted: one label or all moved by 4 to 20 px, the eyes exchanged, another face's labels, a duplicate, a poor
image. The queue of rows is measured on large faults (one label by 9 px and more, all by 6 px and more) and by kind and size.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import facelearn
from facelearn.auditing.keypoint_audit import audit_keypoints
from facelearn.cli.display import training_display
from facelearn.recipe.recipe import Recipe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.planting import geometry_scores, measure_queue, planted, row_scores, with_noise_and_holes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--schema", help="what the data's keypoints are, as ibug68")
    parser.add_argument("--size", type=int, help="of the images that are read; default as facelearn reads them")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("runs/audit"))
    arguments = parser.parse_args()
    if arguments.data:
        faces, noise = facelearn.read(arguments.data, size=arguments.size, schema=arguments.schema), 0.0
    else:
        faces, noise = facelearn.synthetic_faces(arguments.rows, seed=arguments.seed), 1.1
        faces = with_noise_and_holes(faces, arguments.seed, noise=noise)
    made = planted(faces, arguments.seed, noise=noise)
    began = time.perf_counter()
    with training_display("audit") as reporter:
        found = audit_keypoints(
            made.faces, folds=arguments.folds, out=arguments.out, recipe=Recipe().with_changes(epochs=arguments.epochs),
            reporter=reporter,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    ours = measure_queue(made, row_scores(found.faults, len(faces)))
    geometry = measure_queue(made, geometry_scores(made.faces))
    print(f"{len(faces):,} rows, {int((made.kind != '').sum())} planted, {seconds:.0f} s")
    print(f"{'':<28}{'planted':>8}{'audit':>8}{'geometry':>10}")
    for name, (value, count) in sorted(ours.by_kind.items()):
        print(f"AP {name:<25}{count:>8}{value:>8.3f}{geometry.by_kind[name][0]:>10.3f}")
    print(
        f"{'AP of large faults':<28}{int(made.large.sum()):>8}{ours.average_precision:>8.3f}{geometry.average_precision:>10.3f}"
    )
    print(f"{'recall in 1.3 x planted':<28}{'':>8}{ours.recall:>8.3f}{geometry.recall:>10.3f}")
    print({name: value for name, value in found.facts.items() if name != "schemes"})


if __name__ == "__main__":
    main()
