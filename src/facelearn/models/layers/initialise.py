"""Starting weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from facelearn.errors import RecipeError, unknown_name
from facelearn.models.layers.locally_connected import LocallyConnected2d

INITIALISATIONS = ("default", "normal", "xavier", "kaiming", "orthogonal")
OPT_OUT = "own_initialisation"
_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)


@torch.no_grad()
def initialise(
    model: nn.Module, scheme: str = "default", *, std: float | None = None, generator: torch.Generator | None = None
) -> nn.Module:
    """Draw new weights for every convolution, locally and fully connected layer of `model`, in place; returns `model`.

    - "default": as the network was built (PyTorch's own, or what its builder chose); nothing is drawn.
    - "normal": N(0, std), std 0.02 unless given (Xu et al. 2017).
    - "xavier": N(0, 2 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    - "kaiming": N(0, 2 / fan_in), for ReLU (He et al. 2015).
    - "orthogonal": the rows of each weight matrix, or its columns where there are fewer, are orthonormal (Saxe et al. 2014); those of a
      locally connected layer are N(0, 1 / fan_in).

    The fans of a locally connected layer are those of one position's kernel.

    Except under "default", biases become 0 and the scale and shift of normalisation layers 1 and 0. A module whose attribute
    `own_initialisation` is true, and all that is in it, keeps what its builder chose; so do parameters of any other kind of
    layer. The numbers depend only on the generator (torch's global one unless given) and the order of the layers.

    Raises:
        RecipeError: an unknown scheme, a std that is not a number above 0, or a std beside a scheme that has none.
    """
    if scheme not in INITIALISATIONS:
        raise RecipeError(unknown_name("initialisation", scheme, INITIALISATIONS))
    if std is not None and scheme != "normal":
        raise RecipeError(f"std belongs to initialisation 'normal'; '{scheme}' has none")
    if std is not None and not 0 < std < math.inf:
        raise RecipeError(f"std must be a number above 0, e.g. 0.02; received {std!r}")
    if scheme != "default":
        _draw(model, scheme, 0.02 if std is None else std, generator)
    return model


def _draw(module: nn.Module, scheme: str, std: float, generator: torch.Generator | None) -> None:
    if getattr(module, OPT_OUT, False):
        return
    if isinstance(module, _WEIGHTED):
        if scheme == "normal":
            nn.init.normal_(module.weight, std=std, generator=generator)
        elif scheme == "xavier":
            nn.init.xavier_normal_(module.weight, generator=generator)
        elif scheme == "kaiming":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        else:
            nn.init.orthogonal_(module.weight, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, LocallyConnected2d):
        fan_in, fan_out = module.fans
        variances = {"xavier": 2 / (fan_in + fan_out), "kaiming": 2 / fan_in, "orthogonal": 1 / fan_in}
        deviation = std if scheme == "normal" else math.sqrt(variances[scheme])
        nn.init.normal_(module.weight, std=deviation, generator=generator)
        nn.init.zeros_(module.bias)
    elif isinstance(module, _NORMS):
        if module.weight is not None:
            nn.init.ones_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    for child in module.children():
        _draw(child, scheme, std, generator)
