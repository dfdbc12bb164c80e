"""Kernels of trained networks on the results page: what is stored of them, their pictures and their table.

`python docs/kernels.py LABEL "NAME=MODEL" ...` takes the convolutions of model files, as `facelearn explain --all-kernels` shows them,
into docs/results/LABEL-kernels.npz, below the study LABEL of the page; then `python docs/results.py` draws them. Weights are kept in 255
steps a layer: a picture needs no more.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from facelearn.explaining.kernels import Kernels
    from facelearn.report.style import Figure

STORED = Path(__file__).resolve().parent / "results"
_STEPS = 127


@dataclass(frozen=True)
class Sheet:
    """The kernels of one network: its name on the page, its picture's file name, and its layers."""

    name: str
    picture: str
    layers: tuple[Kernels, ...]
    fingerprint: str

    def figure(self) -> Figure:
        from facelearn.explaining.map_plots import kernel_sheet

        return kernel_sheet(self.layers, title=f"Weights of all convolutions: {self.name}")


def store(label: str, models: Mapping[str, Path]) -> Path:
    """Keep what is shown of the convolutions of each model file; returns the file."""
    from facelearn.explaining.kernels import all_kernels
    from facelearn.explaining.opened import open_model
    from facelearn.models.layers.profile import profile

    arrays: dict[str, Any] = {}
    facts: list[dict[str, object]] = []
    for name, path in models.items():
        opened = open_model(path)
        table = profile(opened.network, opened.input_shape)
        for found in all_kernels(opened.network, table, opened.input_shape):
            step = found.largest / _STEPS or 1.0
            arrays[f"tiles{len(facts)}"] = np.rint(found.tiles / step).astype(np.int8)
            facts.append({
                "name": name, "layer": found.layer, "columns": found.columns, "shape": found.shape, "meaning": found.meaning, "step": step,
                "one_tile_a_map": found.one_tile_a_map,
                "autocorrelation": found.autocorrelation, "similarity": found.similarity,
            })  # fmt: skip
    file = STORED / f"{label}-kernels.npz"
    np.savez_compressed(file, facts=np.array(json.dumps(facts)), **arrays)
    return file


def sheets(label: str) -> list[Sheet]:
    """The stored kernels below a study of the page, network by network; none where none are stored."""
    from facelearn.explaining.kernels import Kernels

    file = STORED / f"{label}-kernels.npz"
    if not file.exists():
        return []
    layers: dict[str, list[Kernels]] = {}
    with np.load(file, allow_pickle=False) as stored:
        for number, one in enumerate(json.loads(str(stored["facts"]))):
            tiles = stored[f"tiles{number}"].astype(np.float32) * np.float32(one["step"])
            layers.setdefault(one["name"], []).append(Kernels(
                one["layer"], tiles, one["columns"], tuple(one["shape"]), one["meaning"], one["one_tile_a_map"], one["autocorrelation"],
                one["similarity"],
            ))  # fmt: skip
    mark = hashlib.sha256(file.read_bytes()).hexdigest()
    return [
        Sheet(name, f"{label}-kernels-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.png", tuple(found), mark)
        for name, found in layers.items()
    ]


def section(label: str, remark: str) -> str:
    """The stored kernels of a study as Markdown, a table and a picture for each network; empty where none are stored."""
    from facelearn.report.tables import markdown_table

    parts = []
    heading = ["layer", "weights", "autocorrelation", "similarity", "similarity of noise"]
    for sheet in sheets(label):
        rows = []
        for one in sheet.layers:
            numbers = (one.autocorrelation, one.similarity, _noise(one.shape))
            rows.append([f"`{one.layer}`", " x ".join(map(str, one.shape)), *map(_two, numbers)])
        picture = f"![Weights of all convolutions: {sheet.name}](images/results/{sheet.picture})"
        parts += [f"{sheet.name}:", "", markdown_table(heading, rows), "", picture, ""]
    if not parts:
        return ""
    introduction = (
        "**Kernels.** As `facelearn explain MODEL --all-kernels` draws them, from the models that `--keep-models` keeps. The "
        "autocorrelation is of weights that lie side by side (1: even, 0: noise); the similarity is the mean absolute cosine "
        "of two kernels of a layer, beside that of noise with as many numbers."
    )
    return "\n".join([introduction, "", *parts, *([remark.strip(), ""] if remark else [])])


def _noise(shape: tuple[int, ...]) -> float:
    """The mean absolute cosine of two vectors of independent noise with as many numbers as a kernel."""
    return math.sqrt(2 / (math.pi * math.prod(shape[1:])))


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    given = dict(one.split("=", 1) for one in sys.argv[2:])
    print("took", store(sys.argv[1], {name: Path(path) for name, path in given.items()}))
