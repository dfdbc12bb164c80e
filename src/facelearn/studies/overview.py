"""Studies in one line each: how many claims hold, do not hold and are not decided, how long the cells ran, where and when."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facelearn.studies.cell_numbers import Row
from facelearn.studies.checkpoints import epochs_text
from facelearn.studies.definition import Study, load_study, study_names
from facelearn.studies.store import as_it_ran, restored
from facelearn.studies.verdicts import Verdict, tally, verdicts
from facelearn.tasks.study_numbers import Cells, Table

HEADING = ["study", "hold / do not / undecided", "cells run", "epochs run of published", "machine", "date"]


def overview(runs: Sequence[tuple[str, Study, Sequence[Row], Cells]]) -> Table:
    """`HEADING` and a row of texts for each (label, study, its rows, its cells)."""
    body = []
    for label, study, found, cells in runs:
        counts = " / ".join(str(count) for count in tally(verdicts(study, found, cells)).values())
        machines = {re.sub(r", \d+ threads? a cell|, torch .*", "", row.machine) for row in found}
        body.append([
            label, counts, f"{len(found)} of {len(study.variations)}", epochs_text(found), "; ".join(sorted(machines)) or "-",
            max((row.finished for row in found), default="") or "-",
        ])  # fmt: skip
    return HEADING, body


@dataclass(frozen=True)
class Listed:
    """A study of the catalogue, the folder in which it ran longest ("" where it did not), and what that says of its claims."""

    study: Study
    label: str
    verdicts: list[Verdict]

    @property
    def state(self) -> str:
        """How many claims hold, do not hold and are not decided."""
        if not self.label:
            return "not run"
        holds, fails, undecided = tally(self.verdicts).values()
        return f"{holds} hold, {fails} do not, {undecided} undecided ({self.label})"


def catalogue(out: str | Path, own: Sequence[Study] = ()) -> list[Listed]:
    """Each study that comes with facelearn, and those of one's own, with the state of their claims by the results in `out`.

    Folders whose numbers cannot be read count as none.
    """
    longest: dict[str, tuple[int, Listed]] = {}
    for path in sorted(Path(out).glob("*/study.json")):
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            study = next((one for one in own if one.name == facts["study"]), None) or as_it_ran(facts, path.parent.name)
            found, cells = restored(facts, study)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # RecipeError is a ValueError
            continue
        epochs = sum(row.epochs for row in found)
        if epochs > longest.get(study.name, (0, None))[0]:
            longest[study.name] = (epochs, Listed(study, path.parent.name, verdicts(study, found, cells)))
    listed = []
    for study in (*map(load_study, study_names()), *own):
        name = study.name
        listed.append(longest[name][1] if name in longest else Listed(study, "", verdicts(study, [], {})))
    return listed
