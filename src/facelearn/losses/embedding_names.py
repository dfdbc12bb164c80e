"""The losses of embeddings by their names in a recipe, the options each takes and their ranges; no torch, so that recipes can check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facelearn.errors import RecipeError, unknown_name

OptionValue = str | float | bool

CLASS_LOSSES: dict[str, str] = {
    "softmax": "cross-entropy of a linear last layer on the features as they are (DeepFace, Taigman et al. 2014)",
    "cosine_softmax": "cross-entropy of scaled cosines to one direction a person, with an additive margin where one is given",
    "cosface": "scaled cosines, that of the own person less a margin (Wang et al. 2018)",
    "arcface": "scaled cosines, the own person's angle enlarged by a margin in radians (Deng et al. 2019)",
    "adacos": "scaled cosines with the scale sqrt(2) ln(people - 1), or one that follows the angles (Zhang et al. 2019)",
}
"""Losses with a weight for each person: they need people, but no two images of one in a batch."""

METRIC_LOSSES: dict[str, str] = {
    "contrastive": "squared distances within a person; between people squared, as far as they lack of a margin (Hadsell et al. 2006)",
    "triplet": "a person's squared distances shorter by a margin than those to others (FaceNet, Schroff et al. 2015)",
    "triplet_cosine": "a person's cosines larger by a margin than those to others (Deep Speaker, Li et al. 2017)",
    "angular": "the angle at the other person in the triangle with two images of one below a bound (Wang et al. 2017)",
    "supervised_contrastive": "cross-entropy of an image's own person among all others of the batch (Khosla et al. 2020)",
}
"""Losses that compare the images of a batch: they need two images of a person, and two people, in it."""

EMBEDDING_LOSSES: dict[str, str] = (
    CLASS_LOSSES | METRIC_LOSSES | {"joint": "one of the losses with a weight a person, and one that compares images"}
)
"""What each value of a verification recipe's `loss.name` does."""

MINERS: dict[str, str] = {
    "all": "every triplet (or pair) of the batch",
    "semi_hard": "triplets whose other person is farther away than the own, but by less than the margin (Schroff et al. 2015)",
    "hard": "each image with its farthest of the own person and its nearest of another (Hermans et al. 2017)",
}
"""Which triplets, or pairs, of a batch are learned from."""


@dataclass(frozen=True)
class _Number:
    """A number from `low` to `high`; `low` itself only where it is `included`."""

    default: float
    high: float
    low: float = 0.0
    included: bool = False
    unit: str = ""

    def checked(self, loss: str, option: str, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (self.low <= value <= self.high) or (value == self.low and not self.included):
            first = f"from {self.low:g}" if self.included else f"above {self.low:g}"
            raise RecipeError(
                f"{loss}: {option} must be a number {first}, up to {self.high:g}{self.unit}; received {value!r}"
            )
        return float(value)


@dataclass(frozen=True)
class _Switch:
    default: bool

    def checked(self, loss: str, option: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise RecipeError(f"{loss}: {option} must be true or false; received {value!r}")
        return value


@dataclass(frozen=True)
class _Choice:
    default: str
    accepted: Mapping[str, str]

    def checked(self, loss: str, option: str, value: Any) -> str:
        if not isinstance(value, str) or value not in self.accepted:
            raise RecipeError(unknown_name(f"{option} of {loss}", str(value), list(self.accepted)))
        return value


_Option = _Number | _Switch | _Choice
_MINER = _Choice("semi_hard", MINERS)
_OPTIONS: dict[str, dict[str, _Option]] = {
    "softmax": {},
    "cosine_softmax": {"scale": _Number(16.0, 1000.0), "margin": _Number(0.0, 1.0, included=True)},
    "cosface": {"scale": _Number(30.0, 1000.0), "margin": _Number(0.35, 1.0, included=True)},
    "arcface": {
        "scale": _Number(30.0, 1000.0),
        "margin": _Number(0.5, math.pi / 2, included=True, unit=" radians (28.6 degrees are 0.5)"),
    },
    "adacos": {"dynamic": _Switch(False)},
    "contrastive": {"margin": _Number(1.0, 2.0), "miner": _Choice("all", MINERS)},
    "triplet": {"margin": _Number(0.2, 4.0), "miner": _MINER},
    "triplet_cosine": {"margin": _Number(0.1, 2.0), "miner": _MINER},
    "angular": {"angle": _Number(40.0, 89.0, unit=" degrees")},
    "supervised_contrastive": {"temperature": _Number(0.1, 100.0)},
    "joint": {
        "class_loss": _Choice("cosine_softmax", CLASS_LOSSES),
        "metric_loss": _Choice("triplet", METRIC_LOSSES),
        "weight": _Number(1.0, 1e6),
    },
}


def embedding_loss_options(name: str, options: Mapping[str, Any] | None = None) -> dict[str, OptionValue]:
    """Every option of the loss: those given, and the defaults of the others.

    Args:
        name: a key of EMBEDDING_LOSSES.
        options: scale (largest logit; cosine_softmax 16, cosface and arcface 30), margin (in cosines: cosine_softmax 0, cosface 0.35,
            triplet_cosine 0.1; in radians: arcface 0.5; in squared distances of unit vectors: triplet 0.2; in distances: contrastive 1),
            miner (a key of MINERS; contrastive "all", triplets "semi_hard"), angle (degrees; 40), temperature (0.1), dynamic (adacos: the
            scale follows the angles; false). joint has class_loss ("cosine_softmax"), metric_loss ("triplet"), weight (1) of the metric
            loss's mean beside the class loss's, and the options of the two with `class_` or `metric_` before them: class_scale,
            metric_miner, ...

    Raises:
        RecipeError: an unknown loss, an option that it does not have, or a value out of its range.
    """
    if name not in EMBEDDING_LOSSES:
        raise RecipeError(unknown_name("loss of verification", str(name), list(EMBEDDING_LOSSES)))
    known = _options_of(name, options or {})
    for option in options or {}:
        if option not in known:
            raise RecipeError(unknown_name(f"option of {name}", str(option), list(known)))
    given = {option: known[option].checked(name, option, value) for option, value in (options or {}).items()}
    return {option: kind.default for option, kind in known.items()} | given


def _options_of(name: str, given: Mapping[str, Any]) -> dict[str, _Option]:
    """What the loss takes; the parts of a joint one are among what is given."""
    own = _OPTIONS[name]
    known = dict(own)
    for option, kind in own.items() if name == "joint" else ():
        if isinstance(kind, _Choice):
            part = kind.checked(name, option, given.get(option, kind.default))
            prefix = option.removesuffix("loss")
            known |= {prefix + inner: inner_kind for inner, inner_kind in _OPTIONS[part].items()}
    return known


def compares_images(name: str) -> bool:
    """Whether the loss learns from two images of one person in a batch, so that batches are people times images.

    Raises:
        RecipeError: an unknown loss.
    """
    if name not in EMBEDDING_LOSSES:
        raise RecipeError(unknown_name("loss of verification", str(name), list(EMBEDDING_LOSSES)))
    return name not in CLASS_LOSSES
