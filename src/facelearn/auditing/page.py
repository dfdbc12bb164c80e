"""What is in a data set, before any training, as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.auditing.findings import findings_section, found_text
from facelearn.auditing.people import FEW, MANY, size_groups
from facelearn.auditing.suspects import Suspect, place_of
from facelearn.data.faces import Faces
from facelearn.geometry.affine import scale_of
from facelearn.report import page
from facelearn.report.contact_sheet import face_panel
from facelearn.report.page import Tile, picture, place_text
from facelearn.report.style import INK, house_style, new_figure, note, plain_text, run_colour, svg
from facelearn.tasks.keypoints import keypoint_plots

if TYPE_CHECKING:
    from facelearn.report.style import Figure

_MOST_POINTS = 4000
_MOST_SUSPECTS, _MOST_LISTED, _MOST_FACES = 24, 100, 48
_SIDE = 176
_MOST_IMAGES = 4000
_ELSEWHERE = (
    "findings",
    "suspects",
    "problems",
    "warnings",
    "written",
    "patterns",
    "labels_per_keypoint",
    "keypoints",
    "people",
)


def inspection_html(
    facts: Mapping[str, Any],
    faces: Faces,
    *,
    near_duplicates: ArrayLike | None = None,
    suspects: Sequence[Suspect] = (),
) -> str:
    """A whole HTML document: counts, problems, a contact sheet, which labels are missing, where points lie, sizes, people.

    Args:
        facts: what `verbs.inspect` found, nested; every key may be missing, and unknown keys are shown as they are.
        faces: the data, any number of them, with keypoints or without.
        near_duplicates: int64 (N,) group of each face, -1 alone, as `splits.groups.near_duplicates` gives; the largest
            groups are shown.
        suspects: labels that look wrong, the most suspicious first.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    source = plain_text(facts.get("source", "data"), 120)
    problems = [str(line) for line in facts.get("problems") or ()]
    warnings = [str(line) for line in facts.get("warnings") or ()]
    body = [
        page.tiles(_tiles(facts, faces, len(problems))),
        page.section("Found", f"<p>{page.escape(found_text(facts))}</p>"),
        page.section("Rows that cannot be used", page.bullets(problems)),
        page.section("To be known", page.bullets(warnings)),
        findings_section(facts.get("findings") or (), faces, near_duplicates),
        _suspects_section(faces, suspects),
        _faces_section(faces),
        _labels_section(facts, faces),
        _pictures_section(faces, near_duplicates),
        page.section("Facts", page.facts_table(_remaining(facts))),
    ]
    kind = facts.get("format")
    subtitle = f"{len(faces):,} faces{f', read as {plain_text(kind)}' if kind else ''}."
    return page.page(f"What is in {source}", subtitle, body, footer="Written by facelearn inspect.")


def _tiles(facts: Mapping[str, Any], faces: Faces, problems: int) -> list[Tile]:
    colour = "grey" if faces.channels == 1 else "RGB"
    found = [Tile("Faces", f"{len(faces):,}", (f"{faces.width} x {faces.height} px, {colour}",))]
    if len(faces.schema) and len(faces):
        labels, complete = int(faces.labelled.sum()), int(faces.complete.sum())
        share = 1 - labels / faces.labelled.size
        unlabelled = int((~faces.labelled.any(1)).sum())
        found += [
            Tile("Labels", f"{labels:,}", (f"{len(faces.schema)} keypoints, {plain_text(faces.schema.name)}",)),
            Tile("Missing", f"{share:.1%}", (f"{unlabelled:,} faces without any label",)),
            Tile("Complete faces", f"{complete:,}", (f"{complete / len(faces):.1%} of all",)),
        ]
    if faces.people:
        sizes = size_groups(np.bincount(faces.identity[faces.identity >= 0], minlength=len(faces.people)))
        groups = f"{sizes['few']:,} with fewer than {FEW} images, {sizes['medium']:,} with {FEW} to {MANY}, {sizes['many']:,} with more"
        unknown = int((faces.identity < 0).sum())
        notes = (groups, f"{unknown:,} faces without a name") if unknown else (groups,)
        found.append(Tile("People", f"{len(faces.people):,}", notes))
    twins = facts.get("near_duplicates")
    if isinstance(twins, Mapping):
        remark = f"in {twins.get('groups', 0):,} groups; a split keeps each together"
        found.append(Tile("Near-duplicates", f"{twins.get('images', 0):,}", (remark,)))
    return [*found, Tile("Problems", f"{problems:,}", ("rows left out",))]


def _suspects_section(faces: Faces, suspects: Sequence[Suspect]) -> str:
    """The faces of the most suspicious labels, each named, its label ringed, and the table of them."""
    if not suspects:
        return ""
    shown = suspects[:_MOST_SUSPECTS]
    panels = []
    for one in shown:
        label = np.full_like(np.asarray(faces.keypoints[one.index], np.float64), np.nan)
        label[one.keypoint] = faces.keypoints[one.index][one.keypoint]
        panel = face_panel(faces.images[one.index], truth=label, side=_SIDE)
        keypoint = plain_text(faces.schema.names[one.keypoint].replace("_", " "), 40)
        place = place_text(str(faces.source[one.index]), int(faces.row[one.index]))
        far = f"{one.distance:.1f} px away, {one.score:.0f} times typical"
        panels.append((panel, f"{place}: {keypoint}", (keypoint, far, place)))
    rows = [
        [
            plain_text(place_of(faces, one.index), 80),
            faces.schema.names[one.keypoint],
            f"{one.distance:.1f}",
            f"{one.score:.0f}",
        ]
        for one in suspects[:_MOST_LISTED]
    ]
    more = f" The {len(shown)} furthest are shown; suspects.csv has all." if len(suspects) > len(shown) else ""
    return page.section(
        "Suspect labels",
        page.faces(panels),
        page.details(
            f"The first {len(rows)} as a table" if len(suspects) > len(rows) else "As a table",
            page.table(["file", "keypoint", "px away", "times typical"], rows),
        ),
        intro=f"{len(suspects):,} labels lie far from where the other labels of their face put them.{more}",
    )


def _faces_section(faces: Faces) -> str:
    if not len(faces):
        return ""
    chosen = np.arange(len(faces))
    if len(faces) > _MOST_FACES:
        chosen = np.sort(np.random.default_rng(0).choice(len(faces), _MOST_FACES, replace=False))
    schema = faces.schema if len(faces.schema) > 30 else None
    panels = []
    for i in map(int, chosen):
        panel = face_panel(faces.images[i], truth=faces.keypoints[i], schema=schema, side=_SIDE)
        place = place_text(str(faces.source[i]), int(faces.row[i])) or f"face {i}"
        who = plain_text(faces.people[faces.identity[i]], 40) if faces.identity[i] >= 0 else ""
        panels.append((panel, place, [line for line in (who, place.removeprefix(f"{who}/")) if line]))
    shown = f"{len(chosen)} of {len(faces):,}, chosen at random" if len(faces) > len(chosen) else "All of them"
    labels = "; green rings are labels" if len(faces.schema) else ""
    return page.section("Faces", page.faces(panels), intro=f"{shown}{labels}.")


def _labels_section(facts: Mapping[str, Any], faces: Faces) -> str:
    if not len(faces.schema) or not len(faces):
        return ""
    pattern = svg(
        keypoint_plots.missing_pattern(faces.keypoints, faces.schema), "Which labels exist, by face and keypoint"
    )
    spread = svg(label_spread(faces), "All labels and their means, in pixels of the image")
    keypoints = facts.get("keypoints")
    stated = {}
    if isinstance(keypoints, Mapping):
        stated = {key: value for key, value in keypoints.items() if key not in _ELSEWHERE}
        stated["commonest patterns"] = [
            f"{row.get('keypoints')} keypoints in {row.get('rows'):,} rows"
            for row in keypoints.get("patterns") or ()
            if isinstance(row, Mapping) and isinstance(row.get("rows"), int)
        ]
    figures = page.plots(
        page.figure(pattern),
        page.figure(spread, "Dots are labels, rings their means. A lone dot is a label to look at."),
    )
    return page.section("Labels", figures, page.facts_table(stated))


def _pictures_section(faces: Faces, near_duplicates: ArrayLike | None) -> str:
    if not len(faces):
        return ""
    panels = [
        page.figure(
            f'<img class="sheet" src="{picture(mean_face_panel(faces))}" alt="The mean image">', "The mean image."
        )
    ]
    sizes = photo_sizes(faces)
    if sizes.min() != sizes.max():
        caption = "Side of each face's crop in pixels of its photo; crops below the network's size carry less detail than it sees."
        panels.append(
            page.figure(svg(histogram(sizes, "Faces by size in their photo, pixels"), "Sizes in the photo"), caption)
        )
    if faces.people:
        counts = np.bincount(faces.identity[faces.identity >= 0], minlength=len(faces.people)).astype(np.float64)
        if counts.min() != counts.max():
            panels.append(
                page.figure(svg(histogram(counts, "People by their number of images"), "Images of each person"))
            )
    return page.section("Pictures", page.plots(*panels), _near_duplicates(faces, near_duplicates))


def label_spread(faces: Faces) -> Figure:
    """All labels (a random part where they are very many) as dots on the image's frame, with the mean of each keypoint."""
    points = np.asarray(faces.keypoints, np.float64)
    rows = np.arange(len(points))
    most = max(1, _MOST_POINTS // max(1, points.shape[1]))
    if len(rows) > most:
        rows = np.random.default_rng(0).choice(len(rows), most, replace=False)
    flat = points[rows].reshape(-1, 2)
    flat = flat[np.isfinite(flat).all(1)]
    means = keypoint_plots.mean_points(faces.keypoints)
    means = means[np.isfinite(means).all(1)]
    with house_style():
        figure = new_figure(5.0, 5.0 * min(1.6, max(0.6, faces.height / faces.width)) + 0.3)
        axes = figure.add_subplot()
        axes.set_title("Where the labels lie")
        if not len(flat):
            note(axes, "no keypoint is labelled")
            return figure
        # thousands of dots are a small picture in the page, not thousands of elements
        axes.scatter(flat[:, 0], flat[:, 1], s=5, color=run_colour(0), alpha=0.3, linewidths=0, rasterized=True)
        axes.scatter(means[:, 0], means[:, 1], s=34, facecolors="none", edgecolors=INK, linewidths=1.3)
        axes.set_aspect("equal")
        axes.set_xlim(min(-0.5, flat[:, 0].min()), max(faces.width - 0.5, flat[:, 0].max()))
        axes.set_ylim(max(faces.height - 0.5, flat[:, 1].max()), min(-0.5, flat[:, 1].min()))
    return figure


def histogram(values: NDArray[np.float64], title: str) -> Figure:
    """Counts of `values`, float64 (N,), in bins of equal width."""
    with house_style():
        figure = new_figure(5.6, 3.2)
        axes = figure.add_subplot()
        axes.set_title(title)
        if len(values):
            low, high = float(values.min()), float(values.max())
            whole = high - low < 40 and bool((values == np.round(values)).all())
            bins = int(high - low) + 1 if whole else min(40, max(5, round(len(values) ** 0.5)))
            axes.hist(
                values, bins=bins, range=(low - 0.5, high + 0.5) if whole else None, color=run_colour(0), rwidth=0.92
            )
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def photo_sizes(faces: Faces) -> NDArray[np.float64]:
    """float64 (N,): the longer side of each image in pixels of its photo, from `to_photo`."""
    return np.asarray(scale_of(faces.to_photo) * max(faces.height, faces.width), np.float64)


def mean_face_panel(faces: Faces, side: int = 264) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): the mean image (over at most 4,000 faces evenly taken) with the mean of each keypoint."""
    chosen = np.linspace(0, len(faces) - 1, min(len(faces), _MOST_IMAGES)).astype(np.int64)
    total = np.zeros(faces.images.shape[1:], np.float64)
    for start in range(0, len(chosen), 256):
        total += faces.images[chosen[start : start + 256]].sum(0, dtype=np.float64)
    mean = np.round(total / len(chosen)).astype(np.uint8)
    return face_panel(mean, truth=keypoint_plots.mean_points(faces.keypoints) if len(faces.schema) else None, side=side)


def _near_duplicates(faces: Faces, near_duplicates: ArrayLike | None, *, most: int = 6, columns: int = 5) -> str:
    """The largest groups of near-duplicates, each with what its images are called; nothing where no group has two faces."""
    if near_duplicates is None:
        return ""
    groups = np.asarray(near_duplicates, np.int64)
    sizes = np.bincount(groups[groups >= 0], minlength=1)
    strips = []
    for group in np.argsort(-sizes, kind="stable")[:most]:
        if sizes[group] < 2:
            break
        members = np.flatnonzero(groups == group)
        names = [place_text(str(faces.source[i]), int(faces.row[i])) or f"face {i}" for i in members[:columns]]
        rest = [f"and {len(members) - columns:,} more"] if len(members) > columns else []
        panels = [face_panel(faces.images[i], side=96) for i in members[:columns]]
        strips.append(page.strip(panels, "; ".join(names), [page.escape("; ".join([*names, *rest]))], columns))
    return f'<h3>Near-duplicates, the largest groups</h3><div class="pairs">{"".join(strips)}</div>' if strips else ""


def _remaining(facts: Mapping[str, Any]) -> Mapping[str, object]:
    return {key: value for key, value in facts.items() if key not in _ELSEWHERE} | (
        {"people": facts["people"]} if isinstance(facts.get("people"), Mapping) else {}
    )
