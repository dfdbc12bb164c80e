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

_MOST_SHEETS = 12
_MOST_PANELS = 4
_SIDE = 150


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
