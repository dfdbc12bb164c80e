"""Runs with made-up faces, labels and predictions: nothing is read, rendered or trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from facelearn.data.schema import FKD15, KeypointSchema
from facelearn.metrics.keypoints import keypoint_metrics
from facelearn.tasks.identification.class_results import ClassResult
from facelearn.tasks.keypoints.point_results import PointResult
from support.class_runs import make_class_run

MakeRun = Callable[..., PointResult]
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """The tags of a document, checked for balance, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def has(self, words: str) -> bool:
        return words in " ".join("".join(self.text).split())


def self_contained(text: str) -> Page:
    """The parsed page, having made sure that it is one, asks for nothing and runs nothing."""
    assert text.startswith("<!DOCTYPE html>")
    page = Page(text)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base"}
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "xlink:href"):
                assert value is not None
                assert value.startswith(("data:image/", "#"))
    assert "@import" not in text
    assert all(match.startswith("#") for match in re.findall(r"url\(\s*['\"]?([^)'\"]*)", text))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    used = set(re.findall(r"(?:url\(|href=\")#([\w.-]+)", text))
    assert used <= set(ids)
    return page


@pytest.fixture(name="self_contained")
def _self_contained() -> Callable[[str], Page]:
    return self_contained


def history(epochs: int, *, scale: float = 1.0) -> list[dict[str, Any]]:
    return [
        {
            "epoch": float(epoch),
            "train_loss": scale * 0.1 / epoch,
            "valid_loss": scale * (0.1 / epoch + 0.0005 * epoch),
            "valid_rmse_error": 10 / epoch,
            "valid_median_error": 7 / epoch,
            "learning_rate": 1e-3,
            "images_per_second": 400.0 + epoch,
            "seconds": 5.0 * epoch,
        }
        for epoch in range(1, epochs + 1)
    ]


def make_run(
    name: str = "masked",
    *,
    faces: int = 30,
    schema: KeypointSchema = FKD15,
    channels: int = 1,
    size: tuple[int, int] = (48, 48),
    missing: float = 0.4,
    sigma: float = 1.5,
    epochs: int = 6,
    recipe: Mapping[str, Any] | None = None,
    bootstrap: int = 20,
    seed: int = 0,
) -> PointResult:
    """A run over random pictures, with a share of its labels missing."""
    random = np.random.default_rng(seed)
    height, width = size
    shape = (faces, len(schema), 2)
    truth = random.uniform(5, min(size) - 5, shape).astype(np.float32)
    prediction = (truth + random.normal(0, sigma, shape)).astype(np.float32)
    truth[random.random(shape[:2]) < missing] = np.nan
    metrics = keypoint_metrics(prediction, truth, schema=schema, width=width, height=height, bootstrap=bootstrap)
    return PointResult(
        name=name,
        recipe={"epochs": epochs, "model": {"name": name}} if recipe is None else recipe,
        history=history(epochs, scale=sigma),
        metrics=metrics,
        environment={"torch": "2.13.0", "cores": 2},
        images=random.integers(0, 256, (faces, height, width, channels), dtype=np.uint8),
        truth=truth,
        prediction=prediction,
        schema=schema,
        source=np.asarray([f"folder/face{i}.png" for i in range(faces)], np.str_),
        row=np.arange(1, faces + 1),
        data={"counts": {"train_faces": 100}},
        split={"by": "person", "leaks": 0},
    )


@pytest.fixture(name="make_run")
def _make_run() -> MakeRun:
    return make_run


@pytest.fixture(name="make_class_run")
def _make_class_run() -> Callable[..., ClassResult]:
    return make_class_run
