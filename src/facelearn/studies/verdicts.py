"""A verdict for each claim of a study: it holds, it does not hold, or it is not decided.

`judging` says what the numbers say. Here stands when a cell has run long enough for its numbers to say anything: `RULE`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from facelearn.studies.cell_numbers import COSTS, Row
from facelearn.studies.checkpoints import epochs_text
from facelearn.studies.claims import AssertedClaim, BestClaim, Claim, OpenClaim, OverfitsClaim, cells_of, measures_of
from facelearn.studies.definition import Study
from facelearn.studies.judging import CLOSE, NO_BETTER, Evidence, judge
from facelearn.studies.measures import MEASURES
from facelearn.tasks import TASKS
from facelearn.tasks.study_numbers import Cells, trained

DECISIVE = 0.4
"""Share of the epochs from which on a cell whose loss no longer falls decides."""
_IMAGENET = ("f37072fd", "5c106cde", "397923af")
"""How the checksums of torchvision's weights of ResNet-18 (two) and VGG-16 begin."""
RULE = (
    "A cell decides once it has run all published epochs (those of its recipe where none are published), or two fifths of them and "
    "its validation loss fell by less than 2% over the last tenth; one that is not 5% better than an answer that looks at no image "
    "decides nothing. Two numbers are apart where their 95% intervals do not meet (by 2% where there are none); an order of numbers "
    "that are not apart is not decided, and numbers published as equal are equal where they are not apart. A trend is a rank correlation "
    "of 0.7 among numbers of which two at least are apart. A cell overfits where its validation loss rose by a tenth above its lowest "
    "or stands at twice its training loss (or what the claim says), over the last tenth of the epochs; that is decided as soon as it "
    "is seen."
)
ANSWERS = {True: "Holds", False: "Does not hold", None: "Not decided"}


@dataclass(frozen=True)
class Verdict:
    """Of one claim.

    Attributes:
        claim: what was published.
        holds: None where it is not decided.
        found: the numbers that say so, with intervals.
        ran: how long the cells behind it ran, of how many epochs.
        reasons: why it is not decided or does not hold.
        waits: cells that it is about were not run, or not long enough.
    """

    claim: Claim
    holds: bool | None
    found: str
    ran: str = ""
    reasons: tuple[str, ...] = ()
    waits: bool = False

    @property
    def answer(self) -> str:
        """The verdict in words."""
        return ANSWERS[self.holds]


def verdicts(study: Study, found: Sequence[Row], cells: Cells) -> list[Verdict]:
    """Each claim of the study, judged by the cells that were run."""
    evidence = Evidence(
        {row.name: row for row in found}, cells, TASKS[study.task].study, [one.name for one in study.variations]
    )
    return [_verdict(claim, evidence) for claim in study.claims]


def tally(judged: Sequence[Verdict]) -> dict[bool | None, int]:
    """How many hold, do not hold, are not decided."""
    counts = Counter(one.holds for one in judged)
    return {answer: counts[answer] for answer in ANSWERS}


def _verdict(claim: Claim, evidence: Evidence) -> Verdict:
    if isinstance(claim, AssertedClaim):
        return Verdict(claim, claim.holds, f"By arithmetic, asserted in {claim.by}")
    if isinstance(claim, OpenClaim):
        return Verdict(claim, None, "", reasons=(claim.because,))
    names = cells_of(claim)
    if isinstance(claim, BestClaim) and not claim.among:
        names = list(dict.fromkeys((*names, *evidence.names)))
    behind = [evidence.rows[name] for name in names if name in evidence.rows]
    absent = [name for name in names if name not in evidence.rows]
    short = [] if _is_of_costs(claim) else _together([too_short(row) for row in behind])
    finding = judge(claim, evidence)
    ran = f"{epochs_text(behind)} epochs" if behind else ""
    seen = isinstance(claim, OverfitsClaim) and finding.holds is (not claim.prevented)
    doubts = [] if seen else short + _doubts(claim, behind, evidence)
    former = [row.name for row in behind if row.earlier]
    earlier = [f"trained in an earlier form: {', '.join(former)}"] if former else []
    if doubts or earlier:
        missing = [f"not run: {', '.join(absent)}"] if absent else []
        return Verdict(claim, None, finding.found, ran, (*earlier, *doubts, *missing), bool(short or absent))
    return _with_machines(Verdict(claim, finding.holds, finding.found, ran, finding.reasons, bool(absent)), behind)


def _is_of_costs(claim: Claim) -> bool:
    """What an epoch costs is known after one."""
    return bool(measures_of(claim)) and set(measures_of(claim)) <= set(COSTS)


def _doubts(claim: Claim, behind: Sequence[Row], evidence: Evidence) -> list[str]:
    """Why the numbers of these cells decide nothing, but for how long they ran."""
    if _is_of_costs(claim):
        kinds = {row.machine for row in behind}
        return ["the cells ran on different machines"] if len(kinds) > 1 else []
    blind = [row.name for row in behind if _knows_nothing(row, evidence)]
    others = [row.name for row in behind if claim.weights and _starts_elsewhere(row, evidence)]
    doubts = [f"starts from weights that are not {claim.weights}'s: {', '.join(others)}"] if others else []
    return doubts + ([f"no better than an answer that looks at no image: {', '.join(blind)}"] if blind else [])


def too_short(row: Row) -> str:
    """Why a cell's numbers say nothing yet; "" where they do."""
    wanted = row.wanted_epochs
    if row.epochs >= wanted:
        return ""
    if row.epochs < DECISIVE * wanted:
        return f"{row.epochs:,} of {wanted:,} epochs"
    if math.isnan(row.falling):
        return f"{row.epochs:,} of {wanted:,} epochs, without a validation loss that could show that it has settled"
    if row.falling > CLOSE:
        return f"{row.epochs:,} of {wanted:,} epochs, with a validation loss that still falls"
    return ""


def _together(reasons: Sequence[str]) -> list[str]:
    """Equal reasons of several cells once."""
    counts = Counter(reason for reason in reasons if reason)
    return [f"too short: {reason}" + (f" ({count} cells)" if count > 1 else "") for reason, count in counts.items()]


def _starts_elsewhere(row: Row, evidence: Evidence) -> bool:
    """Whether a cell starts from weights that are none of torchvision's for ImageNet."""
    transfer = next((run["recipe"].get("transfer") or {} for run in evidence.cells.get(row.name, ())), {})
    return bool(transfer.get("source")) and not str(transfer.get("sha256") or "").startswith(_IMAGENET)


def _knows_nothing(row: Row, evidence: Evidence) -> bool:
    runs = trained(evidence.cells.get(row.name, ()))
    blind = evidence.kind.blind_answer(runs[0]) if runs else None
    return blind is not None and blind[0] in row.ours and row.ours[blind[0]].value > NO_BETTER * blind[1]


def _with_machines(verdict: Verdict, behind: Sequence[Row]) -> Verdict:
    kinds = {row.machine for row in behind}
    if len(kinds) < 2 or verdict.holds is None:
        return verdict
    return replace(verdict, reasons=(*verdict.reasons, "the cells ran on different machines"))


def verdict_text(verdict: Verdict) -> str:
    """The verdict in a few sentences: the answer, the claim and where it stands, how it is read, the numbers, how long, and why."""
    claim = verdict.claim
    where = f" ({claim.where})" if claim.where else ""
    text = claim.text.rstrip(".")
    parts = [f"{verdict.answer}: {text}{where}."]
    if claim.reading:
        parts.append(f"Read as: {claim.reading.rstrip('.')}.")
    if verdict.found:
        parts.append(f"{_heading(claim)}{verdict.found}.")
    if verdict.ran:
        parts.append(f"Ran {verdict.ran}.")
    if verdict.reasons:
        parts.append(f"{'But' if verdict.holds else 'Why'}: {'; '.join(verdict.reasons)}.")
    return " ".join(parts)


def _heading(claim: Claim) -> str:
    names = measures_of(claim)
    if not names:
        return ""
    title = MEASURES[names[0]]
    return f"{title[0].upper()}{title[1:]}: "
