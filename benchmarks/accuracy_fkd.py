"""Our default against ML-ResNet, net6 and the mean face on the same held-out rows of a Kaggle-format file, in one run.

    python benchmarks/accuracy_fkd.py ../shared/data/fkd/training.zip [--minutes 5] [--out runs/accuracy]

Every network gets the same wall time. The file's labels are partly wrong, the held-out ones too, so beside the RMSE stand the median
distance, the RMSE over points that are less than 9 px off, and the share above.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from facelearn.cli.display import training_display
from facelearn.recipe.recipe import Recipe
from facelearn.runs.train import train
from facelearn.training.device import describe_machine

BASELINE = {
    "loss": {"name": "masked_mse_per_valid"}, "optimiser": {"name": "adam", "learning_rate": 1e-3, "weight_decay": 0.0},
    "batch_size": 64, "schemes": "auto",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--valid", type=float, default=0.2)
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"))
    arguments = parser.parse_args()
    own = Recipe().with_changes(budget_seconds=60 * arguments.minutes, split__valid=arguments.valid)
    recipes = {
        "facelearn_keypoints": own,
        "ml_resnet": own.with_changes(model={"name": "ml_resnet"}, **BASELINE),
        "net6": own.with_changes(model={"name": "net6"}, **BASELINE),
    }
    print(json.dumps(describe_machine()))
    print(
        f"{arguments.data.name}, {arguments.valid:.0%} held out by near-duplicate group, {arguments.minutes:g} minutes of training each"
    )
    header = f"{'':<22}{'parameters':>11}{'epochs':>8}{'seconds':>9}{'RMSE px':>9}{'median px':>11}{'RMSE < 9 px':>13}{'share above':>13}"
    print(header)
    for name, recipe in recipes.items():
        with training_display(name) as reporter:
            result = train(arguments.data, arguments.out / name, recipe=recipe, overwrite=True, reporter=reporter)
        line(name, result.metrics, result.summary)
    line("mean face", result.metrics["mean_face"], {})


def line(name: str, metrics: dict, summary: dict) -> None:
    """One row of the table."""
    robust = metrics["robust_rmse_error"]
    print(
        f"{name:<22}{summary.get('parameters', 0):>11,}{summary.get('epochs', 0):>8}{summary.get('seconds', 0):>9}"
        f"{metrics['rmse_error']['value']:>9.3f}{metrics['median_error']['value']:>11.3f}{robust['value']:>13.3f}{metrics['outlier_error']['value']:>13.2%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
