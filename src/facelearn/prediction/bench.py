"""The verb `bench`: how fast each installed runtime and precision runs a model on this machine; the fastest that agrees is kept and used.

All contenders are opened first and each is checked against torch in float32 on random images. Then they take turns, one round after the
other, so that what else the machine does meets all of them: in each round single images for half of a contender's time, batches for the
other half. Latency is a quantile over all rounds, throughput and its ratio to the first contender are medians of the rounds'.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn import bundle as bundles
from facelearn.bundle import Bundle
from facelearn.bundle.file import write_bytes
from facelearn.bundle.onnx_int8 import cost_of_int8
from facelearn.cores import processor_name, usable_threads
from facelearn.errors import BundleError, MissingExtraError, RecipeError
from facelearn.prediction.backends import Backend, BackendName, Precision, open_backend
from facelearn.prediction.runtimes import (
    PACKAGES,
    drop_old_graphs,
    graph_file,
    installed,
    keep_order,
    library_versions,
)
from facelearn.report.tables import text_table

TOLERANCE = 1e-3
"""How far a runtime may be off torch: pixels of the prepared image, or a share of the largest output where that is above 1."""
_CHECKED_IMAGES = 64
_PRECISIONS: dict[str, tuple[Precision, ...]] = {"torch": ("32", "bf16"), "onnx": ("32",), "openvino": ("32", "bf16")}
INT8 = "int8"
"""What stands for the precision of a model in eight-bit numbers."""

Run = Callable[[NDArray[np.uint8]], Any]


@dataclass(frozen=True)
class Timing:
    """How long one contender takes.

    Attributes:
        latency: seconds of single images, one number a call.
        throughput: images a second in batches, one number a round.
    """

    latency: tuple[float, ...]
    throughput: tuple[float, ...]


@dataclass(frozen=True)
class BenchRow:
    """One runtime and precision.

    Attributes:
        backend, precision, device: as `facelearn.open` takes them; the precision of an int8 model is "int8".
        p50_ms, p99_ms: of a single image, in milliseconds.
        images_per_second: in batches.
        ratio: of that to the first row's, the median of each round's.
        difference: largest one to the first row's outputs on random images; pixels for keypoints.
        agrees: whether that is within `TOLERANCE`.
    """

    backend: str
    precision: str
    device: str
    p50_ms: float
    p99_ms: float
    images_per_second: float
    ratio: float
    difference: float
    agrees: bool


@dataclass(frozen=True)
class BenchResult:
    """What `bench` found.

    Attributes:
        rows: the first one is what the others are compared with: torch in float32, or for an exported model ONNX Runtime.
        fastest: the backend with the highest throughput of those that agree in float32; what `facelearn.open` takes from now on.
        kept: the file that says so, None where nothing was to be kept.
        left_out: backend -> why it was not measured.
        facts: network, input, batch, processor, threads and versions.
    """

    rows: tuple[BenchRow, ...]
    fastest: str
    kept: Path | None
    left_out: Mapping[str, str]
    facts: Mapping[str, Any]

    def to_json(self) -> Mapping[str, Any]:
        """All of it as plain values."""
        return {**asdict(self), "kept": None if self.kept is None else str(self.kept)}

    def lines(self) -> list[str]:
        """A table, what was left out and why, and what is used from now on."""
        first, unit = self.rows[0], self.facts["unit"]
        speed, off = f"images/s at {self.facts['batch']}", f"off by {unit}".strip()
        heading = ["runtime", "precision", "device", "p50 ms", "p99 ms", speed, "ratio", off]
        cells = [
            [row.backend, row.precision, row.device, f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.images_per_second:.0f}",
             f"{row.ratio:.2f}", f"{row.difference:.1e}"]
            for row in self.rows
        ]  # fmt: skip
        size = "x".join(map(str, self.facts["input"]))
        numbers = INT8 if first.precision == INT8 else "float32"
        use = f"{self.fastest} is the fastest in {numbers} that agrees with {first.backend}"
        return [
            f"{self.facts['network']}, images of {size}; {self.facts['processor']}, threads: {self.facts['threads']}",
            text_table(heading, cells),
            *(f"int8 on faces, not random images: {cost}" for cost in [self.facts["int8"]] if cost),
            *(f"{name}: {why}" for name, why in self.left_out.items()),
            f"{use}; predict and facelearn.open take it from now on" if self.kept else use,
        ]


def bench(
    model: str | Path,
    *,
    int8: str | Path | None = None,
    batch: int = 64,
    seconds: float = 5.0,
    rounds: int = 5,
    device: str = "auto",
    keep: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> BenchResult:
    """Measure a model in each runtime and precision that is installed here, and keep which is fastest for `facelearn.open` and `predict`.

    What is kept is for models of this network, its arguments and its images, on this processor, with these versions of the libraries. It
    is the backend with the highest throughput in float32 whose outputs on random images are within 1e-3 pixels of torch's; bfloat16 is
    measured, and never taken without being asked for. A `.safetensors` model's graph is kept beside it, for the other runtimes to run.

    Args:
        model: `.safetensors` (exported to a temporary graph for the other runtimes) or `.onnx` (which torch does not run).
        int8: the same model as `facelearn convert --int8` wrote it, to be measured beside.
        batch: images of a batch.
        seconds: for each contender, over all rounds.
        rounds: turns that each contender takes.
        device: auto, cpu or cuda.
        keep: False measures only.
        clock: seconds, ever growing.

    Raises:
        BundleError: the model cannot be used.
        RecipeError: numbers out of their range, or an unknown device.
    """
    if batch < 1 or rounds < 1 or not seconds > 0:
        raise RecipeError(
            f"batch and rounds must be at least 1 and seconds above 0; received {batch}, {rounds}, {seconds}"
        )
    with tempfile.TemporaryDirectory() as scratch:
        graph, left_out = _graph_of(Path(model), Path(scratch))
        opened = _opened(Path(model), graph, device, left_out)
        bundle = next(iter(opened.values())).bundle
        if int8 is not None:
            opened |= _opened_int8(Path(int8), bundle, device, left_out)
        one, many, checked = (_images(bundle, count) for count in (1, batch, _CHECKED_IMAGES))
        expected = next(iter(opened.values()))(checked)
        if not np.isfinite(expected).all():
            raise BundleError(
                f"{model} gives NaN or infinity, which cannot be compared; make it again with facelearn train"
            )
        off = {key: float(np.abs(run(checked) - expected).max(initial=0)) for key, run in opened.items()}
        timings = interleaved(opened, one, many, seconds, rounds, clock)
        rows = tuple(_row(key, opened[key], timings, off[key], expected, bundle) for key in opened)
        order = _order(rows)
        facts = {
            "network": bundle.network, "input": list(checked.shape[1:]), "batch": batch, "seconds": seconds, "rounds": rounds,
            "unit": "px" if bundle.schema else "", "processor": processor_name(), "threads": usable_threads(),
            "versions": library_versions(),
            "int8": next((cost_of_int8(one.bundle.int8) for one in opened.values() if one.bundle.int8), ""),
        }  # fmt: skip
        kept = None
        if keep:
            if graph is not None and graph != Path(model) and order[0] != "torch":
                write_bytes(graph_file(model), graph.read_bytes())
                drop_old_graphs()
            kept = keep_order(bundle, device, order, {**facts, "rows": [asdict(row) for row in rows]})
    return BenchResult(rows, order[0], kept, left_out, facts)


def interleaved(
    contenders: Mapping[Any, Run],
    one: NDArray[np.uint8],
    many: NDArray[np.uint8],
    seconds: float,
    rounds: int,
    clock: Callable[[], float],
) -> dict[Any, Timing]:
    """The contenders timed in turns; each is called at least once a round with `one` image and once with `many`.

    Args:
        contenders: what is called with images uint8 (B, H, W, C), by any key.
        one, many: such images.
        seconds: for each contender, over all rounds.
        rounds: turns.
        clock: seconds, ever growing.
    """
    latency: dict[Any, list[float]] = {key: [] for key in contenders}
    throughput: dict[Any, list[float]] = {key: [] for key in contenders}
    for _ in range(rounds):
        for key, run in contenders.items():
            run(one)  # warm: memory for this shape, and threads that woke up
            latency[key] += _timed(run, one, seconds / (2 * rounds), clock)
            run(many)
            calls = _timed(run, many, seconds / (2 * rounds), clock)
            throughput[key].append(len(many) * len(calls) / sum(calls))
    return {key: Timing(tuple(latency[key]), tuple(throughput[key])) for key in contenders}


def _timed(run: Run, images: NDArray[np.uint8], seconds: float, clock: Callable[[], float]) -> list[float]:
    """Seconds of each call, for as long as that."""
    calls: list[float] = []
    while not calls or sum(calls) < seconds:
        begin = clock()
        run(images)
        calls.append(clock() - begin)
    return calls


def _graph_of(model: Path, scratch: Path) -> tuple[Path | None, dict[str, str]]:
    """The model as a graph, and which backends cannot be measured for want of something."""
    left_out = {
        name: f"not installed (pip install {package})" for name, package in PACKAGES.items() if not installed(name)
    }
    if model.suffix == ".onnx":
        return model, {**left_out, "torch": "an exported model; give the .safetensors file to measure torch too"}
    try:
        return bundles.export_onnx(bundles.load(model), scratch / "model.onnx"), left_out
    except (BundleError, MissingExtraError) as error:
        reason = f"the model could not be exported ({error})"
        return None, {**left_out, "onnx": reason, "openvino": reason}


def _opened(
    model: Path, graph: Path | None, device: str, left_out: dict[str, str]
) -> dict[tuple[BackendName, str], Backend]:
    """All that can run it; the first one is what the others are compared with."""
    opened: dict[tuple[BackendName, str], Backend] = {}
    names: Sequence[BackendName] = [name for name in ("torch", "onnx", "openvino") if name not in left_out]
    for name in names:
        for precision in _PRECISIONS[name]:
            try:
                path = model if name == "torch" else graph or model
                backend = open_backend(path, backend=name, device=device, precision=precision)
                opened.setdefault((name, INT8 if backend.bundle.int8 else precision), backend)
            except (RecipeError, MissingExtraError) as error:  # no such device for this one
                left_out[name] = str(error)
    if not opened:
        raise BundleError(f"nothing that is installed here runs {model}: {'; '.join(left_out.values())}")
    return opened


def _opened_int8(
    int8: Path, bundle: Bundle, device: str, left_out: Mapping[str, str]
) -> dict[tuple[BackendName, str], Backend]:
    """The runtimes of exported models with the int8 file of the same model.

    Raises:
        BundleError: it is no int8 model, or another one.
    """
    eight = bundles.load_onnx(int8).bundle
    same = (eight.network, eight.network_args, eight.created) == (bundle.network, bundle.network_args, bundle.created)
    if not eight.int8 or not same:
        what = "of another model" if eight.int8 else "a float32 model"
        raise BundleError(
            f"{int8} is {what}; make the one to measure with: facelearn convert model.safetensors model.onnx --int8 DATA"
        )
    names: Sequence[BackendName] = [name for name in ("onnx", "openvino") if name not in left_out]
    return {(name, INT8): open_backend(int8, backend=name, device=device) for name in names}


def _images(bundle: Bundle, count: int) -> NDArray[np.uint8]:
    """Random prepared images, the same every time."""
    shape = (count, *bundle.preprocess.output_shape(*bundle.image_shape))
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _row(
    key: tuple[BackendName, str], backend: Backend, timings: Mapping[Any, Timing], off: float,
    expected: NDArray[np.float32], bundle: Bundle,
) -> BenchRow:  # fmt: skip
    first, own = next(iter(timings.values())), timings[key]
    scale = 1.0 if bundle.schema else max(1.0, float(np.abs(expected).max(initial=0)))
    return BenchRow(
        backend=key[0], precision=key[1], device=backend.device,
        p50_ms=1000 * float(np.quantile(own.latency, 0.5)), p99_ms=1000 * float(np.quantile(own.latency, 0.99)),
        images_per_second=float(np.median(own.throughput)),
        ratio=float(np.median(np.divide(own.throughput, first.throughput))), difference=off, agrees=off <= TOLERANCE * scale,
    )  # fmt: skip


def _order(rows: Sequence[BenchRow]) -> list[str]:
    """Backends that agree in float32, by throughput."""
    agreeing = [row for row in rows if row.agrees and row.precision == rows[0].precision]
    return [row.backend for row in sorted(agreeing, key=lambda row: -row.ratio)]
