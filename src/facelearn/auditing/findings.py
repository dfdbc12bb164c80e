"""What is wrong with the people of a data set, in a page: each finding, what to do, and photos that stand under two names side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facelearn.auditing.people import SAME_PHOTO, SamePhoto, same_photos
from facelearn.data.faces import Faces
from facelearn.report import page
from facelearn.report.contact_sheet import face_panel, tile
from facelearn.report.page import picture
from facelearn.report.style import plain_text

_MOST_LINES = 10
_MOST_SHEETS = 12
_MOST_PANELS = 4
_SIDE = 150


def found_text(facts: Mapping[str, Any]) -> str:
    """How much `inspect` found of what, in one line: what the terminal and the page say of it alike; "nothing" where nothing is."""

    def inside(key: str) -> int:
        value = facts.get(key)
        return int(value.get("count") or 0) if isinstance(value, Mapping) else 0

    counts = [
        (len(facts.get("problems") or ()), "row left out", "rows left out"),
        (len(facts.get("findings") or ()), "kind of finding", "kinds of findings"),
        (inside("suspects"), "suspect label", "suspect labels"),
        (inside("flat_images"), "image of one colour", "images of one colour"),
        (len(facts.get("warnings") or ()), "note", "notes"),
    ]
    return ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count) or "nothing"


def listed_text(facts: Mapping[str, Any]) -> list[str]:
    """Lines that list what `found_text` counts but the findings, whose lines `people.findings_text` makes."""
    lines = []
    for key, title in (("problems", "rows left out"), ("warnings", "notes")):
        said = [str(line) for line in facts.get(key) or ()]
        lines += [f"{title}: {len(said):,}", *(f"    {line}" for line in said[:_MOST_LINES])] if said else []
        lines += [f"    and {len(said) - _MOST_LINES:,} more"] if len(said) > _MOST_LINES else []
    suspects = facts.get("suspects")
    if isinstance(suspects, Mapping) and suspects.get("count"):
        count, first = int(suspects["count"]), list(suspects.get("first") or ())
        lines += [f"suspect labels: {count:,} in {int(suspects['faces']):,} faces", *(f"    {line}" for line in first)]
        lines += [f"    and {count - len(first):,} more"] if count > len(first) else []
        lines.append(
            "  what to do: look at them in the page or in suspects.csv (--out FOLDER writes both), and mend those that are wrong"
        )
    return lines


def findings_section(findings: Sequence[Mapping[str, Any]], faces: Faces, near_duplicates: ArrayLike | None) -> str:
    """HTML: `findings` as `data.people.people_findings` makes them, with pictures of photos that stand under several people.

    Args:
        findings: each "kind", "count", "examples" and "what_to_do".
        faces: the data they are about.
        near_duplicates: int64 (N,) group of each face, -1 alone; None shows no pictures.
    """
    parts = []
    for finding in findings:
        kind, count = plain_text(finding.get("kind", ""), 200), int(finding.get("count", 0))
        examples = [plain_text(example, 400) for example in finding.get("examples") or ()]
        rest = [f"and {count - len(examples):,} more"] if count > len(examples) else []
        parts.append(f"<h3>{page.escape(kind[:1].upper() + kind[1:])}: {count:,}</h3>")
        parts.append(f"<p><b>What to do:</b> {page.escape(plain_text(finding.get('what_to_do', ''), 600))}.</p>")
        if kind == SAME_PHOTO and near_duplicates is not None:
            parts.append(_side_by_side(faces, same_photos(faces, np.asarray(near_duplicates, np.int64))))
        parts.append(page.bullets([*examples, *rest], len(examples) + 1))
    return page.section("Findings", *parts)


def _side_by_side(faces: Faces, photos: Sequence[SamePhoto]) -> str:
    sheets = []
    for photo in photos[:_MOST_SHEETS]:
        rows = photo.rows[:_MOST_PANELS]
        sheet = tile([face_panel(faces.images[row], side=_SIDE) for row in rows], len(rows))
        names = [
            plain_text(f"{faces.people[faces.identity[row]]}: {PurePath(faces.source[row]).name}", 60) for row in rows
        ]
        more = f", and {len(photo.rows) - len(rows):,} more" if len(photo.rows) > len(rows) else ""
        caption = " | ".join(names) + more + (" (identical)" if photo.identical else "")
        image = f'<img class="sheet" src="{picture(sheet)}" alt="{page.escape(caption)}" loading="lazy">'
        sheets.append(page.figure(image, caption))
    return page.plots(*sheets)
