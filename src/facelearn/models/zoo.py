"""The zoo: list every network, and build one by name. Listing needs no torch."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from facelearn.errors import FacelearnError, RecipeError, unknown_name

# Each file of builders adds its networks when imported; they import torch only when they build.
from facelearn.models.networks import deepface as _deepface  # noqa: F401
from facelearn.models.networks import facelearn_identity as _facelearn_identity  # noqa: F401
from facelearn.models.networks import facelearn_keypoints as _facelearn_keypoints  # noqa: F401
from facelearn.models.networks import facenet as _facenet  # noqa: F401
from facelearn.models.networks import imagenet as _imagenet  # noqa: F401
from facelearn.models.networks import ml_resnet as _ml_resnet  # noqa: F401
from facelearn.models.networks import randwire as _randwire  # noqa: F401
from facelearn.models.networks import ucsd as _ucsd  # noqa: F401
from facelearn.models.networks import w207 as _w207  # noqa: F401
from facelearn.models.registry import ENTRIES, Gives, Kin, ModelInfo, build_entry, register

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ModelInfo", "build", "list_models", "model_info", "models", "register", "successor"]


def list_models(task: str | None = None) -> list[ModelInfo]:
    """The facts of every network (or of those published for one task), by name."""
    infos = sorted((entry.info for entry in ENTRIES.values()), key=lambda info: info.name)
    return [info for info in infos if task is None or info.task == task]


def model_info(name: str) -> ModelInfo:
    """The facts of one network.

    Raises:
        RecipeError: no such network; the closest names are listed.
    """
    if name not in ENTRIES:
        raise RecipeError(unknown_name("network", name, list(ENTRIES)))
    return ENTRIES[name].info


def successor(name: str, takes: Collection[Gives]) -> Kin:
    """The network that can go on from weights of network `name` where outputs of the kinds `takes` are of use, and its options for that.

    The network itself where it gives one of them, or has no kin that does, or is not of this zoo; else its kin, with the same body.
    """
    info = ENTRIES[name].info if name in ENTRIES else None
    if info and info.gives not in takes:
        return next((kin for given, kin in info.kin.items() if given in takes), Kin(name))
    return Kin(name)


def build(name: str, **arguments: Any) -> nn.Module:
    """A new network: float tensors (B, C, H, W) -> (B, outputs), or (B, S, K, 2) with S annotation schemes.

    Args:
        name: one of `list_models()`.
        arguments: `in_channels`, `image_size` (height, width, or one number for a square), `outputs`, and the network's own
            options (`model_info(name).options` holds them with their defaults).

    Raises:
        RecipeError: no such network or option (the closest ones are named), a value that the network cannot take, or an
            image size that its layers cannot carry.
    """
    return build_entry(name, arguments)


def models(task: str | None = None) -> list[dict[str, Any]]:
    """Every network of the zoo (or of one task) as plain facts.

    Args:
        task: the name of a task that networks were published for, or None for all.

    Returns:
        One dictionary a network: name, task, input [channels, height, width], outputs, parameters, source, summary, options.

    Raises:
        FacelearnError: an unknown task.
    """
    tasks = sorted({info.task for info in list_models()})
    if task is not None and task not in tasks:
        raise FacelearnError(unknown_name("task", task, tasks))
    return [
        {
            "name": info.name,
            "task": info.task,
            "input": list(info.input),
            "outputs": info.outputs,
            "parameters": info.parameters,
            "source": info.source,
            "summary": info.summary,
            "options": {
                name: list(value) if isinstance(value, tuple) else value for name, value in info.options.items()
            },
        }
        for info in list_models(task)
    ]
