"""The faces of a run of verification in a page: the pairs it is most wrong about, side by side, and the map of its embeddings."""

from __future__ import annotations

import numpy as np

from facelearn.report import page
from facelearn.report.contact_sheet import face_panel
from facelearn.report.page import place_text
from facelearn.report.shown_numbers import to_number
from facelearn.report.style import plain_text
from facelearn.tasks.verification.embedding_map import FEWEST, embedding_map
from facelearn.tasks.verification.pair_results import PairResult

_SIDE = 150


def hard_pairs_section(run: PairResult, whose: str) -> str:
    """HTML: wrong pairs side by side, different people taken for one and one person taken for two; nothing without pictures."""
    if not len(run.images) or not len(run.hard_pairs):
        return ""
    threshold = to_number(run.metrics.get("threshold"))
    taken = run.hard_distance <= threshold
    parts = []
    for wrong, title in ((taken, "Different people taken for one"), (~taken, "One person taken for two")):
        cards = [_card(run, int(place)) for place in np.flatnonzero(wrong)]
        if cards:
            parts.append(f'<h3>{title}</h3><div class="couples">{"".join(cards)}</div>')
    return page.section(
        f"The hardest pairs{whose}", *parts,
        intro=f"Pairs on the wrong side of the threshold of {threshold:.3g}, the farthest first, two people once. "
        "A wrong label looks like this too.",
    )  # fmt: skip


def _card(run: PairResult, place: int) -> str:
    rows = run.hard_pairs[place].tolist()
    names = [plain_text(run.people[run.identity[row]], 40) if run.identity[row] >= 0 else "unknown" for row in rows]
    who = names[:1] if names[0] == names[1] and run.identity[rows[0]] >= 0 else names
    lines = [
        " and ".join(f"<b>{page.escape(name)}</b>" for name in who),
        f"distance {run.hard_distance[place]:.3g}",
        *(page.escape(place_text(str(run.source[row]), int(run.row[row]))) for row in rows),
    ]
    return page.strip([face_panel(run.images[row], side=_SIDE) for row in rows], " and ".join(who), lines, 2)


def map_section(run: PairResult, whose: str) -> str:
    """HTML: the map of embeddings and whose colour is whose; nothing without pictures of `FEWEST` images of known people."""
    if not len(run.images) or int((run.identity >= 0).sum()) < FEWEST:
        return ""
    found = embedding_map(run.images, run.vectors, run.identity)
    if found is None:
        return ""
    names = [plain_text(run.people[person], 40) for person in found.people]
    shown = f"{found.images:,} images of {len(names)} people"
    legend = " ".join(
        f'<span style="white-space: nowrap; margin-right: 1em"><span class="dot" style="background: rgb{colour}"></span>'
        f"{page.escape(name)}</span>"
        for name, colour in zip(names, found.colours, strict=True)
    )
    image = (
        f'<img class="sheet" src="{page.picture(found.picture)}" alt="Map of the embeddings of {shown}" loading="lazy">'
    )
    return page.section(
        f"Map of the embeddings{whose}", page.figure(image), f"<p>{legend}</p>",
        intro=f"{shown}, those of the most images. Images that the model finds alike lie together (t-SNE); distances between groups "
        "say little, as each image takes a place of its own.",
    )  # fmt: skip
