"""A network as stages from the input to the last layer, and holding some of them still while the others train."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from facelearn.errors import RecipeError
from facelearn.recipe.starting_weights import TransferSettings

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)
Stage = tuple[str, list[nn.Module]]
"""Name of the first of its modules within the network, and the modules."""


def stages(model: nn.Module) -> list[Stage]:
    """The parts of `model` that hold numbers, in the order in which it lists them; the last one is its head.

    A stage is a direct child of the network. Lists (`nn.ModuleList`), a network that is one `nn.Sequential`, and an `nn.Sequential` of
    plain layers count child by child, and a norm belongs to the layer before it. So `resnet18` has conv1 (with bn1), layer1 to layer4
    and fc; `vgg16` has its thirteen convolutions and three fully connected layers.
    """
    found: list[Stage] = []
    led_by_norm = False  # a norm with no layer before it belongs to the layer after it
    for name, module, follows in _parts(model, "") if any(model.children()) else [("", model, False)]:
        if found and (follows or led_by_norm):
            found[-1][1].append(module)
        else:
            found.append((name, [module]))
        led_by_norm = not follows and _belongs_to_a_layer(module)
    return found


def _parts(container: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module, bool]]:
    """(name, module, whether it belongs to the layer before it in the same container) of all that holds numbers."""
    follows = False
    for name, child in container.named_children():
        path = prefix + name
        if not _holds_numbers(child):
            continue
        if _is_opened(child):
            yield from _parts(child, f"{path}.")
        else:
            yield path, child, follows and _belongs_to_a_layer(child)
        follows = True


def _belongs_to_a_layer(module: nn.Module) -> bool:
    return isinstance(module, _NORMS) or not any(True for _ in module.parameters())


def _is_opened(module: nn.Module) -> bool:
    plain = all(not any(child.children()) for child in module.children() if _holds_numbers(child))
    return isinstance(module, nn.ModuleList) or (isinstance(module, nn.Sequential) and plain)


def _holds_numbers(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of the last stage: the layer that gives classes, embeddings or heat maps."""
    found = stages(model)
    return [parameter for module in found[-1][1] for parameter in module.parameters()] if found else []


def head_names(model: nn.Module) -> set[str]:
    """Names of all tensors of the last stage, as the state dict has them."""
    found = stages(model)
    own = {id(module) for part in found[-1:] for top in part[1] for module in top.modules()}
    inside = [name for name, module in model.named_modules() if id(module) in own]
    return {name for name in model.state_dict() if any(name.rpartition(".")[0] == place for place in inside)}


def freeze(model: nn.Module, settings: TransferSettings) -> tuple[str, ...]:
    """Set which parameters of `model` train, as `settings.freeze` says; returns the names of the stages that do not.

    "none" trains all; "body" only the last stage; a number holds that many of the first stages still.

    Raises:
        RecipeError: so many stages that nothing is left to train, or a network of a single stage.
    """
    what, found = settings.freeze, stages(model)
    held = {"none": 0, "body": len(found) - 1}[what] if isinstance(what, str) else what
    if held >= len(found) or (what == "body" and not held):
        raise RecipeError(
            f"freeze = {what!r} leaves nothing to train: the network has {len(found)} stages "
            f"({', '.join(name for name, _ in found)}); freeze at most the first {len(found) - 1}"
        )
    for parameter in model.parameters():
        parameter.requires_grad_(what != "body")
    for number, (_, modules) in enumerate(found):
        for parameter in (parameter for module in modules for parameter in module.parameters()):
            parameter.requires_grad_(number >= held)
    return tuple(name for name, _ in found[:held])


def keep_frozen_still(model: nn.Module) -> None:
    """Put all of `model` whose parameters are frozen into evaluation mode: batch norms keep their statistics, dropout passes.

    To be called after each `model.train()`; a network without frozen parameters stays as it is.
    """
    if all(parameter.requires_grad for parameter in model.parameters()):
        return
    groups = [modules for _, modules in stages(model)] + [[module] for module in model.modules()]
    for modules in groups:
        parameters = [parameter for module in modules for parameter in module.parameters()]
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            for module in modules:
                module.eval()
