"""Made-up truths and predictions that several metric tests measure."""

from __future__ import annotations

import numpy as np


def random_faces(rows=60, seed=0, missing=0.4):
    """(N, 15, 2) prediction and truth in pixels, with holes in the truth, and (N,) groups."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(10, 86, (rows, 15, 2))
    prediction = truth + generator.normal(0, 4, truth.shape)
    truth[generator.random((rows, 15)) < missing] = np.nan
    truth[3] = np.nan
    return prediction, truth, generator.integers(0, 12, rows)


def random_people(rows=200, classes=8, seed=0, skill=2.0):
    """(N, C) probabilities, (N,) truth with uneven classes (the last without images), and (N,) groups."""
    generator = np.random.default_rng(seed)
    share = 0.6 ** np.arange(classes - 1)
    truth = generator.choice(classes - 1, rows, p=share / share.sum())
    truth[: 2 * (classes - 1)] = np.repeat(np.arange(classes - 1), 2)
    logits = generator.normal(0, 1, (rows, classes))
    logits[np.arange(rows), truth] += generator.normal(skill, 1, rows)
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True), truth, generator.integers(0, rows // 2, rows)
