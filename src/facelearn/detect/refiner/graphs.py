"""Trained networks as ONNX graphs whose weights are stored in half the bytes, so that both together stay small enough for the package."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn


class _FromBytes(nn.Module):
    """The network on grey values 0 to 255."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> list[Tensor] | Tensor:
        numbers: list[Tensor] | Tensor = self.network(picture.float() / 255)
        return numbers


def graph(
    network: nn.Module,
    name: str,
    example: Tensor,
    outputs: Sequence[str],
    free: Mapping[int, str],
    facts: Mapping[str, str],
) -> bytes:
    """The graph of `network` with one input `name`, uint8.

    Args:
        example: uint8 (B, 1, H, W).
        free: which dimensions of the input may have any length, and what they are called.
        facts: for the file's metadata.
    """
    import onnx
    from onnx import numpy_helper

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _FromBytes(network).eval(), (example,), buffer,  # type: ignore[arg-type]
            input_names=[name], output_names=list(outputs), opset_version=18, dynamo=False,
            dynamic_axes={name: dict(free)},
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    for tensor in [
        one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT and np.prod(one.dims) > 16
    ]:
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name + "_half")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(half)
        model.graph.node.insert(0, onnx.helper.make_node("Cast", [half.name], [tensor.name], to=onnx.TensorProto.FLOAT))
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
