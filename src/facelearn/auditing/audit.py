"""The verb `audit`: the queue of labels to look at, as a patch file that can be replayed and as a page."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from facelearn import bundle as bundles
from facelearn.auditing.decisions import Ranking, rank_again, ranking_text, read_decisions
from facelearn.auditing.fault import Fault
from facelearn.auditing.keypoint_audit import AuditResult, audit_keypoints
from facelearn.auditing.patch_file import proposal_of, read_patch, write_patch
from facelearn.auditing.people_audit import PeopleAudit, audit_people
from facelearn.auditing.queue_page import queue_html
from facelearn.data.faces import Faces
from facelearn.data.seen_rows import seen_rows
from facelearn.errors import DataError, FacelearnError, Problem
from facelearn.files import write_text
from facelearn.outside import parse_json, read_regular
from facelearn.runs.prepare import ReadResult, read_with_report
from facelearn.training.loop import Reporter

FOLDS = 5
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


@dataclass(frozen=True)
class _Asked:
    """What an audit is asked for, None where nobody said; an audit that is gone on with was asked for the same."""

    subject: Subject | None
    model: str | None
    folds: int | None


def audit(
    data: str | Path,
    out: str | Path,
    *,
    subject: Subject | None = None,
    model: str | Path | None = None,
    folds: int | None = None,
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
        folds: parts that the rows are divided in, 5 where nobody says; each is judged by a model that has not seen it.
        decisions: a file of what was confirmed and refused of the queue in `out`, as `auditing.decisions.read_decisions` takes it; the
            rest is ranked again by it.
        resume: go on with what `out` holds: finish an audit that was stopped, or take in decisions. What was asked for then holds; a
            `patch.jsonl` that somebody edited is kept as `patch.edited.jsonl`.
        display: gives a context manager with a reporter for the training of the fold models.
        stop: asked after every batch; once it says True, finished folds are kept and the result says that it was stopped.
        reading: size, crop, color, schema, list_file, missing, units, on_error and progress, as `facelearn.read`.

    Raises:
        DataError: unreadable data, data without labels to audit, or decisions that cannot be read.
        BundleError: a model of another kind.
        FacelearnError: `out` holds an audit and `resume` was not asked for, another audit than is asked for, or nothing to take decisions
            about.
    """
    folder = Path(out)
    _check_folder(folder, resume, decisions)
    said = read_decisions(decisions) if decisions is not None else []
    read = read_with_report(data, **reading)
    asked = _Asked(subject, None if model is None else os.path.abspath(model), folds)
    if resume:
        asked = _as_before(folder, asked)
    about = _subject_of(read.faces, asked.subject, data)
    if resume and (folder / FOUND).exists():
        found = tuple(one.fault for one in read_patch(folder / FOUND, read.faces).proposals)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        settled = vars(dataclasses.replace(asked, subject=about))
        _write_facts(folder, {"asked": settled})
        notes = _seen_by(asked.model, read.faces)
        with (display or _no_display)() as reporter:
            result = _look(about, read.faces, folder, asked.model, asked.folds or FOLDS, reporter, stop)
        if result.stopped:
            return Audit(skipped=read.skipped, warnings=read.warnings, stopped=True)
        found, notes = result.faults, [*notes, *getattr(result, "notes", ())]
        _write_facts(folder, {"source": str(data), "subject": about, **result.facts, "notes": notes, "asked": settled})
        write_patch(
            [proposal_of(fault) for fault in found], read.faces, folder / FOUND
        )  # last: with it the search is done
    return _written(folder, read, found, said if decisions is not None else None)


def _no_display() -> AbstractContextManager[Reporter | None]:
    return nullcontext()


def _check_folder(folder: Path, resume: bool, decisions: str | Path | None) -> None:
    if decisions is not None and not (folder / FOUND).exists():
        raise FacelearnError(
            f"{folder} holds no finished audit whose findings {decisions} could be about; audit first, without --decisions"
        )
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


def _write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    write_text(folder / FACTS, json.dumps(facts, indent=1, default=str) + "\n")


def _read_facts(folder: Path) -> Mapping[str, Any]:
    try:
        facts = parse_json(read_regular(folder / FACTS))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder / FACTS} cannot be read ({error}); audit again into another folder: --out OTHER"
        ) from None
    if not isinstance(facts, dict):
        raise DataError(f"{folder / FACTS} is no record of an audit; audit again into another folder: --out OTHER")
    return facts


def _as_before(folder: Path, now: _Asked) -> _Asked:
    """What the audit in `folder` was asked for; whoever asks for something else now is told."""
    if not (folder / FACTS).exists():  # it was stopped before it began
        return now
    facts = _read_facts(folder)
    said = facts.get("asked")
    said = said if isinstance(said, dict) else {"subject": facts.get("subject")}
    before = dataclasses.replace(now, **{name: said[name] for name in ("subject", "model", "folds") if name in said})
    for name, value in vars(now).items():
        was = getattr(before, name) or {"folds": FOLDS}.get(name, "none")
        if value is not None and value != was:
            raise FacelearnError(
                f"{folder} holds an audit whose {name} is {was}; received {value}: leave --{name} out, or choose another --out"
            )
    return before


def _seen_by(model: str | None, faces: Faces) -> list[str]:
    """That a model knows the faces it is to judge, where it does."""
    seen = None if model is None else seen_rows(faces, bundles.load(model).data.get("train_rows"))
    if seen is None or not seen[0]:
        return []
    return [
        f"{seen[0]:,} of {seen[1]:,} faces were trained on by {model}: it has learned their wrong labels as well, and tells fewer of them; "
        "leave --model out, and networks judge that have not seen them"
    ]


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
    facts = {**_read_facts(folder), "expected_faults": float(sum(fault.score for fault in faults))}
    lines = [] if ranking is None else ranking_text(ranking, len(said or ()))
    edited = _put_aside(folder, facts.get("patch"))
    patch = write_patch([proposal_of(fault) for fault in faults], read.faces, folder / PATCH)
    _write_facts(folder, {**facts, "patch": _mark(patch)})
    notes = [*read.warnings, *facts.pop("notes", ()), *edited]
    for name in ("asked", "patch"):
        facts.pop(name, None)
    page = write_text(folder / PAGE, queue_html(faults, read.faces, facts, [*lines, *notes]))
    return Audit(
        patch, page, tuple(faults), len(read.faces), facts, ranking, len(said or ()), read.skipped, tuple(notes),
    )  # fmt: skip


def _mark(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _put_aside(folder: Path, mark: str | None) -> list[str]:
    """A patch that somebody has edited since it was written is kept under another name, which is said."""
    file = folder / PATCH
    if mark is None or not file.exists() or _mark(file) == mark:
        return []
    names = (folder / f"patch.edited{'' if number == 1 else f'-{number}'}.jsonl" for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    file.rename(aside)
    return [f"{file.name} had been edited; it is kept as {aside.name}"]


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
