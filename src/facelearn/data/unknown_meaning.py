"""What is not known of a table's keypoints, in sentences: which mirror which, and which of them no row has."""

from __future__ import annotations

from facelearn.data.faces import Faces
from facelearn.data.schema import KeypointSchema
from facelearn.data.sides import sides_of

_MOST_NAMED = 8
_REMEDY = "say the pairs with --schema NAME or FILE.toml"


def lone_sides_note(schema: KeypointSchema) -> str | None:
    """The sentence about names that say a side and leave it open which keypoint mirrors them; None where all is known."""
    if schema.can_mirror:
        return None
    said = sides_of(schema.names)
    if said.lone:
        what = "says a side" if len(said.lone) == 1 else "say a side"
        return f"{_some(said.lone)} {what} but the data have no keypoint for the other one: no mirroring; {_REMEDY}"
    if said.series:
        what = "are numbered along a side, and the names do not say which number mirrors which"
        return f"{_some(said.series)} {what}: no mirroring; {_REMEDY}"
    return None


def unpaired_note(schema: KeypointSchema) -> str | None:
    """The sentence about keypoints none of which is known to mirror another; None where some are, or there are none."""
    if schema.can_mirror or not schema.names:
        return None
    count = f"{len(schema)} keypoints" if len(schema) > 1 else "one keypoint"
    return lone_sides_note(schema) or (
        f"nothing says which of the {count} ({_some(schema.names)}) mirror which: no mirroring in training and prediction; {_REMEDY}"
    )


def never_labelled(faces: Faces) -> tuple[str, ...]:
    """Names of the keypoints that no row has, where rows have others."""
    counts = faces.labelled.sum(0).tolist()
    return (
        tuple(name for name, count in zip(faces.schema.names, counts, strict=True) if not count) if any(counts) else ()
    )


def keypoint_notes(faces: Faces) -> tuple[str, ...]:
    """What is to be said of the keypoints of a table whoever reads it, one sentence each."""
    notes = [lone_sides_note(faces.schema)]
    if absent := never_labelled(faces):
        learned = "nothing can be learned of it" if len(absent) == 1 else "nothing can be learned of them"
        notes.append(
            f"no row has a label of {_some(absent)} ({len(absent)} of {len(faces.schema)} keypoints): {learned}"
        )
    return tuple(note for note in notes if note)


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown
