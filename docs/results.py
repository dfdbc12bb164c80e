"""The results page: `python docs/results.py runs/studies/NAME ...` takes what `facelearn study` left into docs/results and docs/images.

docs/generate.py makes docs/results.md from docs/results/*.json and docs/results/remarks.toml, so the page can be made again, and
checked, without the runs.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
STORED, PICTURES = DOCS / "results", DOCS / "images" / "results"
REMARKS = STORED / "remarks.toml"


def collect(folder: Path) -> None:
    """Copy the numbers and pictures of one study's folder."""
    STORED.mkdir(exist_ok=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    facts = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    (STORED / f"{folder.name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n", encoding="utf-8")
    for name in ("curves", "sweep", "cost"):
        if (folder / f"{name}.png").exists():
            shutil.copyfile(folder / f"{name}.png", PICTURES / f"{folder.name}-{name}.png")


def page(note: str) -> str:
    """docs/results.md from the stored results."""
    remarks = tomllib.loads(REMARKS.read_text(encoding="utf-8"))
    order = list(remarks)
    paths = sorted(STORED.glob("*.json"), key=lambda path: order.index(path.stem) if path.stem in order else len(order))
    sections = [_section(path, remarks.get(path.stem, {})) for path in paths]
    closing = remarks.get("closing", "").strip()
    return (
        "\n".join([note, "", "# Results", "", remarks["introduction"].strip(), "", *sections, closing]).rstrip() + "\n"
    )


def _section(path: Path, remark: Mapping[str, Any]) -> str:
    from facelearn.studies.definition import load_study
    from facelearn.studies.page import markdown
    from facelearn.studies.store import restored

    facts = json.loads(path.read_text(encoding="utf-8"))
    found, cells = restored(facts)
    asked = re.findall(r"-(\d+)-(epochs|rows|folds)", path.stem)
    epochs = next((int(number) for number, what in asked if what == "epochs"), None)
    study = load_study(facts["study"], epochs=epochs)
    body = markdown(study, cells, found=found, pictures=f"images/results/{path.stem}-", folds=facts.get("folds"))
    heading, rest = body.split("\n", 1)
    options = "".join(f" --{what} {number}" for number, what in asked)
    data, given = ("PHOTOS", _files(facts)) if study.task == "identification" else ("training.zip", "")
    lines = [heading, "", f"```bash\nfacelearn study {study.name} --data {data}{given}{options}\n```", rest]
    if "differs" in remark:
        lines += [f"**Where ours differs, and why.** {remark['differs'].strip()}", ""]
    return "\n".join(lines)


def _files(facts: Mapping[str, Any]) -> str:
    """The options of files that the stored cells were trained with."""
    recipes = [run["recipe"] for runs in facts["cells"].values() for run in runs]
    options = ""
    for option, table, name in (("from", "transfer", "source"), ("train-list", "split", "train_list")):
        files = sorted({(recipe.get(table) or {}).get(name) or "" for recipe in recipes} - {""})
        options += "".join(f" --{option} {file}" for file in files)
    return options


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        collect(Path(argument))
        print("took", argument)
    print("now type: python docs/generate.py")
