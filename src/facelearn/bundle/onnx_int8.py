"""An exported model in eight-bit numbers: ONNX Runtime's post-training quantisation of the graph, calibrated on images.

Weights become int8 channel by channel, what flows between layers uint8 by the ranges that the calibration images reach. Weights use 7 of
the 8 bits: processors without VNNI instructions add up products in 16 bits, which overflow otherwise, and what was measured on one machine
has to hold on others. What comes before the first layer of weights, and the last one with what follows it, stay float32: the answer itself
would be rounded, a coordinate to a third of a pixel.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from facelearn.bundle.document import Bundle
from facelearn.bundle.file import write_bytes
from facelearn.bundle.onnx import INPUT_NAME, unsealed_metadata
from facelearn.bundle.seal import seal
from facelearn.errors import BundleError, MissingExtraError
from facelearn.runtime_imports import import_onnxruntime

_WEIGHTED = ("Conv", "Gemm", "MatMul")
# what stands between layers of weights and can be done on eight bits, so that they need not be unpacked in between
_BETWEEN = ("Add", "Relu", "Resize", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat")
_BATCH = 32


class Int8Calibration(TypedDict):
    """The rows that set the ranges: how many, the fingerprint of their table, and where they were read."""

    rows: int
    fingerprint: str
    source: str


class Int8Measured(TypedDict):
    """What was measured on other rows: a metric and its unit, in float32 and in int8, and the share of it that is lost."""

    rows: int
    fingerprint: str
    figure: str
    unit: str
    before: float
    after: float
    loss: float


class Int8Facts(TypedDict):
    """What `Bundle.int8` keeps of an eight-bit model; `library` quantised it and ran it."""

    library: str
    calibration: Int8Calibration
    measured: Int8Measured
    max_loss: float


def quantised_graph(exported: Path, images: NDArray[np.uint8]) -> Any:
    """The graph of an exported float32 model with its layers in eight bits, an `onnx.ModelProto` without metadata.

    Args:
        exported: file that `export_onnx` wrote.
        images: uint8 (N, H, W, C), prepared as the graph takes them; their activations set the ranges.

    Raises:
        BundleError: ONNX Runtime cannot quantise the graph, or it holds nothing to quantise.
        MissingExtraError: onnx is not installed.
    """
    import_onnxruntime()
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
        from onnxruntime.quantization.preprocess import quant_pre_process
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "train") from error

    class Images(CalibrationDataReader):  # type: ignore[misc]
        """The calibration images in batches, as ONNX Runtime asks for them."""

        def __init__(self) -> None:
            self._batches: Iterator[NDArray[np.uint8]] = iter(np.array_split(images, -(-len(images) // _BATCH)))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT_NAME: np.ascontiguousarray(batch.transpose(0, 3, 1, 2))}

    with tempfile.TemporaryDirectory() as scratch:
        folded, eight = Path(scratch) / "folded.onnx", Path(scratch) / "int8.onnx"
        try:
            quant_pre_process(
                exported, folded, skip_symbolic_shape=True
            )  # batch norms into the convolutions before them
            layers = _layers(onnx.load(folded).graph)
            if not layers:
                raise BundleError("the network has one layer of weights, which stays float32, and nothing to quantise")
            quantize_static(
                folded, eight, Images(), op_types_to_quantize=[*_WEIGHTED, *_BETWEEN], nodes_to_quantize=layers, per_channel=True,
                reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            )  # fmt: skip
            model = onnx.load(eight)
        except BundleError:
            raise
        except Exception as error:  # ONNX Runtime has many kinds of its own
            raise BundleError(
                f"ONNX Runtime cannot quantise the network ({error}); keep to float32 (facelearn convert without --int8)"
            ) from error
    del model.metadata_props[:]
    return model


def write_quantised(model: Any, bundle: Bundle, path: str | Path) -> Path:
    """Write what `quantised_graph` gave to `path` as an exported model with the facts of `bundle`, whole or not at all."""
    for name, text in unsealed_metadata(bundle).items():
        model.metadata_props.add(key=name, value=text)
    content = model.SerializeToString()
    del model.metadata_props[:]
    return write_bytes(path, seal(content))


def cost_of_int8(facts: Mapping[str, Any]) -> str:
    """What `Int8Facts` say of the model's main figure before and after, on a line."""
    measured = facts["measured"]
    unit = "" if measured.get("unit") == "share" else measured.get("unit", "")
    before, after = (f"{measured[when]:.4g} {unit}".strip() for when in ("before", "after"))
    rows = f"{measured['rows']:,} rows, calibrated on {facts['calibration']['rows']:,} others"
    return f"{measured['figure']}: {before} in float32, {after} in int8, on {rows}"


def _layers(graph: Any) -> list[str]:
    """Names of the nodes from the first layer with weights to before the last one, on every way through the graph."""
    awaited: set[str] = set()  # values that a later layer with weights is computed from
    for node in reversed(graph.node):
        if node.op_type in _WEIGHTED or awaited & set(node.output):
            awaited |= set(node.input)
    begun: set[str] = set()  # values that are computed by layers with weights
    names = []
    for node in graph.node:
        if node.op_type in _WEIGHTED or begun & set(node.input):
            begun |= set(node.output)
            if awaited & set(node.output) and node.op_type in (*_WEIGHTED, *_BETWEEN):
                names.append(node.name)
    return names
