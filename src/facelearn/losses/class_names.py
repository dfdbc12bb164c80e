"""The ways to deal with uneven classes by their names in a recipe, and the options each takes; no torch, so that recipes can check."""

from __future__ import annotations

import math
from collections.abc import Mapping

from facelearn.errors import RecipeError, unknown_name

IMBALANCES: dict[str, str] = {
    "none": "every image weighs the same",
    "class_weights": "an image weighs 1 / (training images of its class), as in the 201-class study",
    "effective_number": "an image weighs (1 - beta) / (1 - beta^n), n the training images of its class (Cui et al. 2019)",
    "balanced_sampler": "images are drawn so that every class comes equally often; the loss is left alone",
    "square_root_sampler": "images are drawn so that a class comes in proportion to the root of its size; the loss is left alone",
    "logit_adjustment": "tau * log(share of the class) is added to the logits in training only (Menon et al. 2021)",
    "focal": "an image weighs (1 - p)^gamma, p the probability of its class (Lin et al. 2017)",
    "label_smoothing": "a share of each label is spread evenly over all classes (Szegedy et al. 2016)",
}
"""What each value of a recipe's `imbalance` does."""

SAMPLERS = ("balanced_sampler", "square_root_sampler")
"""The values of `imbalance` that draw the images and leave the loss alone."""

DEFAULT_LABEL_SMOOTHING = 0.1

# option: default, whether it stays below 1, and the one imbalance that reads it (None: all of them do)
_OPTIONS: dict[str, tuple[float, bool, str | None]] = {
    "label_smoothing": (0.0, True, None),
    "margin": (0.0, False, None),
    "beta": (0.999, True, "effective_number"),
    "tau": (1.0, False, "logit_adjustment"),
    "gamma": (2.0, False, "focal"),
}


def check_imbalance(imbalance: str) -> str:
    """`imbalance` itself.

    Raises:
        RecipeError: not a key of IMBALANCES.
    """
    if imbalance not in IMBALANCES:
        raise RecipeError(unknown_name("imbalance", str(imbalance), list(IMBALANCES)))
    return imbalance


def class_loss_options(imbalance: str, options: Mapping[str, float] | None = None) -> dict[str, float]:
    """Every option of the class loss as a number: those given, and the defaults of the others.

    Args:
        imbalance: a key of IMBALANCES.
        options: label_smoothing (share of the label that is spread, 0 <= x < 1; 0, or 0.1 where `imbalance` is "label_smoothing"),
            margin (subtracted from the target's logit, in logits, >= 0; 0), beta (0 <= x < 1; 0.999), tau (>= 0; 1), gamma (>= 0; 2).

    Raises:
        RecipeError: an unknown imbalance or option, an option that this imbalance does not read, or a value out of its range.
    """
    check_imbalance(imbalance)
    found = {name: default for name, (default, _, _) in _OPTIONS.items()}
    if imbalance == "label_smoothing":
        found["label_smoothing"] = DEFAULT_LABEL_SMOOTHING
    accepted = [name for name, (_, _, owner) in _OPTIONS.items() if owner in (None, imbalance)]
    for name, value in (options or {}).items():
        if name not in _OPTIONS:
            raise RecipeError(unknown_name("option of cross_entropy", name, list(_OPTIONS)))
        _, share, owner = _OPTIONS[name]
        if name not in accepted:
            raise RecipeError(
                f"option {name!r} does nothing with imbalance = {imbalance!r}; leave it out, or type imbalance = {owner!r}"
            )
        number = not isinstance(value, bool) and isinstance(value, int | float)
        if not number or not 0 <= value < (1 if share else math.inf):
            bounds = "from 0 to below 1" if share else "of at least 0"
            raise RecipeError(f"cross_entropy: {name} must be a number {bounds}; received {value!r}")
        found[name] = float(value)
    return found
