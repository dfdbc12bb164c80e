"""The unit of a file's coordinates: pixels, or shares of the photo; seen by where all of them lie, never assumed in silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, Record
from facelearn.errors import DataError
from facelearn.images.decode import ImageError

Units = Literal["pixels", "fraction", "percent"]
WHOLE: dict[str, float] = {"fraction": 1.0, "percent": 100.0}
"""The number that is the photo's far edge."""

_SMALLEST_PHOTO = 8  # pixels; on a smaller one coordinates up to 1 are pixels as likely as not
_LEAST_PHOTOS = 3
_LARGER_THAN = 110  # pixels; on photos of about 100 per cent and pixels are the same
_LEAST_REACH, _OFF_MIDDLE = 30, 20  # per cent: faces lie not all in a corner
_SHARE_OF_PHOTO = 0.6
_SAMPLE = 64
_OF_NO_UNIT = ("wide-csv",)  # nobody writes per cent into a format that says pixels
_SLACK = 0.05  # of the unit, by which a label may lie off its photo


def check_units(units: str | None) -> Units | None:
    """`units`, where it is one.

    Raises:
        DataError: another.
    """
    if units is not None and units not in get_args(Units):
        raise DataError(f"units are {', '.join(get_args(Units))}; received {units!r}")
    return units  # type: ignore[return-value]


def settle_units(
    listing: Listing, units: Units | None, where: Path, *, assumed: Units | None = None, unsaid: Literal["stop", "take"] = "stop"
) -> Listing:  # fmt: skip
    """`listing` with points and boxes in pixels, or as fractions that are marked so.

    Args:
        listing: with all its records, missing keypoints NaN.
        units: of the coordinates in the file; None: pixels, unless they look like something else.
        where: named in errors.
        assumed: what coordinates that look like it are taken for: a model's unit, where it was trained.
        unsaid: what is done where they look like a unit that nobody spoke of: "stop", or "take" them for it (where labels only say where
            a face is).

    Raises:
        DataError: coordinates that look like another unit, or cannot be of the one said.
    """
    records = [record for record in listing.records if len(record.points)]
    if not records or units == "pixels":
        return listing
    if any(record.normalised for record in records):
        if units not in (None, "fraction"):
            raise DataError(
                f"{where}: the format {listing.format} has fractions of the photo's size; leave units (--units) = {units!r} out"
            )
        return listing
    points = np.concatenate([record.points for record in records]) + listing.counted_from
    points = points[~np.isnan(points[:, 0])]
    if units is None:
        looks = _looks_like(points, records, percent=listing.format in _OF_NO_UNIT)
        if looks is None:
            return listing
        if looks == "unit" or (looks != assumed and unsaid == "stop"):
            raise DataError(_question(looks, points, records, where))
        units = check_units(looks)
    assert units is not None
    reach = np.abs(points).max(initial=0.0)
    if reach > 2 * WHOLE[units]:
        raise DataError(
            f"{where}: its coordinates reach {reach:g}, which is no {_word(units)} of a photo (0 to {WHOLE[units]:g}); leave --units out"
        )
    changed = [_as_fraction(record, WHOLE[units], listing.counted_from) for record in listing.records]
    note = f"coordinates were taken as {_word(units)} of each photo's width and height (0 to {WHOLE[units]:g})"
    return dataclasses.replace(listing, records=changed, counted_from=0.0, warnings=[*listing.warnings, note])


def _word(units: str) -> str:
    return {"fraction": "fractions", "percent": "per cent"}.get(units, units)


def _as_fraction(record: Record, whole: float, counted_from: float) -> Record:
    box = record.box
    if box is not None and record.pixels is None:
        edges = np.asarray(box) + 0.5  # readers give boxes by pixel centres
        box = tuple((edges / whole).tolist()) if edges.max() <= 2 * whole else None
    return dataclasses.replace(record, points=(record.points + counted_from) / whole, box=box, normalised=True)


def _looks_like(points: NDArray[np.float64], records: Sequence[Record], *, percent: bool) -> str | None:
    """ "fraction", "percent", or "unit" for -1 to 1; None for pixels."""
    if len(points) < 2:
        return None
    low, high = float(points.min()), float(points.max())
    if max(-low, high) > 1e15:  # no unit has such numbers
        return None
    broken = bool((points % 1 != 0).any())
    if high <= 1 + _SLACK and low >= -1 - _SLACK and broken:
        sizes = _sizes(records)
        if not sizes or min(min(size) for size in sizes) < _SMALLEST_PHOTO:
            return None
        return "unit" if low < -_SLACK else "fraction"
    middle = points.mean(0)
    about_the_middle = bool((np.abs(middle - 50) <= _OFF_MIDDLE).all())
    if percent and low >= 0 and _LEAST_REACH <= high <= 100 and about_the_middle:
        sizes = _sizes(records)
        across = min((width for width, _ in sizes), default=0)
        down = min((height for _, height in sizes), default=0)
        reach = points.max(0)
        large = min(across, down) > _LARGER_THAN
        if (
            large
            and len(sizes) >= _LEAST_PHOTOS
            and reach[0] <= _SHARE_OF_PHOTO * across
            and reach[1] <= _SHARE_OF_PHOTO * down
        ):
            return "percent"
    return None


def _sizes(records: Sequence[Record]) -> list[tuple[int, int]]:
    """(width, height) of some of the photos, one each."""
    found = []
    photos = {str(record.image) if record.pixels is None else i: record for i, record in enumerate(records)}
    every = max(1, len(photos) // _SAMPLE)
    for record in list(photos.values())[::every]:
        try:
            facts = record.facts()
        except ImageError:
            continue
        found.append(record.stated or (facts.width, facts.height))
    return found


def _question(looks: str, points: NDArray[np.float64], records: Sequence[Record], where: Path) -> str:
    sizes = _sizes(records)
    width, height = sizes[0]
    lie = f"{where}: all {len(points)} keypoints lie in {points.min():g} to {points.max():g} where photos are {width} x {height} pixels"
    if looks == "unit":
        return (
            f"{lie}: it looks like a network's -1 to 1 and not like pixels; write pixels, x = ((x' + 1) width - 1) / 2, or the fractions "
            "(x' + 1) / 2 and add --units fraction (units='fraction' in Python). --units pixels takes the numbers as they are"
        )
    return (
        f"{lie}: it looks like {_word(looks)} of the photo's size and not like pixels; add --units {looks} (units={looks!r} in Python), or "
        "--units pixels where they are pixels"
    )
