"""What a cell of identification keeps beside its metrics: intervals of averages over people, and what one image costs its network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn import bundle as bundles
from facelearn.bundle.graph import build_network
from facelearn.data.faces import Faces
from facelearn.metrics.class_averages import class_average_intervals
from facelearn.models.layers.profile import profile
from facelearn.record.results import load_class_run
from facelearn.runs.plan import MODEL, VALID
from facelearn.splits.groups import person_units
from facelearn.splits.split import Split
from facelearn.tasks.identification.measure import TEST


def measured_groups(faces: Faces, parts: Split) -> NDArray[np.int64]:
    """int64 (N,): which videos and near-duplicates the measured rows belong to: test rows, or validation rows where there are none."""
    part = TEST if len(parts.parts.get(TEST, ())) else VALID
    return person_units(faces[parts.parts[part]], "auto")[0].of_row


def with_people_facts(facts: Mapping[str, Any], folder: Path, groups: NDArray[np.int64]) -> dict[str, Any]:
    """A cell's numbers with "groups" of its measured rows, "intervals" of its averages over people and, in the summary, "multiply_adds".

    Args:
        facts: what `verbs.cells` makes of every cell.
        folder: the finished run.
        groups: int64 (N,) of its measured rows.
    """
    summary = {**facts["summary"], "multiply_adds": multiply_adds(folder / MODEL)}
    run = load_class_run(folder)
    if not len(run):
        return {**facts, "summary": summary}
    found = class_average_intervals(run.probabilities, run.truth, groups)
    intervals = {name: [None if math.isnan(bound) else bound for bound in pair] for name, pair in found.items()}
    return {**facts, "summary": summary, "groups": groups.tolist(), "intervals": intervals}


def multiply_adds(model: Path) -> int:
    """Of one image, of the network in a model file."""
    bundle = bundles.load(model)
    height, width = bundle.network_args["image_size"]
    layers = profile(build_network(bundle), (bundle.network_args["in_channels"], height, width))
    return sum(layer.multiply_adds for layer in layers)
