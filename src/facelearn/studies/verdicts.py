"""Whether the published orders of a study hold here, and why not where they do not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facelearn.studies.cell_numbers import Number, Row, value_text
from facelearn.studies.definition import Study
from facelearn.studies.study_file import Claim

CLOSE = 0.02  # a difference of less than this share is no difference


@dataclass(frozen=True)
class Verdict:
    """Whether a published order holds here (None: a cell is missing), the values in our order, and the reasons where it does not."""

    claim: Claim
    holds: bool | None
    found: str
    reasons: tuple[str, ...] = ()


def verdicts(study: Study, found: Sequence[Row]) -> list[Verdict]:
    """Each published order, checked."""
    by_name = {row.name: row for row in found}
    return [_verdict(claim, by_name) for claim in study.claims]


def _verdict(claim: Claim, found: Mapping[str, Row]) -> Verdict:
    groups = [(item,) if isinstance(item, str) else item for item in claim.order]
    names = [name for group in groups for name in group]
    missing = [name for name in names if name not in found or claim.measure not in found[name].ours]
    if missing:
        return Verdict(claim, None, "", (f"not run: {', '.join(missing)}",))
    values = {name: found[name].ours[claim.measure] for name in names}
    holds, reasons = True, []
    for before, after in itertools.pairwise(groups):
        for lower, higher in itertools.product(before, after):
            ordered = values[lower].value < values[higher].value
            holds &= ordered
            if not ordered:
                reasons += _why_not(claim.measure, found[lower], found[higher])
            elif _same(values[lower], values[higher]):
                reasons.append(_not_apart(claim.measure, found[lower], found[higher]))
    for group in groups:
        for first, second in itertools.combinations(group, 2):
            if not _same(values[first], values[second]):
                holds = False
                reasons.append(f"{first} and {second} are published as equal and are apart here")
    order = sorted(names, key=lambda name: values[name].value)
    shown = ", ".join(f"{name} {_text(claim.measure, values[name])}" for name in order)
    return Verdict(claim, holds, shown, tuple(dict.fromkeys(reasons)))


def _same(first: Number, second: Number) -> bool:
    if math.isnan(first.low) or math.isnan(second.low):
        return abs(first.value - second.value) <= CLOSE * max(abs(first.value), abs(second.value))
    return first.low <= second.high and second.low <= first.high


def _why_not(measure: str, lower: Row, higher: Row) -> list[str]:
    """What is different here, where `lower` was published below `higher` and is not."""
    apart = not _same(lower.ours[measure], higher.ours[measure])
    reasons = [] if apart else [_not_apart(measure, lower, higher)]
    for row in (lower, higher):
        if row.short:
            reasons.append(
                f"{row.name} was trained for {row.epochs} of {row.published_epochs or row.planned_epochs} epochs"
            )
        if row.falling > CLOSE:
            reasons.append(
                f"the validation loss of {row.name} still fell by {row.falling:.0%} over the last tenth of its epochs"
            )
    train = [row.ours.get("train_loss") for row in (lower, higher)]
    # a loss divided by all targets is lower where fewer of them are present, at equal fit
    alike = math.isclose(lower.label_share, higher.label_share, rel_tol=CLOSE) and lower.criterion == higher.criterion
    comparable = alike and measure != "unsteadiness"
    if apart and comparable and train[0] and train[1]:
        loss = "train_cross_entropy_loss" if lower.criterion else "train_loss"
        numbers = f"({_text(loss, train[0])} against {_text(loss, train[1])})"
        better, score = train[0].value <= train[1].value, measure.endswith("_score")
        # of a score the higher is better: there the worse fit is what has to be explained
        beyond = (" and generalises better" if score else " and generalises less") if better != score else ""
        reasons.append(f"{lower.name} fits its training rows {'better' if better else 'less well'} {numbers}{beyond}")
    return reasons


def _not_apart(measure: str, first: Row, second: Row) -> str:
    numbers = (first.ours[measure], second.ours[measure])
    how = "differ by less than 2%" if any(math.isnan(number.low) for number in numbers) else "their intervals overlap"
    return f"{first.name} and {second.name} are not apart: {how}"


def _text(measure: str, number: Number) -> str:
    return value_text(measure, number.value)
