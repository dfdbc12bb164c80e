"""The learning rate and the averaging of weights as functions of the step, so that a resumed run needs no state for them."""

from __future__ import annotations

import math

from facelearn.recipe.recipe import OptimiserSettings, ScheduleSettings


def learning_rate(settings: ScheduleSettings, highest: float, step: int, steps: int) -> float:
    """The learning rate of 0-based `step` of `steps`.

    Args:
        settings: the schedule.
        highest: the recipe's learning rate.
        step: 0-based optimiser step.
        steps: optimiser steps of the whole run.

    Returns:
        A positive rate: `highest` throughout (constant), from it to `final` of it along a straight line (linear) or half a cosine
        (cosine), or first up from `start` of it over `warm_up` of the steps (one_cycle; Smith, "A disciplined approach to neural
        network hyper-parameters", 2018).
    """
    if settings.name == "constant" or steps <= 1:
        return highest
    if settings.name == "linear":
        return highest * (1 + (settings.final - 1) * min(1.0, step / (steps - 1)))
    rise = settings.warm_up * steps if settings.name == "one_cycle" else 0.0
    if step < rise:
        return highest * _cosine(settings.start, 1.0, step / rise)
    return highest * _cosine(1.0, settings.final, (step - rise) / max(1.0, steps - 1 - rise))


def momentum(settings: OptimiserSettings, step: int, steps: int) -> float:
    """The momentum at 0-based `step` of `steps`: `momentum`, or on a straight line from it to `final_momentum`."""
    if settings.final_momentum is None or steps <= 1:
        return settings.momentum
    return settings.momentum + (settings.final_momentum - settings.momentum) * min(1.0, step / (steps - 1))


def averaging_decay(decay: float, step: int) -> float:
    """Decay of the weights' moving average at 0-based `step`: shorter memory at first, so that the start is forgotten."""
    return min(decay, (1 + step) / (10 + step))


def _cosine(first: float, last: float, fraction: float) -> float:
    fraction = min(1.0, max(0.0, fraction))
    return last + (first - last) * (1 + math.cos(math.pi * fraction)) / 2
