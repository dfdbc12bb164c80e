"""Made-up distances of pairs of faces."""

from __future__ import annotations

import numpy as np


def random_pairs(count=400, people=30, *, seed=0, skill=1.5, digits=2):
    """(P,) distances rounded so that they tie, bool (P,) same, (P, 2) people; pairs that share a person are alike."""
    generator = np.random.default_rng(seed)
    first = generator.integers(0, people, count)
    same = generator.random(count) < 0.4
    second = np.where(same, first, (first + generator.integers(1, people, count)) % people)
    own = generator.normal(0, 0.5, people)
    distance = 3 + generator.normal(0, 1, count) + own[first] + own[second] + np.where(same, 0.0, skill)
    return distance.round(digits), same, np.stack([first, second], 1)
