"""How an audit's queue meets faults that nobody planted: rows of a data set judged by eye.

    facelearn audit ../shared/data/ytf --out runs/audit
    python benchmarks/natural_faults.py runs/audit/patch.jsonl

`tests/auditing/natural_faults_ytf.json` has the rows: 300 drawn at random and those with a label in the queue, shuffled together and judged
by somebody who saw neither queue nor scores, as fine, doubtful (a part off by some 5 to 8% of the face's width) or wrong
(by more).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

OF_LABELS = ("misplaced", "swapped", "shifted", "wrong_face")
JUDGED = Path(__file__).resolve().parents[1] / "tests" / "auditing" / "natural_faults_ytf.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patch", type=Path)
    parser.add_argument("--rows", type=int, default=3371, help="of the data set")
    arguments = parser.parse_args()
    judged = json.loads(JUDGED.read_text())
    wrong, doubtful = set(judged["wrong"]), set(judged["doubtful"])
    seen = set(judged["random"]) | set(judged["queue"])
    found = [json.loads(line) for line in arguments.patch.read_text().splitlines()]
    queue = list(dict.fromkeys(fault["row"] for fault in found if fault["kind"] in OF_LABELS))
    print(f"{len(queue)} rows with a label in the queue, {len(seen & set(queue))} of them judged")
    for first in (2, 5, 10, 50):
        rows = [row for row in queue[:first] if row in seen]
        bad, unsure = (sum(row in kind for row in rows) for kind in (wrong, doubtful))
        print(f"first {first:>2}: {len(rows)} judged, {bad} wrong, {unsure} doubtful")
    early = set(queue[: arguments.rows // 20])
    print(
        f"in the first 5% of all rows: {len(early & wrong)} of {len(wrong)} wrong, {len(early & doubtful)} of {len(doubtful)} doubtful"
    )
    at_random = set(judged["random"])
    print(f"of {len(at_random)} rows at random: {len(at_random & wrong)} wrong, {len(at_random & doubtful)} doubtful")


if __name__ == "__main__":
    main()
