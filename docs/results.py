"""The results page: `python docs/results.py runs/studies` takes what `facelearn study` left there into docs/results and docs/images.

docs/generate.py makes docs/results.md from docs/results/*.json and docs/results/remarks.toml, so the page can be made again, and
checked, without the runs.
"""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
STORED, PICTURES = DOCS / "results", DOCS / "images" / "results"
REMARKS = STORED / "remarks.toml"


def collect(runs: Path) -> list[str]:
    """Copy the numbers and pictures of every study below `runs`; returns the studies' names."""
    found = sorted(path.parent for path in runs.glob("*/study.json"))
    for folder in found:
        STORED.mkdir(exist_ok=True)
        PICTURES.mkdir(parents=True, exist_ok=True)
        facts = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        (STORED / f"{folder.name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n", encoding="utf-8")
        for name in ("curves", "sweep"):
            if (folder / f"{name}.png").exists():
                shutil.copyfile(folder / f"{name}.png", PICTURES / f"{folder.name}-{name}.png")
    return [folder.name for folder in found]


def page(note: str) -> str:
    """docs/results.md from the stored results."""
    remarks = tomllib.loads(REMARKS.read_text(encoding="utf-8"))
    sections = [_section(path, remarks.get(path.stem, {})) for path in _stored(remarks)]
    return "\n".join(
        [note, "", "# Results of the published experiments", "", remarks["introduction"].strip(), "", *sections]
    )


def _stored(remarks: Mapping[str, Any]) -> list[Path]:
    """The stored studies, in the order in which remarks stand, others after them."""
    order = list(remarks)
    paths = sorted(STORED.glob("*.json"))
    return sorted(paths, key=lambda path: order.index(path.stem) if path.stem in order else len(order))


def _section(path: Path, remark: Mapping[str, Any]) -> str:
    from facelearn.report.study import markdown, restored
    from facelearn.training.study import load_study

    found, cells = restored(json.loads(path.read_text(encoding="utf-8")))
    study = load_study(path.stem)
    body = markdown(study, cells, found=found, pictures=f"images/results/{path.stem}-")
    heading, rest = body.split("\n", 1)
    command = remark.get("command", f"facelearn study {path.stem} --data ../shared/data/fkd/training.zip")
    lines = [heading, "", f"```bash\n{command}\n```", rest]
    if "differs" in remark:
        lines += [f"**Where ours differs, and why:** {remark['differs'].strip()}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print("took", ", ".join(collect(Path(sys.argv[1]))) or "nothing")
    print("now type: python docs/generate.py")
