"""From the names of columns and keypoints in a label file to a schema, and from its text to coordinates."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.schema import IBUG68, KNOWN_SCHEMAS, KeypointSchema, schema_for_count, schema_for_names
from facelearn.errors import DataError
from facelearn.limits import KEYPOINTS, SPARSENESS

_ROOM = 4_000_000  # places for keypoints that any table may have
# what pandas, R and spreadsheets write for an empty cell
MISSING_WORDS = frozenset({
    "", "nan", "-nan", "na", "n/a", "n.a.", "null", "none", "<na>", "nat", "#n/a", "#na", "#n/a n/a", "#value!", "-", "--", "?", ".",
    "1.#qnan", "-1.#ind", "missing",
})  # fmt: skip


def parse_number(text: str | bytes) -> float:
    """A coordinate from its text; NaN for an empty or missing one.

    Raises:
        ValueError: text that is no number, or infinity.
    """
    word = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    word = word.strip()
    if word.lower() in MISSING_WORDS:
        return float("nan")
    try:
        value = float(word)
    except ValueError:
        raise ValueError(
            f"{word[:40]!r} is not a number; leave the field empty where the keypoint is missing"
        ) from None
    if value in (float("inf"), float("-inf")):
        raise ValueError("infinity is not a coordinate; leave the field empty where the keypoint is missing")
    return value


def parse_points(fields: Sequence[str | bytes], names: Sequence[str]) -> NDArray[np.float64]:
    """(K, 2) float64 from 2K fields x0, y0, x1, y1, ...; a keypoint is missing in both or in neither.

    Raises:
        ValueError: one sentence naming the keypoint.
    """
    try:
        values = np.asarray([float(text) if text else math.nan for text in fields])
        unusual = bool(np.isinf(values).any())
    except ValueError:
        unusual = True
    if unusual:
        values = np.asarray([_named_number(text, names[i // 2], "xy"[i % 2]) for i, text in enumerate(fields)])
    points = values.reshape(-1, 2)
    if np.isnan(values).any():
        _both_or_neither(points, names)
    return points


def _named_number(text: str | bytes, name: str, axis: str) -> float:
    try:
        return parse_number(text)
    except ValueError as error:
        raise ValueError(f"{name}_{axis}: {error}") from None


def _both_or_neither(points: NDArray[np.float64], names: Sequence[str]) -> None:
    half = np.isnan(points).sum(1) == 1
    if half.any():
        name = names[int(half.argmax())]
        has = "x without y" if np.isnan(points[half.argmax(), 1]) else "y without x"
        raise ValueError(f"{name} has {has}; give both or neither")


_NUMBERED = re.compile(r"^([xy])[_ ]?(\d{1,6})$", re.IGNORECASE)
_NAMED = re.compile(r"^(.+)[_\-. ]([xy])$", re.IGNORECASE)
_CONFIDENCE = re.compile(r"^(.+)_confidence$")
_AXIS_FIRST = re.compile(r"^([xy])[_\-. ](.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class KeypointColumns:
    """Which columns hold keypoints.

    Attributes:
        names: K keypoint names in column order; numbered columns (x0, y0) are named by their number.
        index: 2K column numbers, x0, y0, x1, y1, ...
        numbered: the names are numbers only.
        unknown: columns that are no coordinate.
        lonely: coordinate columns whose partner is missing, each with the name it lacks.
    """

    names: tuple[str, ...]
    index: tuple[int, ...]
    numbered: bool
    unknown: tuple[str, ...]
    lonely: tuple[tuple[str, str], ...]


def keypoint_columns(header: Sequence[str], other: Sequence[str]) -> KeypointColumns:
    """Find keypoint columns among `header` (NAME_x and NAME_y, x_NAME and y_NAME, or x0, y0), leaving out `other`.

    NAME_confidence, which stands beside predicted keypoints, is no label and left out too.
    """
    found: dict[str, dict[str, int]] = {}
    unknown: list[str] = []
    numbered = True
    for i, column in enumerate(header):
        if column in other:
            continue
        if match := _NUMBERED.match(column):
            axis, name = match[1], match[2]
        elif match := _NAMED.match(column):
            axis, name, numbered = match[2], match[1], False
        elif match := _AXIS_FIRST.match(column):
            axis, name, numbered = match[1], match[2], False
        else:
            unknown.append(column)
            continue
        found.setdefault(name, {})[axis.lower()] = i
    pairs = {name: axes for name, axes in found.items() if len(axes) == 2}
    if numbered:
        pairs = dict(sorted(pairs.items(), key=lambda item: int(item[0])))
    lonely = []
    for name, axes in found.items():
        if len(axes) == 1:
            axis, i = next(iter(axes.items()))
            lonely.append((header[i], ("y" if axis == "x" else "x") + f" of '{name}'"))
    unknown = [column for column in unknown if not ((match := _CONFIDENCE.match(column)) and match[1] in pairs)]
    index = tuple(axes[axis] for axes in pairs.values() for axis in "xy")
    return KeypointColumns(tuple(pairs), index, numbered, tuple(unknown), tuple(lonely))


_SERIES = re.compile(r"^(.*?)[_\-. ]?(\d{1,5})$")
_PARTS = {f"part_{i}" for i in range(len(IBUG68))}  # what dlib calls the points of its predictor of 68


def series(names: Sequence[str]) -> NDArray[np.int64] | None:
    """Where keypoint 0, 1, 2, ... stands among names that are one word and a number each, counted from 0 or 1; None for other names."""
    found = [_SERIES.match(name) for name in names]
    if not names or any(match is None for match in found) or len({match[1].lower() for match in found if match}) > 1:
        return None
    numbers = np.asarray([int(match[2]) for match in found if match], np.int64)
    order = np.argsort(numbers, kind="stable")
    first = int(numbers.min())
    return order if first in (0, 1) and np.array_equal(numbers[order], first + np.arange(len(names))) else None


def settle_schema(
    names: Sequence[str],
    numbered: bool,
    wanted: KeypointSchema | None,
    where: str,
    *,
    known: KeypointSchema | None = None,
) -> tuple[KeypointSchema, NDArray[np.int64], list[str]]:
    """The schema for keypoints called `names`, and where each of its keypoints stands in the file.

    Keypoints named as a known schema's, in any order, become that schema; so do `part_0` to `part_67`, as dlib's landmarks are named.
    Numbers say nothing: without `wanted` and `known`, numbered keypoints have no pairs and no eyes, however many they are. With `wanted`,
    its keypoints that the file lacks are missing everywhere; numbered keypoints, and names that only count (`kp0`, `kp1`), must agree in
    count and are taken in the order of their numbers.

    Args:
        names: in the file's order.
        numbered: the format has no names; `names` are numbers.
        wanted: what the user says.
        where: the file, for messages.
        known: what the format itself guarantees of its numbered keypoints.

    Returns:
        schema; order int64 (K,), index into `names` or -1 where the file has no such keypoint; warnings.

    Raises:
        DataError: `wanted` does not fit the file.
    """
    count = len(names)
    if numbered:
        if wanted is not None and len(wanted) != count:
            raise _other_count(where, count, wanted)
        return wanted or known or schema_for_count(count), np.arange(count), []
    position = {name: i for i, name in enumerate(names)}
    in_order = series(names)
    if in_order is not None and (wanted is None or not set(names) <= set(wanted.names)):
        if wanted is not None:
            if len(wanted) != count:
                raise _other_count(where, count, wanted)
            return wanted, in_order, []
        if {_unpadded(name) for name in names} == _PARTS:
            return IBUG68, in_order, []
    schema = wanted or next((s for s in KNOWN_SCHEMAS.values() if len(s) and set(s.names) == set(names)), None)
    if schema is None:
        try:
            return schema_for_names(names), np.arange(count), _nearly_known(names, where)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    strange = [name for name in names if name not in schema.names]
    if strange:
        raise DataError(
            f"{where} has keypoints that schema '{schema.name}' does not: {', '.join(strange[:5])}; "
            f"its keypoints are {', '.join(schema.names[:20])}; leave --schema out, or describe the file's own names in a TOML file"
        )
    absent = [name for name in schema.names if name not in position]
    notes = [f"{where} has no {', '.join(absent)}; missing in every row"] if absent else []
    return schema, np.asarray([position.get(name, -1) for name in schema.names], np.int64), notes


def numbers_between(first: int, numbers: Collection[int]) -> list[str]:
    """Names of the keypoints from `first` to the last of `numbers`, those between that never occur among them; where most never do, only
    `numbers`."""
    span = range(first, max(numbers) + 1)
    return [str(i) for i in (span if len(span) <= max(1000, 4 * len(numbers)) else sorted(numbers))]


def check_room(faces: int, keypoints: int, labelled: int, where: Path) -> None:
    """Nothing where a table of so many faces and keypoints is in proportion to what the file labels.

    Raises:
        DataError: a few labels would make a table of billions of missing ones.
    """
    if keypoints > KEYPOINTS.value:
        raise DataError(
            f"{where} has {keypoints:,} keypoints a face, more than {KEYPOINTS.value:,}; mend their names, or {KEYPOINTS.remedy}"
        )
    if faces * keypoints > max(_ROOM, SPARSENESS.value * labelled):
        raise DataError(
            f"{where} names {keypoints:,} keypoints for {faces:,} faces but labels {labelled:,} places, fewer than one in "
            f"{SPARSENESS.value}; mend the names of its points, or {SPARSENESS.remedy.replace('above it ', 'higher ')}"
        )


def _unpadded(name: str) -> str:
    return re.sub(r"(?<!\d)(\d{1,9})$", lambda match: str(int(match[1])), name)


def _other_count(where: str, count: int, wanted: KeypointSchema) -> DataError:
    return DataError(
        f"{where} has {count} keypoints that are only numbered, but schema '{wanted.name}' has {len(wanted)}; give the schema of these "
        f"{count} (--schema NAME, or a TOML file with {count} names)"
    )


def _nearly_known(names: Sequence[str], where: str) -> list[str]:
    for schema in KNOWN_SCHEMAS.values():
        absent = [name for name in schema.names if name not in names]
        if set(names) < set(schema.names) and 2 * len(names) >= len(schema):
            return [
                f"{where} has {len(names)} of the {len(schema)} keypoints of '{schema.name}' (not {', '.join(absent)}); "
                f"pass schema='{schema.name}' (--schema {schema.name}) to keep all {len(schema)}, those missing"
            ]
    return []


def reorder(points: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    """`points` (..., K_file, 2) in the schema's order (..., K, 2), NaN where `order` is -1."""
    if not (order < 0).any():
        return points[..., order, :]
    padded = np.concatenate([points, np.full((*points.shape[:-2], 1, 2), np.nan)], axis=-2)
    return padded[..., order, :]
