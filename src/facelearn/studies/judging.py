"""What a study's cells say about each kind of claim: whether it holds, the numbers that say so, and why not where it does not.

Two numbers are apart where their 95% intervals do not meet; numbers without an interval where they differ by more than 2%. An order whose
numbers are not apart is not decided. How long cells ran is not looked at here (`verdicts`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facelearn.studies.cell_numbers import Number, Row, column, value_text
from facelearn.studies.checkpoints import loss_at
from facelearn.studies.claims import (
    BestClaim,
    Claim,
    GapClaim,
    OrderClaim,
    OverfitsClaim,
    PeopleClaim,
    RangeClaim,
    RatioClaim,
    ReachClaim,
    TrendClaim,
)
from facelearn.tasks.study_numbers import CellNumbers, Cells, StudyNumbers, trained

CLOSE = 0.02
"""A difference of less than this share is no difference where there are no intervals."""
NO_BETTER = 0.95
"""A loss or an error above this share of another is no better than it."""
RISEN = 0.1
"""A validation loss that rose by this share above its lowest shows overfitting."""
CORRELATED, UNCORRELATED = 0.7, 0.3
"""Rank correlation from which on a trend holds, and below which it does not."""
_ALIKE = 0.1
"""Gaps between training and validation loss that differ by less than this share are alike."""
_RISE = 0.05
"""So are rises above the lowest validation loss, by this share of it."""


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by.

    Attributes:
        rows: of the cells that were run, by name.
        cells: their numbers, curves among them.
        kind: of the study's task.
        names: of all cells of the study.
    """

    rows: Mapping[str, Row]
    cells: Cells
    kind: StudyNumbers
    names: Sequence[str]

    def number(self, name: str, measure: str, epoch: int | None = None) -> Number | None:
        """A cell's number, or its loss at `epoch` with an interval as wide, relative to it, as the last one's; None where there is none."""
        row = self.rows.get(name)
        last = row.number(measure) if row else None
        if epoch is None or last is None:
            return last
        curves = {own: curve for curve, own in self.kind.LOSS_NAMES.items()}
        value = loss_at(trained(self.cells[name])[0], curves.get(measure, measure), epoch)
        if math.isnan(value):
            return None
        share = value / last.value if last.value else math.nan
        return Number(value, low=last.low * share, high=last.high * share)


@dataclass(frozen=True)
class Judgement:
    """Whether the numbers bear a claim out (None: they do not say), the numbers in words, and the reasons."""

    holds: bool | None
    found: str
    reasons: tuple[str, ...] = ()


def judge(claim: Claim, evidence: Evidence) -> Judgement:
    """What the cells that are there say about a claim that cells can judge."""
    match claim:
        case OrderClaim():
            return _order(claim, evidence)
        case BestClaim():
            return _best(claim, evidence)
        case RatioClaim():
            return _ratio(claim, evidence)
        case RangeClaim():
            return _range(claim, evidence)
        case TrendClaim():
            return _trend(claim, evidence)
        case OverfitsClaim():
            return _overfits(claim, evidence)
        case GapClaim():
            return _gap(claim, evidence)
        case ReachClaim():
            return _reach(claim, evidence)
        case PeopleClaim():
            return _people(claim, evidence)
    raise AssertionError(claim)  # asserted and open ones are no question of cells


def _order(claim: OrderClaim, evidence: Evidence) -> Judgement:
    groups = [(item,) if isinstance(item, str) else item for item in claim.order]
    values = _numbers(evidence, [name for group in groups for name in group], claim.measure, claim.epoch)
    missing = [name for group in groups for name in group if name not in values]
    found = _said(claim.measure, values)
    reversed_pairs, close_pairs, broken = [], [], []
    for (first, before), (second, after) in itertools.combinations(enumerate(groups), 2):
        for lower, higher in itertools.product(before, after):
            if lower in values and higher in values:
                order = _below(values[lower], values[higher])
                if order is False:
                    reversed_pairs.append((lower, higher))
                elif order is None and second == first + 1:
                    close_pairs.append((lower, higher))
    for group in groups:
        known = [name for name in group if name in values]
        pairs = itertools.combinations(known, 2)
        broken += [(one, other) for one, other in pairs if _below(values[one], values[other]) is not None]
    reasons = [f"{first} and {second} are published as equal and are apart" for first, second in broken]
    for lower, higher in reversed_pairs:
        reasons.append(f"{higher} is below {lower}, apart")
        reasons += _why_not(claim.measure, evidence.rows[lower], evidence.rows[higher])
    if reversed_pairs or broken:
        return Judgement(False, found, _few(reasons))
    absent = _not_run(evidence, missing, f"fewer than {claim.epoch:,} epochs" if claim.epoch else "not measured")
    reasons = [_not_apart(values, *pair) for pair in close_pairs] + absent
    return Judgement(None if reasons else True, found, _few(reasons))


def _best(claim: BestClaim, evidence: Evidence) -> Judgement:
    names = list(dict.fromkeys((*claim.cells, *(claim.among or evidence.names))))
    values = _numbers(evidence, names, claim.measure, claim.epoch)
    missing = [name for name in names if name not in values]
    named = [name for name in claim.cells if name in values]
    rivals = [name for name in values if name not in claim.cells]
    if not named:
        return Judgement(None, _said(claim.measure, values), tuple(_not_run(evidence, missing)))
    sign = -1.0 if claim.measure.endswith("_score") else 1.0
    best = min(named, key=lambda name: sign * values[name].value)
    against = {rival: _below(values[best], values[rival], sign) for rival in rivals}
    better = [rival for rival, order in against.items() if order is False]
    close = [rival for rival, order in against.items() if order is None]
    found = _said(claim.measure, values)
    reasons = [f"{rival} is better than {best}, apart" for rival in better]
    # one of `cells` is enough: others of them that have not run can only be waited for where none is best yet
    awaited = [name for name in missing if name in claim.cells]
    if better and not awaited:
        return Judgement(False, found, _few(reasons))
    if not better:
        reasons = [_not_apart(values, best, rival) for rival in close]
        awaited = missing if close else [name for name in missing if name not in claim.cells]
    reasons += _not_run(evidence, awaited)
    return Judgement(None if reasons else True, found, _few(reasons))


def _ratio(claim: RatioClaim, evidence: Evidence) -> Judgement:
    values = _numbers(evidence, [claim.of, claim.to], claim.measure)
    missing = [name for name in (claim.of, claim.to) if name not in values]
    if missing or not values[claim.to].value:
        return Judgement(
            None, _said(claim.measure, values), tuple(_not_run(evidence, missing)) or (f"{claim.to} is 0",)
        )
    of, to = values[claim.of], values[claim.to]
    ratio, low, high = of.value / to.value, of.value / to.value, of.value / to.value
    between = ""
    if math.isfinite(of.low) and math.isfinite(to.low):
        low, high = of.low / to.high if to.high else math.inf, of.high / to.low if to.low > 0 else math.inf
        between = f" ({low:.2f} to {high:.2f})"
    found = f"{_said(claim.measure, values)}: {ratio:.2f} times{between}"
    return _within(low, high, claim.at_least, claim.at_most, found, "the interval of the ratio meets the limit")


def _range(claim: RangeClaim, evidence: Evidence) -> Judgement:
    values = _numbers(evidence, claim.cells, claim.measure)
    missing = [name for name in claim.cells if name not in values]
    found = _said(claim.measure, values)
    each = []
    for number in values.values():
        low, high = (number.low, number.high) if math.isfinite(number.low) else (number.value, number.value)
        each.append(_within(low, high, claim.at_least, claim.at_most, "", "an interval meets the limit"))
    if any(one.holds is False for one in each):
        return Judgement(False, found)
    reasons = [*dict.fromkeys(reason for one in each for reason in one.reasons), *_not_run(evidence, missing)]
    return Judgement(None if reasons else True, found, _few(reasons))


def _within(
    low: float, high: float, at_least: float | None, at_most: float | None, found: str, unsure: str
) -> Judgement:
    """Whether a number between `low` and `high` keeps to the limits."""
    least, most = -math.inf if at_least is None else at_least, math.inf if at_most is None else at_most
    if high < least or low > most:
        return Judgement(False, found)
    return Judgement(True, found) if low >= least and high <= most else Judgement(None, found, (unsure,))


def _trend(claim: TrendClaim, evidence: Evidence) -> Judgement:
    values = _numbers(evidence, claim.cells, claim.measure)
    along = _numbers(evidence, claim.cells, claim.along) if claim.along else {}
    names = [name for name in claim.cells if name in values and (not claim.along or name in along)]
    found, missing = _said(claim.measure, values), [name for name in claim.cells if name not in names]
    if len(names) < max(3, len(claim.cells) / 2):
        return Judgement(None, found, tuple(_not_run(evidence, missing)))
    places = [along[name].value for name in names] if claim.along else list(range(len(names)))
    sign = 1.0 if claim.goes == "rises" else -1.0
    correlation = sign * _rank_correlation(places, [values[name].value for name in names])
    found += f": rank correlation {sign * correlation:.2f}"
    if all(_below(values[one], values[other]) is None for one, other in itertools.combinations(names, 2)):
        return Judgement(None, found, ("no two of them are apart",))
    holds = True if correlation >= CORRELATED else False if correlation < UNCORRELATED else None
    return Judgement(holds, found, () if holds is not None else (f"a rank correlation of {CORRELATED} is asked for",))


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's; 0 where one of the two never changes."""
    ranks = [np.unique(values, return_inverse=True)[1].astype(np.float64) for values in (first, second)]
    if min(float(np.ptp(rank)) for rank in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


@dataclass(frozen=True)
class _Fit:
    """Losses over the last tenth of the epochs, and the lowest mean over as many validations in a row."""

    train: float
    valid: float
    lowest: float

    @property
    def gap(self) -> float:
        return self.valid / self.train if self.train > 0 else math.inf

    @property
    def risen(self) -> float:
        return self.valid / self.lowest - 1 if self.lowest > 0 else 0.0

    def text(self, name: str) -> str:
        return f"{name}: training {self.train:.5f}, validation {self.valid:.5f} ({self.gap:.2f} times), {self.risen:.0%} above its lowest"


def _fits(evidence: Evidence, names: Sequence[str]) -> dict[str, _Fit]:
    found = {}
    for name in names:
        runs = trained(evidence.cells.get(name, ()))
        if not runs or name not in evidence.rows:
            continue
        each = []
        for run in runs:
            train, valid = (column(run, f"{part}_loss") for part in ("train", "valid"))
            train, valid = train[np.isfinite(train)], valid[np.isfinite(valid)]
            if len(train) and len(valid):
                window = max(1, len(valid) // 10)
                means = np.convolve(valid, np.full(window, 1 / window), "valid")
                each.append((train[-max(1, len(train) // 10) :].mean(), means[-1], means.min()))
        if each:
            found[name] = _Fit(*(float(value) for value in np.mean(each, axis=0)))
    return found


def _overfits(claim: OverfitsClaim, evidence: Evidence) -> Judgement:
    fits = _fits(evidence, claim.cells)
    missing = [name for name in claim.cells if name not in fits]
    found = "; ".join(fit.text(name) for name, fit in fits.items())
    does = {name: fit.risen >= RISEN or fit.gap >= claim.gap for name, fit in fits.items()}
    if any(one == claim.prevented for one in does.values()):
        names = [name for name, one in does.items() if one == claim.prevented]
        return Judgement(False, found, (f"{', '.join(names)} {'overfits' if claim.prevented else 'does not overfit'}",))
    return Judgement(None if missing else True, found, tuple(_not_run(evidence, missing)))


def _gap(claim: GapClaim, evidence: Evidence) -> Judgement:
    fits = _fits(evidence, [claim.larger, claim.smaller])
    missing = [name for name in (claim.larger, claim.smaller) if name not in fits]
    found = "; ".join(fit.text(name) for name, fit in fits.items())
    if missing:
        return Judgement(None, found, tuple(_not_run(evidence, missing)))
    larger, smaller = (
        fits[name].gap if claim.by == "gap" else 1 + fits[name].risen for name in (claim.larger, claim.smaller)
    )
    least = 1 + (_ALIKE if claim.by == "gap" else _RISE)
    if larger >= smaller * least:
        return Judgement(True, found)
    if smaller >= larger * least:
        return Judgement(False, found)
    return Judgement(None, found, (f"they differ by less than {least - 1:.0%}",))


def _reach(claim: ReachClaim, evidence: Evidence) -> Judgement:
    values = _numbers(evidence, [claim.cell, claim.than], claim.measure)
    found = _said(claim.measure, values)
    not_run = [name for name in (claim.cell, claim.than) if name not in evidence.rows]
    if not_run or claim.than not in values:
        return Judgement(None, found, tuple(_not_run(evidence, not_run)) or (f"{claim.than} never reached the loss",))
    if all(_knows_no_more(run) for run in trained(evidence.cells[claim.than])):
        return Judgement(None, found, (f"{claim.than} has hardly learned: its best validation loss is near its first",))
    if claim.cell not in values:
        return Judgement(False, found, (f"{claim.cell} never reached that loss",))
    share = values[claim.cell].value / values[claim.than].value
    return Judgement(share <= claim.share, f"{found}: {share:.2f} times")


def _knows_no_more(run: CellNumbers) -> bool:
    """Whether a cell's best validation loss is within 5% of its first."""
    losses = [loss for loss in column(run, "valid_loss") if math.isfinite(loss)]
    return bool(losses) and min(losses) > NO_BETTER * losses[0]


def _people(claim: PeopleClaim, evidence: Evidence) -> Judgement:
    said: dict[str, list[str]] = {}
    answers, reasons = [], []
    place = "best" if claim.above is not None else "worst"
    for name in claim.cells:
        runs = trained(evidence.cells.get(name, ()))
        kept = evidence.kind.ranked_scores(runs[0]).get(place, ()) if runs and name in evidence.rows else ()
        people = int(runs[0]["data"]["counts"]["people"]) if runs and claim.of else 0
        count = claim.count_of(people)
        if len(kept) < count and kept and not claim.is_met_by(kept[-1]):  # nor are those that were not kept
            count = len(kept)
        if len(kept) < count:
            reasons += [f"{name}: fewer than {count} scores were kept"] if runs else _not_run(evidence, [name])
            continue
        last = kept[count - 1]
        nth = {1: "", 2: "second ", 3: "third "}.get(count, f"{count}th ")
        share = f" ({count} of {people} people for {claim.count} of {claim.of})" if claim.of else ""
        said.setdefault(f"The {nth}{place} person's aggregated score{share}", []).append(f"{name} {last:.3f}")
        answers.append(claim.is_met_by(last))
    found = "; ".join(f"{what}: {', '.join(scores)}" for what, scores in said.items())
    return Judgement(False if not all(answers) else None if reasons else True, found, tuple(reasons))


def _numbers(evidence: Evidence, names: Sequence[str], measure: str, epoch: int | None = None) -> dict[str, Number]:
    found = {name: evidence.number(name, measure, epoch) for name in names}
    return {name: number for name, number in found.items() if number is not None}


def _said(measure: str, values: Mapping[str, Number]) -> str:
    """The numbers with their intervals, from the lowest to the highest."""
    return ", ".join(
        f"{name} {with_interval(measure, values[name])}" for name in sorted(values, key=lambda n: values[n].value)
    )


def with_interval(measure: str, number: Number) -> str:
    """A number as its measure is read, with its interval where it has one."""
    shown = value_text(measure, number.value)
    if not math.isfinite(number.low):
        return shown
    return f"{shown} ({value_text(measure, number.low)} to {value_text(measure, number.high)})"


def _below(first: Number, second: Number, sign: float = 1.0) -> bool | None:
    """Whether the first is below the second (above it with `sign` -1); None where they are not apart."""
    if math.isnan(first.low) or math.isnan(second.low):
        apart = abs(first.value - second.value) > CLOSE * max(abs(first.value), abs(second.value))
    else:
        apart = first.high < second.low or second.high < first.low
    return sign * first.value < sign * second.value if apart else None


def _why_not(measure: str, lower: Row, higher: Row) -> list[str]:
    """What the training losses add, where `lower` was published below `higher` and is above it."""
    train = [row.ours.get("train_loss") for row in (lower, higher)]
    # a loss divided by all targets is lower where fewer of them are present, at equal fit
    alike = math.isclose(lower.label_share, higher.label_share, rel_tol=CLOSE) and lower.criterion == higher.criterion
    if not alike or measure == "unsteadiness" or not train[0] or not train[1]:
        return []
    loss = "train_cross_entropy_loss" if lower.criterion else "train_loss"
    numbers = f"({with_interval(loss, train[0])} against {with_interval(loss, train[1])})"
    better, score = train[0].value <= train[1].value, measure.endswith("_score")
    # of a score the higher is better: there the worse fit is what has to be explained
    beyond = (" and generalises better" if score else " and generalises less") if better != score else ""
    return [f"{lower.name} fits its training rows {'better' if better else 'less well'} {numbers}{beyond}"]


def _not_apart(values: Mapping[str, Number], first: str, second: str) -> str:
    plain = any(math.isnan(values[name].low) for name in (first, second))
    how = "differ by less than 2%" if plain else "their intervals overlap"
    return f"{first} and {second} are not apart: {how}"


def _not_run(evidence: Evidence, names: Sequence[str], what: str = "not measured") -> list[str]:
    """What is missing of the cells `names`: the whole cell, or a number of it."""
    groups = (("not run", [name for name in names if name not in evidence.rows]),
              (what, [name for name in names if name in evidence.rows]))  # fmt: skip
    return [f"{reason}: {', '.join(cells)}" for reason, cells in groups if cells]


def _few(reasons: Sequence[str], most: int = 6) -> tuple[str, ...]:
    kept = list(dict.fromkeys(reasons))
    return tuple(kept if len(kept) <= most else [*kept[:most], f"and {len(kept) - most} more of the kind"])
