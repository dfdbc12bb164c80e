"""The people of a run as pictures in a page: the best and the worst, who is taken for whom, strangers who got a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.report import page
from facelearn.report.contact_sheet import face_panel
from facelearn.report.headline import tables_of
from facelearn.report.page import place_text
from facelearn.report.shown_numbers import percent, to_number
from facelearn.report.style import plain_text
from facelearn.tasks.identification.class_results import ClassResult
from facelearn.tasks.identification.class_text import class_list

PAIRS_SHOWN, STRANGERS_SHOWN = 12, 12
_CARD = 4  # pictures of a person beside each other, the example first
_SIDE = 150

Picture = NDArray[np.uint8]


def best_and_worst_people(run: ClassResult) -> str:
    """HTML: the people with the lowest and the highest aggregated scores, each with an example and some held-out images."""
    entries = {str(one.get("name")): one for one in class_list(run.metrics)}
    worst = [str(name) for name in run.metrics.get("worst") or () if str(name) in entries]
    best = [str(name) for name in run.metrics.get("best") or () if str(name) in entries and str(name) not in worst]
    parts = [
        f'<h3>{title}</h3><div class="people">{"".join(_card(run, entries[name]) for name in names)}</div>'
        for title, names in (("Worst", worst), ("Best", best))
        if names
    ]
    intro = "By aggregated score, accuracy read as recall. "
    if len(run.images):
        intro += (
            "The framed picture is an example of the person; the others are held-out images, the wrong answers first."
        )
    return page.section("The worst and the best people", *parts, intro=intro)


def _card(run: ClassResult, entry: Mapping[str, Any]) -> str:
    name = str(entry.get("name"))
    rows = _held_out(run, name)[: _CARD - 1]
    shown = [_example(run, name), *(run.images[i] for i in rows)] if len(run.images) else []
    images, trained = to_number(entry.get("images")), to_number(entry.get("train_images"))
    counts = f"{images:,.0f} held out" + (f", {trained:,.0f} trained on" if np.isfinite(trained) else "")
    scores = ", ".join(
        f"{title} {percent(entry.get(key))}"
        for key, title in (("recall_score", "recall"), ("precision_score", "precision"))
    )
    taken = _taken_for(run, rows)
    lines = [
        f"<b>{page.escape(plain_text(name, 60))}</b> {percent(entry.get('aggregated_score'))}",
        page.escape(scores),
        counts,
    ]
    lines += [f"taken for {page.escape(taken)}"] if taken else []
    return _strip(shown, f"{plain_text(name)}: an example and held-out images", lines, _CARD)


def _taken_for(run: ClassResult, rows: Sequence[int]) -> str:
    """The wrong names that the rows were given, once each."""
    names = [run.people[run.predicted[i]] for i in rows if run.predicted[i] != run.truth[i]]
    return ", ".join(plain_text(name, 30) for name in dict.fromkeys(names))


def _held_out(run: ClassResult, name: str) -> list[int]:
    """Rows of a person, the wrong answers first, the surest of these in front."""
    if name not in run.people:
        return []
    rows = np.flatnonzero(run.truth == run.people.index(name))
    wrong = run.predicted[rows] != run.truth[rows]
    return [int(i) for i in rows[np.lexsort((-run.probabilities[rows].max(1), ~wrong))]]


def confused_pairs(run: ClassResult) -> str:
    """HTML: the commonest confusions, each as the surest held-out image beside an example of both people."""
    if not len(run.images):
        return ""
    cards = []
    for pair in tables_of(run.metrics, "confusions")[:PAIRS_SHOWN]:
        truth, taken = str(pair.get("truth")), str(pair.get("predicted"))
        if truth in run.people and taken in run.people:
            cards.append(_pair(run, pair, run.people.index(truth), run.people.index(taken)))
    if not any(cards):
        return ""
    legend = (
        "<h3>The commonest confusions</h3>"
        '<p class="muted">Each time: a held-out image that was given the wrong name, an example of who it is, and an '
        "example of whom it was taken for.</p>"
    )
    return f'{legend}<div class="pairs">{"".join(cards)}</div>'


def _pair(run: ClassResult, pair: Mapping[str, Any], truth: int, taken: int) -> str:
    rows = np.flatnonzero((run.truth == truth) & (run.predicted == taken))
    if not len(rows):
        return ""
    row = int(rows[run.probabilities[rows, taken].argmax()])
    names = [plain_text(run.people[i], 60) for i in (truth, taken)]
    shown = [run.images[row], _example(run, run.people[truth]), _example(run, run.people[taken])]
    images = to_number(pair.get("count"))
    all_images = int((run.truth == truth).sum())
    lines = [
        f"<b>{page.escape(names[0])}</b> taken for <b>{page.escape(names[1])}</b>",
        f"{images:,.0f} of {all_images:,} images ({percent(pair.get('share'))}); here with probability "
        f"{run.probabilities[row, taken]:.2f}, the right name {run.probabilities[row, truth]:.2f}",
        page.escape(place_text(str(run.source[row]), int(run.row[row]))),
    ]
    return _strip(shown, f"{names[0]}, held out and an example, and an example of {names[1]}", lines, 3)


def accepted_strangers(run: ClassResult, threshold: float) -> str:
    """HTML: the strangers who were given a name, the surest first, each beside an example of that person."""
    if not np.isfinite(threshold) or not len(run.stranger_images):
        return ""
    largest = run.stranger_probabilities.max(1)
    accepted = np.flatnonzero(largest >= threshold)
    accepted = accepted[np.argsort(-largest[accepted], kind="stable")]
    shown = [int(i) for i in accepted if i < len(run.stranger_images)][:STRANGERS_SHOWN]
    heading = "<h3>Strangers who were given a name</h3>"
    if not shown:
        return f'{heading}<p class="muted">None of the {len(largest):,} images of strangers.</p>'
    cards = []
    for i in shown:
        name = run.people[int(run.stranger_probabilities[i].argmax())]
        line = f"taken for <b>{page.escape(plain_text(name, 60))}</b>, probability {largest[i]:.3f}"
        alt = f"a stranger, and an example of {plain_text(name)}"
        cards.append(_strip([run.stranger_images[i], _example(run, name)], alt, [line], 2))
    legend = f'<p class="muted">{len(accepted):,} of {len(largest):,}; each stranger beside an example of whom it was taken for.</p>'
    return f'{heading}{legend}<div class="couples">{"".join(cards)}</div>'


def _example(run: ClassResult, name: str) -> Picture | None:
    return run.examples[run.people.index(name)] if len(run.examples) and name in run.people else None


def _strip(images: Sequence[Picture | None], alt: str, lines: Sequence[str], columns: int) -> str:
    panels = [None if image is None else face_panel(image, side=_SIDE) for image in images]
    return page.strip(panels, alt, lines, columns)
