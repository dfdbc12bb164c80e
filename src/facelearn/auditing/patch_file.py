"""The patch file: what an audit found and what would mend it, one JSON object a line, the worst first.

Every line is a `Fault` by itself, with `data`, the first digits of the fingerprint of the table that it is about: a line that is copied,
cut out or reordered still says what it belongs to; and with `action` where another one is to mend it than its kind implies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from facelearn.auditing.fault import Fault
from facelearn.data.faces import Faces
from facelearn.errors import DataError, Problem
from facelearn.files import write_text
from facelearn.outside import parse_json, read_regular

Action = Literal["drop", "set", "swap", "mask", "merge", "relabel"]
ACTIONS: tuple[Action, ...] = get_args(Action)

IMPLIED: Mapping[str, Action] = {
    "misplaced": "set", "swapped": "swap", "shifted": "set", "missing": "set", "wrong_face": "mask", "scheme": "set", "duplicate": "drop",
    "several_faces": "drop", "no_face": "drop", "blurred": "drop", "low_contrast": "drop", "clipped": "drop", "padded": "drop",
    "upscaled": "drop", "wrong_name": "relabel", "two_names": "merge", "two_people": "relabel",
}  # fmt: skip
"""What mends a finding of each kind, where its line has no "action"."""
ONLY_IF_ASKED = ("scheme", "several_faces", "blurred", "low_contrast", "clipped", "padded", "upscaled", "two_people")
"""Kinds that are facts to look at rather than faults: a replay applies them only where they are named."""
FINGERPRINT_DIGITS = 16


@dataclass(frozen=True)
class Proposal:
    """A fault and what would mend it.

    Attributes:
        fault: what is wrong.
        action: what mends it, `IMPLIED` by its kind where nobody said.
    """

    fault: Fault
    action: Action


@dataclass(frozen=True)
class Patch:
    """What a patch file holds.

    Attributes:
        fingerprint: the first digits of that of the table, as `Faces.fingerprint` gives it.
        proposals: the worst first, as in the file.
    """

    fingerprint: str
    proposals: tuple[Proposal, ...]

    @property
    def rows(self) -> list[int]:
        """The rows that it speaks of, 0-based, each once, ascending."""
        return sorted({one.fault.row for one in self.proposals})


def proposal_of(fault: Fault) -> Proposal:
    """`finding` with the action that its kind implies; a point without a suggested place is masked."""
    action = IMPLIED[fault.kind]
    return Proposal(fault, "mask" if action == "set" and fault.suggestion is None else action)


def write_patch(proposals: Sequence[Proposal], faces: Faces, path: str | Path) -> Path:
    """Write a patch file, whole or not at all.

    Args:
        proposals: in the order of the file.
        faces: the table they are about.
        path: of the file.

    Raises:
        WriteError: it cannot be written.
    """
    mark = faces.fingerprint()[:FINGERPRINT_DIGITS]
    lines = []
    for one in proposals:
        shown = one.fault.to_dict()
        if one.action != proposal_of(one.fault).action:
            shown["action"] = one.action
        lines.append(json.dumps({**shown, "data": mark}, ensure_ascii=False))
    return write_text(path, "".join(f"{line}\n" for line in lines))


def read_patch(path: str | Path, faces: Faces) -> Patch:
    """Read what `write_patch` wrote, for the table that it was written for.

    Args:
        path: of the file.
        faces: the table.

    Raises:
        DataError: no such file, lines that are no findings (named by number), or a patch for other data.
    """
    path = Path(path)
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a patch file ({error}); facelearn audit writes one") from None
    own = faces.fingerprint()[:FINGERPRINT_DIGITS]
    proposals, marks, problems = [], set(), []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            proposal, mark = _parse(line, faces, own)
        except ValueError as error:
            problems.append(Problem(str(path), number, str(error)))
            continue
        proposals.append(proposal)
        marks.add(mark)
    if marks - {own}:
        raise DataError(
            f"{path} belongs to other data: it is for those of fingerprint {', '.join(sorted(marks - {own}))}..., and these {len(faces):,} "
            f"faces are {own}...; give the data that was audited, read as it was then (--size, --crop, --color, --schema, "
            "--list-file, --missing, --units), or audit these: "
            "facelearn audit DATA --out FOLDER"
        )
    if problems:
        raise DataError(f"{path} has {len(problems)} lines that are no findings:", problems)
    return Patch(own, tuple(proposals))


def _parse(line: str, faces: Faces, own: str) -> tuple[Proposal, str]:
    """The proposal of one line, and the fingerprint it names.

    Raises:
        ValueError: what is wrong with the line, as a sentence.
    """
    said = parse_json(line)
    if not isinstance(said, dict):
        raise ValueError("is no JSON object")
    mark = said.pop("data", None)
    if not isinstance(mark, str):
        raise ValueError('has no "data", the fingerprint of the table it belongs to')
    action = said.pop("action", None)
    if action is not None and action not in ACTIONS:
        raise ValueError(f"has the action {action!r}; accepted are {', '.join(ACTIONS)}")
    fault = Fault.from_dict(said)
    if mark == own:  # else the whole file is refused
        if not 0 <= fault.row < len(faces):
            raise ValueError(f"row {fault.row} is not among the {len(faces):,} rows, which are counted from 0")
        if fault.keypoint is not None and fault.keypoint not in faces.schema.names:
            raise ValueError(f"'{fault.keypoint}' is none of the keypoints {', '.join(faces.schema.names)}")
    implied = proposal_of(fault)
    return (implied if action is None else Proposal(fault, cast(Action, action))), mark
