"""Studies in one line each: how many claims hold, do not hold and are not decided, how long the cells ran, where and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from facelearn.studies.cell_numbers import Row
from facelearn.studies.checkpoints import epochs_text
from facelearn.studies.definition import Study, load_study, study_names
from facelearn.studies.store import as_it_ran, restored
from facelearn.studies.verdicts import Verdict, tally, verdict_text, verdicts
from facelearn.tasks.study_numbers import Cells, Table

HEADING = ["study", "hold", "do not", "undecided", "cells", "epochs run of published", "machine", "date"]


def overview(runs: Sequence[tuple[str, Study, Sequence[Row], Cells]]) -> Table:
    """`HEADING` and a row of texts for each (label, study, its rows, its cells)."""
    body = []
    for label, study, found, cells in runs:
        counts = tally(verdicts(study, found, cells))
        body.append([
            label, *(str(count) for count in counts.values()), f"{len(found)} of {len(study.variations)}",
            epochs_text(found), "; ".join(sorted({row.machine.partition(", torch")[0] for row in found})) or "-",
            max((row.finished for row in found), default="") or "-",
        ])  # fmt: skip
    return HEADING, body


def catalogue(out: str | Path) -> list[tuple[Study, str, list[Verdict]]]:
    """Each study that comes with facelearn, in which folder of `out` it ran longest ("" for none), and what that says of its claims.

    Folders whose numbers cannot be read count as none.
    """
    places: dict[str, list[Path]] = {}
    for path in sorted(Path(out).glob("*/study.json")):
        places.setdefault(_study_of(path), []).append(path)
    listed = []
    for name in study_names():
        study, label, judged = load_study(name), "", verdicts(load_study(name), [], {})
        longest = -1
        for path in places.get(name, ()):
            facts = json.loads(path.read_text(encoding="utf-8"))
            ran = as_it_ran(facts, path.parent.name)
            found, cells = restored(facts, ran)
            epochs = sum(row.epochs for row in found)
            if epochs > longest:
                study, label, longest, judged = ran, path.parent.name, epochs, verdicts(ran, found, cells)
        listed.append((study, label, judged))
    return listed


def _study_of(path: Path) -> str:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return str(facts["study"]) if {"study", "rows", "cells"} <= set(facts) else ""
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def state_of(judged: Sequence[Verdict], label: str) -> str:
    """How many claims hold, do not hold and are not decided; "not run" without a folder."""
    if not label:
        return "not run"
    holds, fails, undecided = tally(judged).values()
    return f"{holds} hold, {fails} do not, {undecided} undecided"


def claim_lines(judged: Sequence[Verdict]) -> list[str]:
    """A sentence or more for each claim, with its verdict in front."""
    return [f"- {verdict_text(one)}" for one in judged]
