"""Start a network from weights that were trained before: what fits is taken, and what was not taken is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from facelearn.errors import RecipeError
from facelearn.models import zoo
from facelearn.models.layers.convolutional import first_convolution
from facelearn.recipe.starting_weights import TransferSettings
from facelearn.training.transfer.stages import freeze, head_names, stages
from facelearn.training.transfer.weights import COUNTERS, Weights, shapes_of

__all__ = ["TransferReport", "freeze", "load_matching", "transfer"]

_NAMED = 3
RGB = 3


@dataclass(frozen=True)
class TransferReport:
    """Which tensors of a network came from a file. Counters of batch norms are counted, but not named.

    Attributes:
        source, sha256: the file.
        network: the network the file belongs to, by the zoo's name; None where it is not known.
        matched: names of the tensors taken as they are.
        adapted: name, shape here and shape in the file of a first convolution taken between grey and RGB.
        reshaped: the same of tensors not taken, because their shape is another one; the last layer normally.
        missing: names of the network's tensors that the file does not have.
        unexpected: names of the file's tensors that the network does not have.
        tensors, numbers: how many the network has.
        numbers_taken: how many of those numbers came from the file.
        frozen: names of the stages that are not trained.
    """

    source: str
    sha256: str
    network: str | None
    matched: tuple[str, ...]
    adapted: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    tensors: int
    numbers: int
    numbers_taken: int
    frozen: tuple[str, ...] = ()

    @property
    def taken(self) -> int:
        """Tensors that came from the file."""
        return len(self.matched) + len(self.adapted)

    def text(self) -> str:
        """A few clauses for people."""
        kind = f" ({self.network})" if self.network else ""
        parts = [
            f"{self.taken} of {self.tensors} tensors ({_count(self.numbers_taken)} of {_count(self.numbers)} numbers) taken from "
            f"{self.source}{kind}"
        ]
        for name, here, there in self.adapted:
            how = (
                "summed over the channels, for grey images"
                if there[1] > here[1]
                else "spread over the channels, for RGB images"
            )
            parts.append(f"first convolution {name} {how}")
        if self.reshaped:
            parts.append(
                "not taken: "
                + _listed([f"{name} {here} here and {there} there" for name, here, there in self.reshaped])
            )
        for heading, names in (("not in the file", self.missing), ("only in the file", self.unexpected)):
            if named := [name for name in names if not name.endswith(COUNTERS)]:
                parts.append(f"{heading}: {_listed(named)}")
        if 2 * self.numbers_taken < self.numbers:
            parts.append("most of the network starts anew")
        if self.frozen:
            parts.append(f"not trained: {_listed(self.frozen)}")
        return "; ".join(parts)

    def facts(self) -> dict[str, Any]:
        """The same as JSON values, for the model file."""
        facts = dataclasses.asdict(self)
        for name in ("matched", "missing", "unexpected"):
            facts[name] = len(facts[name])
        facts["adapted"], facts["reshaped"] = (
            [name for name, _, _ in items] for items in (self.adapted, self.reshaped)
        )
        return facts | {"taken": self.taken, "frozen": list(self.frozen)}


def transfer(model: nn.Module, settings: TransferSettings, weights: Weights | None) -> TransferReport | None:
    """Load what fits of `weights` (what `open_weights(settings.source)` gave) into `model` and freeze what is to stay.

    Of a body that came in part (a network for another task or size of images) the first stages that came whole are frozen, and what
    is above them trains. None, and nothing is changed, where there is no source. To be called after the first weights are drawn and
    before `loop.fit`.

    Raises:
        RecipeError: nothing fits, nothing is left to train, weights that did not come from the file would not be trained, or settings
            that need a source without one.
    """
    if weights is None:
        asked = [name for name, value in settings.model_dump(exclude_defaults=True).items() if name != "source"]
        if asked:
            raise RecipeError(
                f"transfer.{asked[0]} is about weights trained before, and there are none; give transfer.source too (--from MODEL)"
            )
        return None
    report = load_matching(model, weights)
    come = {*report.matched, *(name for name, _, _ in report.adapted)}
    if settings.freeze == "body" and (whole := _stages_that_came(model, come)):
        settings = settings.model_copy(update={"freeze": whole})
    report = dataclasses.replace(report, frozen=freeze(model, settings))
    anew = [name for name, p in model.named_parameters() if not p.requires_grad and name not in come]
    if anew:
        raise RecipeError(
            f"transfer.freeze = {settings.freeze!r} would hold weights still that did not come from {weights.source} "
            f"({_listed(anew)}): they would stay as they were drawn; freeze fewer stages, or none. {report.text()}"
        )
    return report


def _stages_that_came(model: nn.Module, come: set[str]) -> int:
    """How many of the first stages have all their parameters from the file, the last stage not counted."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    body = stages(model)[:-1]
    for number, (_, modules) in enumerate(body):
        if any(names[parameter] not in come for module in modules for parameter in module.parameters()):
            return number
    return len(body)


@torch.no_grad()
def load_matching(model: nn.Module, weights: Weights) -> TransferReport:
    """Copy every tensor of `weights` whose name and shape are one of `model`'s into it; the others stay as they are.

    Where all else below the last layer has the same shape, a first convolution for RGB images is summed over the channels for a grey
    network, and one for grey images spread evenly over them for an RGB network: on grey photos both give what they gave before.

    Raises:
        RecipeError: no weight below the last layer fits; says what would.
    """
    own = model.state_dict()
    fitting = {
        name: tensor for name, tensor in weights.tensors.items() if name in own and tensor.shape == own[name].shape
    }
    reshaped = [
        (name, tuple(own[name].shape), tuple(tensor.shape))
        for name, tensor in weights.tensors.items()
        if name in own and name not in fitting
    ]
    head = head_names(model)
    first = first_convolution(model)
    weight = f"{first[0]}.weight".lstrip(".") if first else ""
    others = {name for name, _, _ in reshaped} - head
    adapted = {}
    if first is not None and others == {weight}:
        changed = _between_grey_and_rgb(weights.tensors[weight], own[weight], first[2])
        adapted = {} if changed is None else {weight: changed}
    weighty = {name for name, parameter in model.named_parameters() if parameter.ndim > 1}
    if not (weighty - head or weighty) & (fitting.keys() | adapted.keys()):
        raise RecipeError(_fits_nothing(model, weights, reshaped))
    for name, tensor in (fitting | adapted).items():
        own[name].copy_(tensor)
    return TransferReport(
        source=weights.source, sha256=weights.sha256, network=weights.network, matched=tuple(fitting),
        adapted=tuple(item for item in reshaped if item[0] in adapted),
        reshaped=tuple(item for item in reshaped if item[0] not in adapted),
        missing=tuple(name for name in own if name not in weights.tensors),
        unexpected=tuple(name for name in weights.tensors if name not in own),
        tensors=len(own), numbers=sum(tensor.numel() for tensor in own.values()),
        numbers_taken=sum(own[name].numel() for name in fitting | adapted),
    )  # fmt: skip


def _between_grey_and_rgb(there: Tensor, here: Tensor, folding: int) -> Tensor | None:
    """The convolution `there` for images of the channels that `here` takes; None where it is not a matter of grey and RGB."""
    if there.ndim != 4 or (there.shape[0], *there.shape[2:]) != (here.shape[0], *here.shape[2:]):
        return None
    channels = there.shape[1] / folding, here.shape[1] / folding
    if channels == (RGB, 1):
        return there.reshape(len(there), RGB, *here.shape[1:]).sum(1)  # (O, 3 F, k, k) -> (O, F, k, k)
    if channels == (1, RGB):
        return there.repeat(1, RGB, 1, 1) / RGB
    return None


def _fits_nothing(
    model: nn.Module, weights: Weights, reshaped: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]]
) -> str:
    head = head_names(model)
    own = [name for name in model.state_dict() if name not in head and not name.endswith(COUNTERS)]
    theirs = [name for name in weights.tensors if not name.endswith(COUNTERS)]
    shapes = [f"{name} is {here} here and {there} there" for name, here, there in reshaped if name in own]
    why = f"; of the same name, but another shape: {_listed(shapes)}" if shapes else ""
    found = weights.network or _closest(weights.tensors)
    if found:
        remedy = f'these weights belong to {found}: choose model.name = "{found}"'
        if found and weights.network_args.get("image_size"):
            remedy += f" and images of {'x'.join(map(str, weights.network_args['image_size']))}"
    else:
        remedy = f"no network of the zoo has such tensors ({', '.join(info.name for info in zoo.list_models())})"
    return (
        f"{weights.source} fits nothing of this network below its last layer: the network has {_listed(own)}, the file has "
        f"{_listed(theirs)}{why}. {remedy[0].upper()}{remedy[1:]}"
    )


def _closest(tensors: Mapping[str, Tensor]) -> str | None:
    """The network of the zoo, as published, that finds most of its weights in `tensors`; None where none finds half of them."""
    best, found = 0.5, None
    for info in zoo.list_models():
        weighty = {name: shape for name, shape in shapes_of(info.name).items() if len(shape) > 1}
        share = sum(name in tensors and tensors[name].shape == shape for name, shape in weighty.items()) / len(weighty)
        if share > best:
            best, found = share, info.name
    return found


def _listed(items: Sequence[str]) -> str:
    more = len(items) - _NAMED
    return ", ".join(items[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(number: int) -> str:
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:.1f} thousand" if number < 1e6 else f"{number / 1e6:.1f} million"
