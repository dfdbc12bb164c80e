"""The verb `audit`: the queue of labels to look at, as a patch file that can be replayed and as a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from facelearn.auditing.decisions import Ranking, rank_again, ranking_text, read_decisions
from facelearn.auditing.fault import Fault
from facelearn.auditing.keypoint_audit import AuditResult, audit_keypoints
from facelearn.auditing.patch_file import proposal_of, read_patch, write_patch
from facelearn.auditing.people_audit import PeopleAudit, audit_people
from facelearn.auditing.queue_page import queue_html
from facelearn.data.faces import Faces
from facelearn.errors import DataError, FacelearnError, Problem
from facelearn.files import write_text
from facelearn.outside import parse_json, read_regular
from facelearn.runs.prepare import ReadResult, read_with_report
from facelearn.training.loop import Reporter

Subject = Literal["keypoints", "people"]
PEOPLE: Subject = "people"
Display = Callable[[], AbstractContextManager[Reporter | None]]
FOUND, PATCH, PAGE, FACTS = "found.jsonl", "patch.jsonl", "audit.html", "audit.json"
"""Files of an audit's folder: what was found, and with decisions taken in: the patch, the page; and its facts."""


@dataclass(frozen=True)
class Audit:
    """What an audit gives.

    Attributes:
        patch, page: the files; None where it was stopped.
        faults: the queue, the worst first, decisions taken in.
        faces: how many were audited.
        facts: JSON-able.
        ranking: what decisions changed; None without.
        decisions: how many were given.
        skipped: rows left out by on_error="skip".
        warnings: what is to be known.
        stopped: True where it was asked to stop; the same call with `resume` goes on.
    """

    patch: Path | None = None
    page: Path | None = None
    faults: tuple[Fault, ...] = ()
    faces: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    ranking: Ranking | None = None
    decisions: int = 0
    skipped: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    stopped: bool = False


def audit(
    data: str | Path,
    out: str | Path,
    *,
    subject: Subject | None = None,
    model: str | Path | None = None,
    folds: int = 5,
    decisions: str | Path | None = None,
    resume: bool = False,
    display: Display | None = None,
    stop: Callable[[], bool] | None = None,
    **reading: Any,
) -> Audit:
    """Find labels that are probably wrong, and write them as a queue: a patch file, and a page to look at.

    Args:
        data: labelled faces: what `facelearn.read` takes.
        out: folder for patch.jsonl and audit.html, and for what is gone on with.
        subject: what is audited, "keypoints" or "people"; None: keypoints where the data have them, else people.
        model: a model file whose answers are taken instead of those of models trained in folds.
        folds: parts that the rows are divided in; each is judged by a model that has not seen it.
        decisions: a file of what was confirmed and refused of the queue in `out`, as `auditing.decisions.read_decisions` takes it; the
            rest is ranked again by it.
        resume: go on with what `out` holds: finish an audit that was stopped, or take in decisions.
        display: gives a context manager with a reporter for the training of the fold models.
        stop: asked after every batch; once it says True, finished folds are kept and the result says that it was stopped.
        reading: size, crop, color, schema, list_file, missing, units, on_error and progress, as `facelearn.read`.

    Raises:
        DataError: unreadable data, data without labels to audit, or decisions that cannot be read.
        BundleError: a model of another kind.
        FacelearnError: `out` holds an audit and `resume` was not asked for, or nothing to take decisions about.
    """
    folder = Path(out)
    _check_folder(folder, resume)
    said = read_decisions(decisions) if decisions is not None else []
    read = read_with_report(data, **reading)
    about = _subject_of(read.faces, subject, data)
    found = _kept(folder, read.faces, about) if resume else None
    if found is None:
        folder.mkdir(parents=True, exist_ok=True)
        with (display or _no_display)() as reporter:
            result = _look(about, read.faces, folder, model, folds, reporter, stop)
        if result.stopped:
            return Audit(skipped=read.skipped, warnings=read.warnings, stopped=True)
        found = result.faults
        facts = {"source": str(data), "subject": about, **result.facts, "notes": list(getattr(result, "notes", ()))}
        write_text(folder / FACTS, json.dumps(facts, indent=1, default=str) + "\n")
        write_patch(
            [proposal_of(fault) for fault in found], read.faces, folder / FOUND
        )  # last: with it the search is done
    return _written(folder, read, found, said if decisions is not None else None)


def _no_display() -> AbstractContextManager[Reporter | None]:
    return nullcontext()


def _check_folder(folder: Path, resume: bool) -> None:
    if resume and not folder.is_dir():
        raise FacelearnError(f"{folder} holds no audit to go on with; leave out --resume")
    if not resume and any((folder / name).exists() for name in (FOUND, PATCH, PAGE)):
        raise FacelearnError(f"{folder} holds an audit; give --resume to go on with it, or choose another --out")


def _subject_of(faces: Faces, asked: Subject | None, data: str | Path) -> Subject:
    has: dict[Subject, bool] = {"keypoints": bool(faces.labelled.any()), "people": bool((faces.identity >= 0).any())}
    if asked is not None and asked not in has:
        raise FacelearnError(f"--subject is keypoints or people; received {asked!r}")
    chosen = asked or next((name for name, there in has.items() if there), None)
    if chosen is None or not has[chosen]:
        raise DataError(
            f"{data} has no {chosen or 'keypoints and names no people'}, so there are no labels to audit; see what is in it with: "
            f"facelearn inspect {data}"
        )
    return chosen


def _kept(folder: Path, faces: Faces, about: Subject) -> tuple[Fault, ...] | None:
    """What a finished audit of the same data found; None where it is not finished, or was about something else."""
    if not (folder / FOUND).exists():
        return None
    proposals = read_patch(folder / FOUND, faces).proposals
    facts = parse_json(read_regular(folder / FACTS))
    return tuple(one.fault for one in proposals) if facts.get("subject") == about else None


def _look(
    about: Subject, faces: Faces, folder: Path, model: str | Path | None, folds: int, reporter: Reporter | None,
    stop: Callable[[], bool] | None,
) -> AuditResult | PeopleAudit:  # fmt: skip
    engine = audit_people if about == PEOPLE else audit_keypoints
    return engine(faces, folds=folds, out=folder, model=model, reporter=reporter, stop=stop)


def _written(folder: Path, read: ReadResult, found: tuple[Fault, ...], said: list[Any] | None) -> Audit:
    """Write the patch and the page, decisions taken in."""
    ranking = None if said is None else rank_again(found, said)
    faults = found if ranking is None else ranking.faults
    facts = parse_json(read_regular(folder / FACTS))
    lines = [] if ranking is None else ranking_text(ranking, len(said or ()))
    notes = [*read.warnings, *facts.pop("notes", ())]
    patch = write_patch([proposal_of(fault) for fault in faults], read.faces, folder / PATCH)
    page = write_text(folder / PAGE, queue_html(faults, read.faces, facts, [*lines, *notes]))
    return Audit(
        patch, page, tuple(faults), len(read.faces), facts, ranking, len(said or ()), read.skipped, tuple(notes),
    )  # fmt: skip


def audit_text(result: Audit, most: int = 10) -> list[str]:
    """Lines that say what the queue holds: how many findings of each kind, and the first of them."""
    counts = Counter(fault.kind for fault in result.faults)
    rows = len({fault.row for fault in result.faults})
    lines = [
        f"{len(result.faults):,} findings in {rows:,} of {result.faces:,} rows, {_expected(result.faults)} of them expected to be real"
    ]
    lines += [
        f"  {kind}: {count:,}, {_expected([fault for fault in result.faults if fault.kind == kind])} expected to be real"
        for kind, count in counts.most_common()
    ]
    if result.ranking is not None:
        lines += ranking_text(result.ranking, result.decisions)
    shown = result.faults[:most]
    lines += [f"the first {len(shown)}:"] if shown else []
    for fault in shown:
        what = f"{fault.kind} {fault.keypoint}" if fault.keypoint else fault.kind
        lines.append(f"  {fault.score:.2f}  row {fault.row}: {what}: {fault.reason}")
    return lines


def _expected(faults: Any) -> str:
    return f"{sum(fault.score for fault in faults):,.0f}"
