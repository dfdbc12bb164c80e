"""Which pixels an output depends on: integrated gradients and Grad-CAM, both through captum, and guided backpropagation.

captum's guided backpropagation changes modules of ReLU only; ours meets every ReLU, also one that is called as a function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from facelearn.errors import FacelearnError, MissingExtraError
from facelearn.explaining.layers import find_layer


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each input number contributes to one output.

    Attributes:
        values: float32 (N, C, H, W); they sum to `change`, but for the error of the integral.
        change: float32 (N,), the output for the image less the output for its baseline.
        gap: float32 (N,), sum of `values` less `change`: how exact the integral is.
    """

    values: NDArray[np.float32]
    change: NDArray[np.float32]
    gap: NDArray[np.float32]


def flat_baseline(inputs: Tensor) -> Tensor:
    """For each image (N, C, H, W) the flat picture of its own mean in each channel: the same light, nothing to see."""
    return inputs.mean((2, 3), keepdim=True).expand_as(inputs).contiguous()


def integrated_gradients(
    network: nn.Module, inputs: Tensor, weights: Tensor, *, baselines: Tensor | None = None, steps: int = 64
) -> Attribution:
    """Integrated gradients of one output (Sundararajan, Taly, Yan 2017): gradient along the way from a baseline, times the way.

    Args:
        network: in evaluation mode; float32 (B, C, H, W) -> (B, ...).
        inputs: float32 (N, C, H, W), normalised.
        weights: float32 (outputs,), the output to explain as a weighted sum (`opened.Target.weights`), or (N, outputs), one for each image.
        baselines: float32 (N, C, H, W), where the way starts; by default `flat_baseline`.
        steps: points of the Gauss-Legendre rule.

    Raises:
        MissingExtraError: captum is not installed.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise MissingExtraError("captum", "train") from error
    start = flat_baseline(inputs) if baselines is None else baselines
    own = weights.expand(len(inputs), -1)
    found = [  # one image at a time: a batch holds the steps of one way
        IntegratedGradients(_output(network, row))
        .attribute(one[None], baselines=base[None], n_steps=steps)
        .detach()
        .float()[0]
        for one, base, row in zip(inputs, start, own, strict=True)
    ]
    values = torch.stack(found) if found else torch.zeros_like(inputs)
    with torch.no_grad():
        value = _output(network, own)
        change = value(inputs) - value(start)
    gap = values.flatten(1).sum(1) - change
    return Attribution(values.numpy(), change.numpy(), gap.numpy())


def grad_cam(network: nn.Module, inputs: Tensor, weights: Tensor, layer: str) -> NDArray[np.float32]:
    """Grad-CAM of one output (Selvaraju et al. 2017): maps of a layer, each weighted by its mean gradient, summed; sign kept.

    The publication drops what is below 0, which suits the score of a class; a coordinate goes both ways, so nothing is dropped here.

    Args:
        network, inputs, weights: as `integrated_gradients`.
        layer: name of a layer that gives maps (B, C, h, w).

    Returns:
        float32 (N, h, w): above 0 raises the output. All 0 where the layer's maps act by differences between positions alone (those
        just before a soft-argmax).

    Raises:
        FacelearnError: no such layer, or one without maps.
        MissingExtraError: captum is not installed.
    """
    try:
        from captum.attr import LayerGradCam
    except ImportError as error:
        raise MissingExtraError("captum", "train") from error
    method = LayerGradCam(_output(network, weights), find_layer(network, layer))
    # captum asks for gradients of the layer through the input
    found = method.attribute(inputs.clone().requires_grad_(True), relu_attributions=False)
    if not isinstance(found, Tensor) or found.ndim != 4:
        raise FacelearnError(
            f"layer '{layer}' gives no maps (B, C, h, w); Grad-CAM needs a convolution or a block of them"
        )
    maps: NDArray[np.float32] = found.detach().float()[:, 0].numpy()
    return maps


def guided_backpropagation(network: nn.Module, inputs: Tensor, weights: Tensor) -> NDArray[np.float32]:
    """Guided backpropagation of one output (Springenberg et al. 2015): the gradient, of which every ReLU lets through only what is above 0
    both forwards and backwards.

    What is left are the pixels that raise the output through units that raise it: sharper than a gradient, and no longer one. No switches
    of max-pools are needed.

    Args:
        network, inputs, weights: as `integrated_gradients`.

    Returns:
        float32 (N, C, H, W), each pixel's value its own unit's; above 0 a brighter pixel raises the output.

    Raises:
        FacelearnError: the network has no ReLU, so that nothing would be guided.
    """
    pixels = inputs.detach().clone().requires_grad_(True)
    with _GuidedRelus() as relus:
        value = _output(network, weights)(pixels).sum()
    if not relus.met:
        raise FacelearnError("the network has no ReLU; guided backpropagation changes what those pass back")
    (found,) = torch.autograd.grad(value, pixels)
    values: NDArray[np.float32] = found.float().numpy()
    return values


class _GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        guided: Tensor = gradient.clamp(min=0) * (x > 0)
        return guided


class _GuidedRelus(TorchFunctionMode):
    """While it is on, every ReLU that is called is a guided one; `met` counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.met = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), keywords: Any = None) -> Any:
        if function in _RELUS:
            self.met += 1
            return _GuidedRelu.apply(args[0])  # type: ignore[no-untyped-call]
        return function(*args, **(keywords or {}))


_RELUS = (nn.functional.relu, torch.relu, Tensor.relu)


def _output(network: nn.Module, weights: Tensor) -> Callable[[Tensor], Tensor]:
    def value(x: Tensor) -> Tensor:
        given: Tensor = network(x)
        return (given.flatten(1).float() * weights).sum(1)

    return value
