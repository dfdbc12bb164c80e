"""The queue of an audit as one self-contained page: the worst first, each with its picture, the label and what is suggested instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import Fault
from facelearn.data.faces import Faces
from facelearn.geometry.affine import invert, map_points
from facelearn.report import page
from facelearn.report.contact_sheet import face_panel, tile
from facelearn.report.page import Tile, place_text
from facelearn.report.style import plain_text

FIRST_PICTURES, PICTURES_OF_A_KIND = 96, 12
"""So many findings are shown with a picture from the top of the queue, and from the top of each kind."""
_MOST_LINES = 1000
_SIDE = 176


def queue_html(faults: Sequence[Fault], faces: Faces, facts: Mapping[str, object], notes: Sequence[str] = ()) -> str:
    """A whole HTML document.

    Args:
        faults: the queue, the worst first.
        faces: the table that was audited.
        facts: of the audit, shown as they are; "source" is in the title.
        notes: lines that are to be known, decisions among them.
    """
    shown = pictured(faults)
    counts = Counter(fault.kind for fault in faults)
    tiles = [
        Tile("Findings", f"{len(faults):,}", (f"in {len({fault.row for fault in faults}):,} of {len(faces):,} rows",))
    ]
    tiles += [
        Tile(kind.replace("_", " "), f"{count:,}", (_sure_text(faults, kind),)) for kind, count in counts.most_common(5)
    ]
    cards = [(faults[i].kind.replace("_", " "), _card(faults[i], i + 1, faces)) for i in shown]
    rest = (
        f"; {len(shown):,} of {len(faults):,} are shown with a picture, and the buttons count these"
        if len(shown) < len(faults)
        else ""
    )
    drawn = "Green rings are labels, orange dots what is suggested." if len(faces.schema) else ""
    body = [
        page.tiles(tiles),
        page.section("To be known", page.bullets(list(notes))),
        page.section(
            "The queue",
            page.filtered_cards(cards, "all kinds"),
            page.details(_list_title(len(faults)), _lines(faults)),
            intro=f"The worst first{rest}. {drawn}",
        ),
        page.section("What to do", _what_to_do()),
        page.section("Facts", page.facts_table({key: value for key, value in facts.items() if key != "source"})),
    ]
    source = plain_text(facts.get("source", "data"), 120)
    return page.page(
        f"Labels to look at in {source}", f"{len(faces):,} faces.", body, footer="Written by facelearn audit."
    )


def pictured(faults: Sequence[Fault]) -> list[int]:
    """Which findings are shown with a picture: the first of all, and the first of each kind, in the order of the queue."""
    seen: Counter[str] = Counter()
    chosen = []
    for i, fault in enumerate(faults):
        seen[fault.kind] += 1
        if i < FIRST_PICTURES or seen[fault.kind] <= PICTURES_OF_A_KIND:
            chosen.append(i)
    return chosen


def _sure_text(faults: Sequence[Fault], kind: str) -> str:
    return f"{sum(fault.score for fault in faults if fault.kind == kind):.0f} expected to be real"


def _list_title(count: int) -> str:
    return f"All {count:,} as a list" if count <= _MOST_LINES else f"The first {_MOST_LINES:,} of {count:,} as a list"


def _lines(faults: Sequence[Fault]) -> str:
    rows = [
        [
            f"{number}", f"{fault.row}", fault.kind.replace("_", " "), (fault.keypoint or "").replace("_", " "), f"{fault.score:.2f}",
            plain_text(fault.reason, 200), plain_text(PurePath(fault.source).name, 60),
        ]
        for number, fault in enumerate(faults[:_MOST_LINES], start=1)
    ]  # fmt: skip
    return page.table(["place", "row", "kind", "keypoint", "score", "reason", "file"], rows) if rows else ""


def _card(fault: Fault, place: int, faces: Faces) -> str:
    """One finding: its picture, kind and score, and in words what is wrong and where."""
    kind, keypoint = fault.kind.replace("_", " "), (fault.keypoint or "").replace("_", " ")
    title = plain_text(f"{kind}: {keypoint}" if keypoint else kind, 60)
    suggested = (
        f"instead: {fault.suggestion}" if isinstance(fault.suggestion, str) and fault.kind != "duplicate" else ""
    )
    file = place_text(str(faces.source[fault.row]), -1)
    lines = [
        title,
        f"score {fault.score:.2f}, no. {place}, row {fault.row}",
        plain_text(fault.reason, 200),
        plain_text(suggested, 60),
        file,
    ]
    return page.face_card(panel_of(fault, faces), f"{title}, row {fault.row}", [line for line in lines if line])


def panel_of(fault: Fault, faces: Faces) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): the face of a finding with the label and the suggestion drawn on it; beside it the face that it is about too."""
    truth, prediction = _drawn(fault, faces)
    other = _beside(fault, faces)
    if other is None:
        return face_panel(faces.images[fault.row], truth=truth, prediction=prediction, side=_SIDE)
    rows = ((fault.row, truth), (other, np.asarray(faces.keypoints[other], np.float64)))
    return tile([face_panel(faces.images[row], truth=points, side=_SIDE) for row, points in rows], 2)


def _beside(fault: Fault, faces: Faces) -> int | None:
    """The row that a finding compares its own with: the one that it repeats, or one of the person that it may show."""
    said = fault.suggestion
    if not isinstance(said, str):
        return None
    if fault.kind == "duplicate":
        return int(said) if said.isdecimal() and int(said) < len(faces) else None
    if said not in faces.people:
        return None
    rows = np.flatnonzero(faces.identity == faces.people.index(said))
    return int(rows[0]) if len(rows) else None


def _drawn(fault: Fault, faces: Faces) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """(K, 2) labels to draw and (K, 2) suggested places, in pixels of the image, NaN for what is not drawn."""
    labels = np.asarray(faces.keypoints[fault.row], np.float64)
    names = faces.schema.names
    suggestion = None if isinstance(fault.suggestion, str) else fault.suggestion
    if fault.keypoint is None:
        if fault.kind == "shifted" and suggestion is not None:
            to_photo = faces.to_photo[fault.row]
            return labels, map_points(invert(to_photo), map_points(to_photo, labels) + np.asarray(suggestion))
        if fault.kind == "swapped" and faces.schema.can_mirror:
            swapped = labels[faces.schema.mirror_index]
            alone = faces.schema.mirror_index == np.arange(len(names))
            return labels, np.where(alone[:, None], np.nan, swapped)
        return labels, None
    k = names.index(fault.keypoint)
    own = np.full_like(labels, np.nan)
    own[k] = labels[k]
    if suggestion is None:
        return own, None
    place = np.full_like(labels, np.nan)
    place[k] = map_points(invert(faces.to_photo[fault.row]), np.asarray([suggestion], np.float64))[0]
    return own, place


def _what_to_do() -> str:
    steps = [
        "Delete the lines of patch.jsonl that are no faults, or replay only the sure ones: facelearn patch DATA patch.jsonl "
        "--min-score 0.9 --out mended.csv",
        "Or write your word on the first 5 to 10 into decisions.csv (row,kind,keypoint,decision; confirmed or refused): facelearn audit "
        "DATA --out FOLDER --resume --decisions decisions.csv ranks the rest by it.",
        "Or correct them in CVAT or Label Studio: facelearn convert DATA rows.xml --rows-of patch.jsonl writes only these rows.",
    ]
    return page.bullets(steps)
