"""What a person decided about the first findings of a queue, and the rest of the queue ranked again by it.

Each finding has features: the logit of its score, its kind, its keypoint, and the group of its reason (the sentence without its numbers
and names). A logistic regression in a Bayesian way says from them how likely the person confirms it: the prior is the audit's own word
(the slope of the logit is 1, all else 0), and each decision moves it a little (normal priors, the posterior by Laplace's approximation,
Bishop 2006, section 4.5). So five decisions already move a kind or a keypoint that is refused again and again, and none can turn the queue
upside down. What remains unsure is drawn towards one half (MacKay's approximation).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import KINDS, Fault
from facelearn.errors import DataError, Problem
from facelearn.outside import int64_of, parse_json, read_regular
from facelearn.showing import from_spreadsheet

LEAST_DECISIONS = 5
"""Decisions below which nothing is ranked again."""
AHEAD = 50
"""The gain is counted over so many findings from the top of what is left."""
_VERDICTS = {"confirmed": True, "refused": False}
_DEVIATIONS = {"slope": 0.5, "all": 1.0, "kind": 1.0, "keypoint": 0.8, "reason": 0.5}  # of the priors, in logits
_SURE = 1e-4
_NUMBERS = re.compile(r"[-+]?\d[\d,.]*")

Key = tuple[int, str, str | None, str | None]


@dataclass(frozen=True)
class Decision:
    """A person's word on a finding, which its row, kind and keypoint name; and its suggestion, where several differ in that alone."""

    row: int
    kind: str
    keypoint: str | None
    confirmed: bool
    suggestion: str | None = None

    @property
    def key(self) -> Key:
        """What finds the finding."""
        return self.row, self.kind, self.keypoint, self.suggestion


@dataclass(frozen=True)
class Ranking:
    """A queue after decisions.

    Attributes:
        faults: those confirmed (score 1), then the undecided ones by their new score.
        confirmed, refused: how many findings were; the refused ones are gone.
        unknown: decisions about findings that the queue does not have.
        expected_before, expected_now: how many of the first `ahead` undecided findings the person would confirm, by what the decisions
            teach, in the order as it was and as it is now. None where there were too few decisions to learn from.
        ahead: as above.
    """

    faults: tuple[Fault, ...]
    confirmed: int
    refused: int
    unknown: int
    expected_before: float | None = None
    expected_now: float | None = None
    ahead: int = 0


def read_decisions(path: str | Path) -> list[Decision]:
    """Read decisions: CSV with the columns row, kind, keypoint, decision; or JSON Lines with these keys, as lines of a patch file with
    a "decision" added. A decision is "confirmed" or "refused"; of two about one finding the later one holds. A further column or key
    "suggestion" (a name, another row) tells findings apart that are alike in the others.

    Raises:
        DataError: no such file, or lines that are no decisions, named by number.
    """
    path = Path(path)
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as decisions ({error})") from None
    found: dict[Key, Decision] = {}
    problems = []
    for number, facts in _lines(text, path):
        try:
            decision = _decision(facts)
        except ValueError as error:
            problems.append(Problem(str(path), number, str(error)))
            continue
        found[decision.key] = decision
    if problems:
        raise DataError(
            f"{path} has {len(problems)} lines that are no decisions; each needs row, kind, keypoint (empty for findings about a whole "
            "row) and decision, confirmed or refused:",
            problems,
        )
    return list(found.values())


def _lines(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object] | str]]:
    """(line of the file, what it holds by key, or what is wrong with it)."""
    if text.lstrip().startswith("{"):
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                facts = parse_json(line)
            except ValueError as error:
                yield number, f"is no JSON ({error})"
                continue
            yield number, facts if isinstance(facts, dict) else "is no JSON object"
        return
    first = text.lstrip().partition("\n")[0].strip()
    separator = next(
        (one for one in ";\t" if one in first and "," not in first), ","
    )  # as spreadsheets write it in much of the world
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", delimiter=separator)
    try:
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        if missing := {"row", "kind", "decision"} - set(header):
            raise DataError(
                f"{path} has no column {', '.join(sorted(missing))}: decisions are a CSV whose first line is row,kind,keypoint,decision or "
                f'lines of patch.jsonl with a "decision" added; its first line is {first[:80]!r}'
            )
        reader.fieldnames = header
        for facts in reader:
            yield (
                reader.line_num,
                {key: value.strip() if isinstance(value, str) else value for key, value in facts.items()},
            )
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as decisions: line {reader.line_num + 1}: {error}") from None


def _decision(facts: Mapping[str, object] | str) -> Decision:
    """Raises ValueError: a sentence."""
    if isinstance(facts, str):
        raise ValueError(facts)
    row, kind, keypoint, said = (facts.get(key) for key in ("row", "kind", "keypoint", "decision"))
    number = int64_of(row) if isinstance(row, str) else row
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"row must be a whole number, 0 or more; received {row!r}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; received {kind!r}")
    verdict = _VERDICTS.get(str(said).lower())
    if verdict is None:
        raise ValueError(f"decision must be confirmed or refused; received {said!r}")
    suggested = facts.get("suggestion")
    suggestion = from_spreadsheet(suggested) if isinstance(suggested, str) and suggested else None
    return Decision(number, str(kind), from_spreadsheet(str(keypoint)) if keypoint else None, verdict, suggestion)


def rank_again(faults: Sequence[Fault], decisions: Sequence[Decision]) -> Ranking:
    """The queue after decisions: what was refused is gone, what was confirmed is sure, the rest is ranked by what both teach.

    Args:
        faults: the worst first, as the audit found them.
        decisions: at least `LEAST_DECISIONS` about findings of the queue for a new order.

    Raises:
        DataError: a decision that several findings could be meant by.
    """
    meant, unknown = _meant(faults, decisions)
    decided = [fault for number, fault in enumerate(faults) if number in meant]
    rest = [fault for number, fault in enumerate(faults) if number not in meant]
    told = [meant[number] for number in sorted(meant)]
    sure = [dataclasses.replace(fault, score=1.0) for fault, yes in zip(decided, told, strict=True) if yes]
    counts = {"confirmed": sum(told), "refused": len(told) - sum(told)}
    if len(decided) < LEAST_DECISIONS:
        return Ranking((*sure, *rest), unknown=unknown, **counts)
    features, prior = _features([*decided, *rest])
    learned = _learn(features[: len(decided)], np.asarray(told, np.float64), prior)
    chance = _chance(features[len(decided) :], *learned)
    order = np.argsort(-chance, kind="stable")
    ranked = [dataclasses.replace(rest[i], score=float(chance[i])) for i in order]
    ahead = min(AHEAD, len(rest))
    return Ranking(
        (*sure, *ranked), unknown=unknown, **counts,
        expected_before=float(chance[:ahead].sum()), expected_now=float(chance[order[:ahead]].sum()), ahead=ahead,
    )  # fmt: skip


def _meant(faults: Sequence[Fault], decisions: Sequence[Decision]) -> tuple[dict[int, bool], int]:
    """What was decided of which finding (its place in the queue), and how many decisions are about none."""
    places: dict[tuple[int, str, str | None], list[int]] = defaultdict(list)
    for number, fault in enumerate(faults):
        places[fault.row, fault.kind, fault.keypoint].append(number)
    meant: dict[int, bool] = {}
    unknown = 0
    for one in decisions:
        found = places[one.row, one.kind, one.keypoint]
        if len(found) > 1 and one.suggestion is not None:
            found = [number for number in found if faults[number].suggestion == one.suggestion]
        if len({str(faults[number].suggestion) for number in found}) > 1:
            raise DataError(
                f"the decision about row {one.row}, {one.kind}, may mean {len(found)} findings, which suggest "
                f"{', '.join(str(faults[number].suggestion) for number in found)}: say which in a column 'suggestion'"
            )
        unknown += not found
        meant |= dict.fromkeys(found, one.confirmed)
    return meant, unknown


@dataclass(frozen=True)
class _Prior:
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]


def _features(faults: Sequence[Fault]) -> tuple[NDArray[np.float64], _Prior]:
    """float64 (N, F): a column for the score's logit, one for all, and one for each kind, keypoint and group of reason."""
    score = np.clip([fault.score for fault in faults], _SURE, 1 - _SURE)
    columns = [np.log(score / (1 - score)), np.ones(len(faults))]
    deviations = [_DEVIATIONS["slope"], _DEVIATIONS["all"]]
    for name, values in (
        ("kind", [fault.kind for fault in faults]),
        ("keypoint", [fault.keypoint or "" for fault in faults]),
        ("reason", [_group_of_reason(fault) for fault in faults]),
    ):
        for value in sorted(set(values) - {""}):
            columns.append(np.asarray([one == value for one in values], np.float64))
            deviations.append(_DEVIATIONS[name])
    mean = np.zeros(len(columns))
    mean[0] = 1.0
    return np.stack(columns, 1), _Prior(mean, 1 / np.square(deviations))


def _group_of_reason(fault: Fault) -> str:
    """The reason without what differs from one finding to the next."""
    text = fault.reason
    for name in (
        fault.source,
        fault.keypoint,
        *(one for one in (fault.value, fault.suggestion) if isinstance(one, str)),
    ):
        if name:
            text = text.replace(name, "*").replace(name.replace("_", " "), "*")
    return _NUMBERS.sub("#", text)


def _learn(
    features: NDArray[np.float64], told: NDArray[np.float64], prior: _Prior
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (F,) and covariance (F, F) of the posterior: Newton's steps to its mode, and the curvature there."""
    weights = prior.mean.copy()
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        slope = features.T @ (chance - told) + prior.precision * (weights - prior.mean)
        curvature = (features.T * (chance * (1 - chance))) @ features + np.diag(prior.precision)
        step = np.linalg.solve(curvature, slope)
        weights -= step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-9))
        if np.abs(step).max() < 1e-8:
            break
    return weights, np.asarray(np.linalg.inv(curvature), np.float64)


def _chance(
    features: NDArray[np.float64], weights: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 (N,): how likely each is confirmed, what is not known about the weights taken into account."""
    spread = np.einsum("nf,fg,ng->n", features, covariance, features)
    logit = features @ weights / np.sqrt(1 + np.pi * spread / 8)
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))), np.float64)


def ranking_text(ranking: Ranking, given: int) -> list[str]:
    """Lines that say what `given` decisions changed."""
    decided = ranking.confirmed + ranking.refused
    lines = [f"decisions: {decided}: {ranking.confirmed} confirmed, {ranking.refused} refused and taken out"]
    if ranking.unknown:
        lines.append(f"{ranking.unknown} of {given} decisions are about findings that this audit does not have")
    if ranking.expected_before is None or ranking.expected_now is None:
        lines.append(
            f"the order is as it was: decide about {LEAST_DECISIONS} to 10 findings, and the rest is ranked by it"
        )
    elif ranking.ahead:
        lines.append(
            f"ranked again: of the next {ranking.ahead} findings you would confirm about {ranking.expected_now:.0f}, "
            f"and {ranking.expected_before:.0f} in the order before"
        )
    return lines
