"""The results page: `python docs/results.py` makes docs/results.md and its pictures from the stored results, whole.

`python docs/results.py runs/studies/NAME ...` first takes what `facelearn study` left there into docs/results. The page can be made
again, and checked, without the runs: docs/results/*.json hold the numbers and curves, *-kernels.npz the kernels that are shown (`kernels`),
remarks.toml what is said about them, the studies' own files what was published and claimed.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facelearn.studies.cell_numbers import Row
    from facelearn.studies.definition import Study
    from facelearn.tasks.study_numbers import Cells

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))
import kernels  # noqa: E402

STORED, PICTURES, PAGE = DOCS / "results", DOCS / "images" / "results", DOCS / "results.md"
REMARKS = STORED / "remarks.toml"


@dataclass(frozen=True)
class Stored:
    """One stored run of a study: its label (the file's name), the file's facts, the study, its rows and cells.

    Of several runs of one study the first judges all claims, the later ones those that their own cells have run for.
    """

    label: str
    facts: Mapping[str, Any]
    study: Study
    rows: Sequence[Row]
    cells: Cells

    @property
    def fingerprint(self) -> str:
        """Of all that its pictures show: kept in them, so that a picture of other numbers is seen to be one."""
        from facelearn.studies.checkpoints import places

        cells = {name: [run.get("history") for run in runs] for name, runs in self.cells.items()}
        published = [(one.name, one.position, dict(one.published), places(one)) for one in self.study.variations]
        text = json.dumps([cells, published, self.facts["rows"]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def collect(folder: Path) -> None:
    """Take the numbers of one study's folder into docs/results."""
    STORED.mkdir(exist_ok=True)
    facts = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    (STORED / f"{folder.name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n", encoding="utf-8")


def everything() -> list[Stored]:
    """All stored runs, in the order of the remarks."""
    from facelearn.studies.store import as_it_ran, restored

    order = list(_remarks())
    found: list[Stored] = []
    for path in sorted(
        STORED.glob("*.json"), key=lambda one: (order.index(one.stem) if one.stem in order else 99, one.stem)
    ):
        facts = json.loads(path.read_text(encoding="utf-8"))
        study = as_it_ran(facts, path.stem)
        run = Stored(path.stem, facts, study, *restored(facts, study))
        first = next((one.label for one in found if one.study.name == study.name), "")
        found.append(replace(run, study=_with_own_claims(run, first)) if first else run)
    return found


def _with_own_claims(run: Stored, first: str) -> Study:
    """The study with the claims for which cells of this run have run, and long enough; a note says where the others stand."""
    from facelearn.studies.verdicts import verdicts

    judged = verdicts(run.study, run.rows, run.cells)
    own = [one for one in judged if one.ran and (one.holds is not None or not one.waits)]
    left = len(judged) - len(own)
    claims, stand = ("claim", "stands") if left == 1 else ("claims", "stand")
    others = (
        f"{left} {claims} that these cells do not judge, or have not run long enough for, {stand} [above](#{first})."
    )
    notes = run.study.notes if len(own) == len(judged) else (*run.study.notes, others)
    return replace(run.study, claims=tuple(one.claim for one in own), notes=notes)


def draw(runs: Sequence[Stored]) -> None:
    """The pictures of all stored runs, and none else."""
    from facelearn.report.style import png
    from facelearn.studies.study_plots import study_cost, study_curves, study_sweep

    PICTURES.mkdir(parents=True, exist_ok=True)
    drawn = set()
    for run in runs:
        figures = {
            "curves": study_curves(run.study, run.cells), "sweep": study_sweep(run.study, run.rows),
            "cost": study_cost(run.study, run.rows),
        }  # fmt: skip
        for name, figure in figures.items():
            if figure is not None:
                path = PICTURES / f"{run.label}-{name}.png"
                path.write_bytes(png(figure, comment=run.fingerprint))
                drawn.add(path)
        for sheet in kernels.sheets(run.label):
            path = PICTURES / sheet.picture
            path.write_bytes(png(sheet.figure(), comment=sheet.fingerprint))
            drawn.add(path)
    for path in set(PICTURES.glob("*.png")) - drawn:
        path.unlink()


def page(note: str) -> str:
    """docs/results.md from the stored results."""
    from facelearn.report.tables import markdown_table
    from facelearn.studies.definition import load_study, study_names
    from facelearn.studies.overview import overview
    from facelearn.studies.verdicts import RULE

    remarks, runs = _remarks(), everything()
    known = {run.study.name for run in runs}
    listed = [(f"[{run.label}](#{run.label})", run.study, run.rows, run.cells) for run in runs]
    listed += [(name, load_study(name), [], {}) for name in study_names() if name not in known]
    parts = [
        note, "", "# Results", "", remarks["introduction"].strip(), "", "## All studies", "",
        markdown_table(*overview(listed)), "", f"**The rule.** {RULE}", "",
        *[_section(run, remarks.get(run.label, {})) for run in runs], remarks.get("closing", "").strip(),
    ]  # fmt: skip
    return "\n".join(parts).rstrip() + "\n"


def _remarks() -> dict[str, Any]:
    return tomllib.loads(REMARKS.read_text(encoding="utf-8"))


def _section(run: Stored, remark: Mapping[str, Any]) -> str:
    from facelearn.studies.page import markdown
    from facelearn.studies.store import asked_for

    facts, study = run.facts, run.study
    body = markdown(study, run.cells, found=run.rows, pictures=f"images/results/{run.label}-", folds=facts.get("folds"))
    heading, rest = body.split("\n", 1)
    asked = run.label.removeprefix(study.name).strip("-")
    if asked:
        heading += f" ({asked.replace('-', ' ')})"
    options = "".join(f" --{what} {number}" for what, number in asked_for(run.label).items())
    data, given = ("training.zip", "") if study.task == "keypoints" else ("PHOTOS", _files(facts))
    data = remark.get("data", data)
    command = f"```bash\nfacelearn study {study.name} --data {data}{given}{options}\n```"
    lines = [f'<a id="{run.label}"></a>', "", heading, "", command, rest]
    if shown := kernels.section(run.label, remark.get("kernels", "")):
        lines.append(shown)
    if "differs" in remark:
        lines += [f"**Where ours differs, and why.** {remark['differs'].strip()}", ""]
    return "\n".join(lines)


def _files(facts: Mapping[str, Any]) -> str:
    """The options of files that the stored cells were trained with."""
    recipes = [run["recipe"] for runs in facts["cells"].values() for run in runs]
    options = ""
    for option, table, name in (
        ("from", "transfer", "source"), ("train-list", "split", "train_list"), ("test-data", "split", "test_data"),
        ("test-list", "split", "test_list"),
    ):  # fmt: skip
        files = sorted({(recipe.get(table) or {}).get(name) or "" for recipe in recipes} - {""})
        options += "".join(f" --{option} {file}" for file in files)
    return options


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        collect(Path(argument))
        print("took", argument)
    from generate import NOTE

    draw(everything())
    PAGE.write_text(page(NOTE), encoding="utf-8")
    print(f"wrote {PAGE} and the pictures in {PICTURES}")
