"""From the names of columns and keypoints in a label file to a schema, and from its text to coordinates."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelearn.data.schema import KNOWN_SCHEMAS, KeypointSchema, schema_for_count, schema_for_names
from facelearn.errors import DataError

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


_NUMBERED = re.compile(r"^([xy])[_ ]?(\d+)$", re.IGNORECASE)
_NAMED = re.compile(r"^(.+)[_\-. ]([xy])$", re.IGNORECASE)
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
    """Find keypoint columns among `header` (NAME_x and NAME_y, x_NAME and y_NAME, or x0, y0), leaving out `other`."""
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
    index = tuple(axes[axis] for axes in pairs.values() for axis in "xy")
    return KeypointColumns(tuple(pairs), index, numbered, tuple(unknown), tuple(lonely))


def known_schema(wanted: KeypointSchema | str | None) -> KeypointSchema | None:
    """The schema that `read(schema=...)` means.

    Raises:
        DataError: a name that is not known.
    """
    if wanted is None or isinstance(wanted, KeypointSchema):
        return wanted
    if wanted not in KNOWN_SCHEMAS:
        raise DataError(f"schema '{wanted}' is not known; known are {', '.join(KNOWN_SCHEMAS)}")
    return KNOWN_SCHEMAS[wanted]


def settle_schema(
    names: Sequence[str], numbered: bool, wanted: KeypointSchema | None, where: str
) -> tuple[KeypointSchema, NDArray[np.int64], list[str]]:
    """The schema for keypoints called `names`, and where each of its keypoints stands in the file.

    Keypoints named as a known schema's, in any order, become that schema. With `wanted`, its keypoints that the file
    does not have are missing everywhere; numbered keypoints must agree in count.

    Returns:
        schema; order int64 (K,), index into `names` or -1 where the file has no such keypoint; warnings.

    Raises:
        DataError: `wanted` does not fit the file.
    """
    if numbered:
        count = len(names)
        if wanted is not None and len(wanted) != count:
            raise DataError(f"{where} has {count} keypoints but schema '{wanted.name}' has {len(wanted)}")
        return wanted or schema_for_count(count), np.arange(count), []
    position = {name: i for i, name in enumerate(names)}
    schema = wanted or next((s for s in KNOWN_SCHEMAS.values() if len(s) and set(s.names) == set(names)), None)
    if schema is None:
        return schema_for_names(names), np.arange(len(names)), _nearly_known(names, where)
    strange = [name for name in names if name not in schema.names]
    if strange:
        raise DataError(
            f"{where} has keypoints that schema '{schema.name}' does not: {', '.join(strange[:5])}; "
            f"its keypoints are {', '.join(schema.names[:20])}"
        )
    absent = [name for name in schema.names if name not in position]
    notes = [f"{where} has no {', '.join(absent)}; missing in every row"] if absent else []
    return schema, np.asarray([position.get(name, -1) for name in schema.names], np.int64), notes


def _nearly_known(names: Sequence[str], where: str) -> list[str]:
    for schema in KNOWN_SCHEMAS.values():
        absent = [name for name in schema.names if name not in names]
        if set(names) < set(schema.names) and 2 * len(names) >= len(schema):
            return [
                f"{where} has {len(names)} of the {len(schema)} keypoints of '{schema.name}' (not {', '.join(absent)}); "
                f"pass schema='{schema.name}' to keep all {len(schema)}, those missing"
            ]
    return []


def reorder(points: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    """`points` (..., K_file, 2) in the schema's order (..., K, 2), NaN where `order` is -1."""
    if not (order < 0).any():
        return points[..., order, :]
    padded = np.concatenate([points, np.full((*points.shape[:-2], 1, 2), np.nan)], axis=-2)
    return padded[..., order, :]
