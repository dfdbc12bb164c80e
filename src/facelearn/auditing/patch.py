"""The verb `patch`: mend a data set as a patch file says, and write it anew; the data themselves stay as they are."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facelearn.auditing.corrected import corrections
from facelearn.auditing.patch_file import Patch, read_patch
from facelearn.auditing.replay import replay
from facelearn.data.faces import Faces
from facelearn.runs.convert import ConvertResult, Format, output_format, write_labels
from facelearn.runs.prepare import read_with_report
from facelearn.transforms.framing import Framing


@dataclass(frozen=True)
class PatchResult:
    """What a patch did.

    Attributes:
        written: the mended data: where they are, faces, labels, rows that could not be read, warnings.
        applied: how many findings were mended, by kind.
        left_out: how many were not, by reason and kind.
        dropped: rows that are gone.
    """

    written: ConvertResult
    applied: Mapping[str, int]
    left_out: Mapping[str, Mapping[str, int]]
    dropped: int


def patch(
    data: str | Path,
    patch: str | Path,
    out: str | Path,
    *,
    min_score: float = 0.0,
    kinds: Sequence[str] = (),
    to: Format | None = None,
    **reading: Any,
) -> PatchResult:
    """Mend a data set as a patch file says, and write it to another file.

    Args:
        data: what was audited: what `facelearn.read` takes.
        patch: the `patch.jsonl` of `facelearn.audit`, whole or with lines taken out; or a label file with some of the faces, which a person
            has corrected in CVAT or Label Studio (`convert` with `rows` wrote it).
        out: a `.csv`, `.json` (COCO keypoints) or `.xml` (CVAT) file or a folder (saved `Faces`), as `facelearn.convert` writes them.
            People are named in it; photos in folders are referred to, not moved.
        min_score: findings of a lower score are left out.
        kinds: of findings to mend; none given, all but those that are only facts to look at (`auditing.patch_file.ONLY_IF_ASKED`).
        to: as `facelearn.convert`.
        reading: size, crop, color, schema, list_file, missing, units, on_error and progress, as `facelearn.read`, and as the data were read
            to be audited.

    Raises:
        DataError: `data` cannot be read, `patch` is no patch file, or is one for other data.
        FacelearnError: `out` names no format, or exists; a kind that there is not.
    """
    out = Path(out)
    to = output_format(out, to)
    read = read_with_report(data, **reading)
    lines, notes = _lines(Path(patch), read.faces, reading)
    replayed = replay(read.faces, lines, min_score=min_score, kinds=kinds)
    mended = dataclasses.replace(
        read, warnings=(*read.warnings, *notes), faces=replayed.faces, split=read.split[replayed.rows]
    )
    written = write_labels(
        mended, data, out, to, **{name: reading.get(name) for name in ("schema", "missing", "units")}
    )
    return PatchResult(written, replayed.applied, _by_reason(replayed.left_out), len(read.faces) - len(replayed.faces))


def _lines(path: Path, faces: Faces, reading: Mapping[str, Any]) -> tuple[Patch, list[str]]:
    """The patch in a file, or what a person corrected in a label file; and what is to be known of it."""
    if path.suffix.lower() in (".jsonl", ".ndjson") or not path.exists():
        return read_patch(path, faces), []
    asked = {name: reading[name] for name in ("color", "schema") if name in reading}
    size = Framing("whole", (faces.height, faces.width))  # photos may differ in size; points go back to them
    # what `convert` wrote is in pixels and has no mark for missing points, whatever the data have
    back = read_with_report(path, framing=size, detector="none", units="pixels", missing="none", **asked)
    found = corrections(faces, back.faces, path)
    lost = f"; {found.unknown:,} of them are none of these data and are left out" if found.unknown else ""
    return found.patch, [
        f"{found.faces:,} faces came back in {path.name}, {len(found.patch.proposals):,} labels of them changed{lost}"
    ]


def _by_reason(left_out: Mapping[tuple[str, str], int]) -> dict[str, Counter[str]]:
    reasons: dict[str, Counter[str]] = {}
    for (kind, reason), count in left_out.items():
        reasons.setdefault(reason, Counter())[kind] += count
    return reasons


def patch_text(result: PatchResult) -> list[str]:
    """Lines that say what was mended, what was not and why, and where the mended data are."""
    written = result.written
    mended = sum(result.applied.values())
    lines = [f"mended: {mended:,} findings{_counted(result.applied)}"]
    for reason, kinds in result.left_out.items():
        lines.append(f"left out, {reason}: {sum(kinds.values()):,}{_counted(kinds)}")
    gone = f", {result.dropped:,} rows dropped" if result.dropped else ""
    return [*lines, f"written: {written.path}: {written.faces:,} faces, {written.labels:,} labels{gone}"]


def _counted(kinds: Mapping[str, int]) -> str:
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return f" ({', '.join(f'{count:,} {kind}' for kind, count in ordered)})" if ordered else ""
