"""What the audit of people finds of names that were exchanged on purpose, beside other rankings of the same held-out probabilities.

    python benchmarks/wrong_names.py ../shared/data/pins [--people 76] [--share 0.05] [--halved 4] [--joined 4] [--out runs/wrong_names]

Some people get a second name, for every other moment of theirs, and some pairs of people get one name, all drawn by chance. Then a share of
the photos gets another person's name, each other name equally often. The queue is ranked by the audit's own probability, by how improbable
the given name is, and, where cleanlab is installed (pip install cleanlab; AGPL, no dependency of this project), by its scores. All see the
same out-of-fold probabilities. Names that are really wrong in the data count as right, for all alike.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

import facelearn
from facelearn.auditing.name_faults import name_faults
from facelearn.auditing.people_audit import judged_names, short_recipe
from facelearn.cli.display import training_display
from facelearn.data.faces import Faces
from facelearn.metrics.calibration import softmax
from facelearn.splits.groups import near_duplicates_in_time, person_units
from facelearn.splits.within_people import kfold_within_people
from facelearn.training.device import describe_machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--people", type=int, default=10_000, help="only so many of them, those with the most photos")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--halved", type=int, default=0, help="so many people have two names")
    parser.add_argument("--joined", type=int, default=0, help="so many names are two people's")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/wrong_names"))
    arguments = parser.parse_args()
    faces = facelearn.read(arguments.data)
    most = np.argsort(-np.bincount(faces.identity[faces.identity >= 0]), kind="stable")[: arguments.people]
    faces = faces[np.isin(faces.identity, most)]
    faces, halved, joined = with_other_people(faces, arguments.halved, arguments.joined, arguments.seed)
    renamed, wrong = with_wrong_names(faces, arguments.share, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with training_display("audit") as reporter:
        recipe = short_recipe(len(renamed))
        evidence = judged_names(
            renamed, kfold_within_people(renamed, arguments.folds), arguments.out, recipe, reporter, None
        )
    assert evidence is not None
    duplicates, _ = near_duplicates_in_time(renamed)
    score = np.zeros(len(renamed))
    faults = name_faults(renamed, evidence, duplicates)
    for fault in faults:
        if fault.kind == "wrong_name":
            score[fault.row] = max(score[fault.row], fault.score)
    given = renamed.identity[evidence.rows]
    probability = softmax(np.where(np.isfinite(evidence.logits), evidence.logits, -1e9))
    rankings = {
        "the audit": score[evidence.rows],
        "improbability of the given name": 1 - probability[np.arange(len(given)), given],
        **cleanlabs(probability, given),
    }
    print(json.dumps(describe_machine()))
    print(
        f"{len(renamed):,} photos of {len(np.unique(faces.identity))} people, {int(wrong.sum())} renamed, {len(given):,} judged"
    )
    print(
        "| ranked by | AP | precision in as many as were renamed | recall in 1.3 times as many |\n|---|---:|---:|---:|"
    )
    for name, values in rankings.items():
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in measured(values, wrong[evidence.rows]))} |")
    print(f"expected by the audit: {score.sum():.0f}")
    for kind, planted in (("two_names", halved), ("two_people", joined)):
        found = {frozenset((one.value, one.suggestion)): one.score for one in faults if one.kind == kind}
        if kind == "two_people":
            found = {frozenset(names & set(renamed.people)): own for names, own in found.items()}  # type: ignore[arg-type]
        sure = [names for names, own in found.items() if own >= 0.5]
        true = sum(names in planted for names in sure)
        print(f"{kind}: {len(planted)} planted, {true} found with 0.5 and more, {len(sure) - true} others; scores:")
        for names, own in sorted(found.items(), key=lambda one: -one[1])[:20]:
            print(
                f"  {own:.2f} {'planted' if names in planted else 'not planted'}: {', '.join(sorted(map(str, names)))}"
            )


def with_other_people(
    faces: Faces, halved: int, joined: int, seed: int
) -> tuple[Faces, list[frozenset[str]], list[frozenset[str]]]:
    """The faces, some people of them under two names and some names two people's; and these names."""
    drawn = np.random.default_rng(seed).permutation(np.unique(faces.identity))[: halved + 2 * joined].tolist()
    moments, people, identity = person_units(faces, "auto")[0].of_row, list(faces.people), faces.identity.copy()
    two_names, two_people = [], []
    for person in drawn[:halved]:
        rows = np.flatnonzero(faces.identity == person)
        _, moment = np.unique(moments[rows], return_inverse=True)
        identity[rows[moment % 2 == 1]] = len(people)
        people.append(f"{people[person]} too")
        two_names.append(frozenset((people[person], people[-1])))
    for one, other in zip(drawn[halved::2], drawn[halved + 1 :: 2], strict=True):
        identity[identity == other] = one
        two_people.append(frozenset((people[one],)))
    return faces.replace(identity=identity, people=tuple(people)), two_names, two_people


def with_wrong_names(faces: Faces, share: float, seed: int) -> tuple[Faces, NDArray[np.bool_]]:
    """The faces, some under another's name, and which."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(faces)) < share
    people = np.unique(faces.identity)
    place = np.searchsorted(people, faces.identity)
    moved = people[(place + rng.integers(1, len(people), len(faces))) % len(people)]
    return faces.replace(identity=np.where(wrong, moved, faces.identity)), wrong


def cleanlabs(probability: NDArray[np.float64], given: NDArray[np.int64]) -> dict[str, Any]:
    """cleanlab's own scores of the same probabilities, the worst highest; nothing where it is not installed."""
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return {}
    people, labels = np.unique(given, return_inverse=True)
    own = probability[:, people] / probability[:, people].sum(1, keepdims=True)
    found = {
        f"cleanlab, {method.replace('_', ' ')}": 1 - get_label_quality_scores(labels, own, method=method)
        for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
    }
    issues = find_label_issues(labels, own, filter_by="prune_by_noise_rate")
    return {**found, "cleanlab, confident learning, then margin": issues + found["cleanlab, normalized margin"]}


def measured(score: NDArray[np.float64], wrong: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Average precision, precision in the first P, recall in the first 1.3 P, where P were renamed."""
    order, count = np.argsort(-score, kind="stable"), int(wrong.sum())
    return (
        float(average_precision_score(wrong, score)), float(wrong[order[:count]].mean()),
        float(wrong[order[: round(1.3 * count)]].sum() / count),
    )  # fmt: skip


if __name__ == "__main__":
    main()
