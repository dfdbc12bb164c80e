"""The part of `explain` about units: inputs made to excite them, and the images that do it most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from facelearn.explaining import face_pictures
from facelearn.explaining.album import Album
from facelearn.explaining.parts import Look

if TYPE_CHECKING:
    from facelearn.explaining.excite import Excited, Scores

UNITS_SHOWN = 6
_SAMPLE = 256  # images that say which numbers an input may hold
_FIELD_OPERATIONS = 5e11  # about ten seconds of a small machine


class ExcitingImage(TypedDict):
    """An image that excites a unit, and the box (left, top, right, bottom) that the unit sees of it there."""

    image: int
    source: str
    row: int
    activation: float
    box: list[int]


class UnitFacts(TypedDict):
    """A unit, its activation before and after the ascent, and the images that excite it most."""

    unit: int
    before: float
    after: float
    top: list[ExcitingImage]


class UnitsFacts(TypedDict):
    """The units of a layer that were drawn."""

    layer: str
    units: list[UnitFacts]


def units(album: Album, look: Look) -> UnitsFacts:
    """Draw, for some units of a layer, an input made to excite them and the images that do it most."""
    from facelearn.explaining.excite import check_unit, unit_scores
    from facelearn.explaining.layers import unit_layer

    network = look.model.network
    layer = look.layer or unit_layer(network, look.table)
    scores = unit_scores(network, layer, look.images.pixels, look.model.inputs)
    for unit in look.units:
        check_unit(unit, scores.value.shape[1], layer)
    chosen = list(look.units) or scores.most_varied(UNITS_SHOWN)
    boxes, middle = _fields(look, layer)
    made = _made(look, layer, chosen, scores, middle)
    facts = [_unit_facts(look, scores, unit, boxes, (made.before[i], made.after[i])) for i, unit in enumerate(chosen)]
    figure = face_pictures.excited_figure(
        made.inputs.transpose(0, 2, 3, 1),
        [[look.images.pixels[one["image"]] for one in fact["top"]] for fact in facts],
        [[middle, *(_box(one["box"]) for one in fact["top"])] for fact in facts],
        names=[f"unit {unit}" for unit in chosen],
        notes=[
            [f"{f['before']:.2g} → {f['after']:.2g}", *(f"{one['activation']:.3g}" for one in f["top"])] for f in facts
        ],
        title=f"What excites units of '{layer}'",
    )
    why = "asked for" if look.units else f"that vary most of {scores.value.shape[1]}"
    caption = (
        f"Units {why}. Left: an input made by {look.steps} steps of regularised gradient ascent, its activation before and after. Right: "
        f"the images of {len(look.images):,} ({look.images.origin}) that excite it most, with the activation; the frame is what the "
        "unit sees there (its receptive field), left out where that is the whole image."
    )
    album.add("Units", figure, "units.png", caption)
    return {"layer": layer, "units": facts}


def _made(look: Look, layer: str, chosen: list[int], scores: Scores, middle: tuple[int, int, int, int]) -> Excited:
    """Inputs made to excite the units."""
    from facelearn.explaining.excite import Ascent, maximise
    from facelearn.explaining.layers import map_layer

    network = look.model.network
    sample = look.model.inputs(look.images.pixels[:_SAMPLE])
    # a flat picture, not the mean face: what shows a face must come from the unit
    start = sample.mean((0, 2, 3))[:, None, None].expand(*look.model.input_shape)
    bounds = float(sample.min()), float(sample.max())
    # a network without convolutions knows each pixel by its place: shifts would only hide what it looks for
    jitter = min(4, min(middle[2] - middle[0], middle[3] - middle[1]) // 8) if map_layer(network, look.table) else 0
    ascent = Ascent(steps=look.steps, jitter=max(0, jitter), seed=look.seed)
    scale = scores.value[:, chosen].std(0)
    made = maximise(network, layer, chosen, start, bounds, scale=scale, ascent=ascent)
    asleep = np.flatnonzero(made.after <= made.before)
    if not len(asleep):
        return made
    # behind a ReLU a flat picture may leave a unit at 0 without a gradient: those start from the image that excites them most
    units = [chosen[i] for i in asleep]
    first = look.model.inputs(look.images.pixels[[scores.top(unit, 1)[0] for unit in units]])
    again = maximise(network, layer, units, first, bounds, scale=scale[asleep], ascent=ascent)
    for old, new in ((made.inputs, again.inputs), (made.before, again.before), (made.after, again.after)):
        old[asleep] = new
    return made


def _fields(look: Look, layer: str) -> tuple[NDArray[np.int64], tuple[int, int, int, int]]:
    """Boxes (positions, 4) that a layer's positions see, row by row, and that of the one in the middle."""
    from facelearn.explaining.receptive import receptive_fields

    shape = look.model.input_shape
    operations = sum(row.multiply_adds for row in look.table) * (shape[1] + shape[2])
    found = receptive_fields(look.model.network, layer, shape, step=math.ceil(operations / _FIELD_OPERATIONS) or 1)
    middle = found
    for size in found.shape[:-1]:
        middle = middle[size // 2]
    return found.reshape(-1, 4), _box(middle)


def _unit_facts(
    look: Look, scores: Scores, unit: int, boxes: NDArray[np.int64], made: tuple[float, float]
) -> UnitFacts:
    top: list[ExcitingImage] = [
        {
            "image": int(i),
            "source": look.images.source[i],
            "row": look.images.row[i],
            "activation": float(scores.value[i, unit]),
            "box": list(_box(boxes[scores.position[i, unit]])),
        }
        for i in scores.top(unit, look.top)
    ]
    return {"unit": unit, "before": float(made[0]), "after": float(made[1]), "top": top}


def _box(numbers: Sequence[int] | NDArray[np.int64]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(n) for n in numbers)
    return left, top, right, bottom
