"""Runs of identification with made-up faces and probabilities: nothing is read, rendered or trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from facelearn.metrics.classes import class_metrics
from facelearn.metrics.open_set import open_set_metrics
from facelearn.tasks.identification.class_results import ClassResult


def probabilities(truth: np.ndarray, classes: int, *, sure: float = 3.0, seed: int = 0) -> np.ndarray:
    """float32 (N, C) of a model that is right more often the larger `sure`."""
    logits = np.random.default_rng(seed).normal(0, 1, (len(truth), classes))
    logits[np.arange(len(truth)), truth] += sure
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return (exponentials / exponentials.sum(1, keepdims=True)).astype(np.float32)


def make_class_run(
    name: str = "identity",
    *,
    classes: int = 6,
    images: int = 4,
    strangers: int = 9,
    channels: int = 3,
    sure: float = 1.5,
    epochs: int = 4,
    people: tuple[str, ...] | None = None,
    counts: tuple[int, ...] | None = None,
    pictures: bool = True,
    threshold: float = 0.5,
    seed: int = 0,
) -> ClassResult:
    """A run of `classes` people with `images` held-out images each, measured by the library's own metrics."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(classes), images)
    known = probabilities(truth, classes, sure=sure, seed=seed)
    unknown = probabilities(random.integers(0, classes, strangers), classes, sure=0.5, seed=seed + 1)
    unknown = unknown[np.argsort(-unknown.max(1))]
    names = people or tuple(f"Person {i}" for i in range(classes))
    trained = np.asarray(counts or [3 * 2**i % 250 for i in range(classes)])
    metrics: dict[str, Any] = class_metrics(known, truth, people=names, train_counts=trained, bootstrap=20)
    if strangers:
        metrics["open_set"] = open_set_metrics(
            known.max(1), known.argmax(1) == truth, unknown.max(1), threshold=threshold, bootstrap=20
        )

    def faces(count: int) -> np.ndarray:
        return random.integers(0, 256, (count if pictures else 0, 24, 20, channels), dtype=np.uint8)

    return ClassResult(
        name=name,
        recipe={"epochs": epochs, "task": "identification", "model": {"name": name}},
        history=[
            {
                "epoch": float(i),
                "train_loss": 2 / i,
                "valid_loss": 2.5 / i,
                "learning_rate": 1e-3,
                "images_per_second": 400.0,
            }
            for i in range(1, epochs + 1)
        ],
        metrics=metrics,
        environment={"torch": "2.13.0"},
        data={"people": classes},
        split={"test": len(truth)},
        images=faces(len(truth)),
        truth=truth,
        probabilities=known,
        people=names,
        examples=faces(classes),
        source=np.asarray([f"photos/{names[i]}/{n}.jpg" for n, i in enumerate(truth)], np.str_),
        row=np.full(len(truth), -1, np.int64),
        stranger_images=faces(strangers),
        stranger_probabilities=unknown,
    )
