"""Runs of verification with made-up faces and embeddings: nothing is read, rendered or trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from facelearn.data.row_pairs import pairs_of
from facelearn.metrics.pairs import pair_metrics
from facelearn.tasks.verification.pair_results import PairResult, hardest_pairs


def make_pair_run(
    name: str = "embedding",
    *,
    people: int = 12,
    images: int = 6,
    channels: int = 3,
    spread: float = 0.5,
    epochs: int = 4,
    names: tuple[str, ...] | None = None,
    pictures: bool = True,
    groups: bool = False,
    seed: int = 0,
) -> PairResult:
    """A run of `people` with `images` held-out images each, measured by the library's own metrics over all their pairs."""
    random = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people), images)
    vectors = random.normal(0, 1, (people, 8))[identity] + random.normal(0, spread, (len(identity), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = pairs_of(identity)
    distance = ((vectors[pairs.first] - vectors[pairs.second]) ** 2).sum(1)
    who = np.stack([identity[pairs.first], identity[pairs.second]], 1)
    of_group = np.where(who[:, 0] % 2 == 0, "even", "odd") if groups else None
    metrics: dict[str, Any] = dict(pair_metrics(distance, pairs.same, people=who, groups=of_group, resamples=20))
    hard, apart = hardest_pairs(pairs.first, pairs.second, distance, pairs.same, metrics["threshold"], person=identity)
    called = names or tuple(f"Person {i}" for i in range(people))
    return PairResult(
        name=name,
        recipe={"epochs": epochs, "task": "verification", "model": {"name": name}},
        history=[
            {"epoch": float(i), "train_loss": 2 / i, "valid_loss": 2.5 / i, "learning_rate": 1e-3, "images_per_second": 400.0}
            for i in range(1, epochs + 1)
        ],
        metrics=metrics,
        environment={"torch": "2.13.0"},
        data={"people": people},
        split={"test": len(identity)},
        images=random.integers(0, 256, (len(identity) if pictures else 0, 24, 20, channels), dtype=np.uint8),
        vectors=vectors.astype(np.float32),
        identity=identity,
        people=called,
        source=np.asarray([f"photos/{called[i]}/{n}.jpg" for n, i in enumerate(identity)], np.str_),
        row=np.full(len(identity), -1, np.int64),
        hard_pairs=hard,
        hard_distance=apart,
    )  # fmt: skip
