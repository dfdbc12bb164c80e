"""Open a file of weights, whoever wrote it, without running anything that it holds: `open_weights`."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facelearn import bundle as bundles
from facelearn.bundle.file import read_content
from facelearn.errors import BundleError, MissingExtraError
from facelearn.models import zoo
from facelearn.recipe.starting_weights import HubFile, hub_file, require_hash
from facelearn.transforms.preprocess import Preprocess
from facelearn.transforms.steps.number_steps import Fixed, Standardise, Whiten
from facelearn.transforms.steps.pixel_steps import NumberStep

IMAGENET = Preprocess.from_steps(
    ["scale", {"name": "fixed", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}]
)
"""What torchvision's weights were trained with: 0 .. 1, less ImageNet's mean, over its deviation, by channel (RGB)."""

COUNTERS = "num_batches_tracked"
_INSIDE = ("state_dict", "model_state_dict", "model")  # where programs keep the weights in a checkpoint
_WRAPPERS = ("module.", "_orig_mod.", "model.")  # what data parallelism, compilation and Lightning put before names
_CODE = re.compile(r"GLOBAL (\S+)|unsupported class|unrecognized function|Can only build")  # what torch says of them
_SAVE_AGAIN = "in the program that made it, write torch.save(model.state_dict(), 'weights.pth'), and give that file"


@dataclass(frozen=True, eq=False)
class Weights:
    """The tensors of one file and what is known of them.

    Attributes:
        tensors: by the name they have in the file (wrappers' prefixes, and what stands before a known body, left out), on the CPU;
            numbers are float32.
        source: where they came from, as it was asked for.
        sha256: checksum of the file.
        network: the zoo's name of the network they belong to; None where it is not known.
        network_args: the builder's arguments, of a model file of facelearn.
        task: what they were trained for, of a model file of facelearn.
        preprocess: how the images were prepared that they were trained on, fitted; of torchvision's weights only the numbers'
            steps (scale and ImageNet's mean and deviation); None where it is not known.
    """

    tensors: Mapping[str, Tensor]
    source: str
    sha256: str
    network: str | None = None
    network_args: Mapping[str, Any] = field(default_factory=dict)
    task: str | None = None
    preprocess: Preprocess | None = None

    def normalisation(self, channels: int) -> Preprocess | None:
        """The steps on numbers that these weights expect, fitted, for images of `channels` channels; None where it is not known.

        Between grey and RGB, means and deviations are averaged over the channels or repeated; numbers fitted for each pixel fit
        images of the same size only, and whitening the same number of channels only (else None).
        """
        if self.preprocess is None:
            return None
        steps = [_for_channels(step, channels) for step in self.preprocess.number_steps]
        return None if None in steps else Preprocess(number_steps=tuple(step for step in steps if step is not None))


def open_weights(source: str, *, sha256: str | None = None) -> Weights:
    """Read the weights in `source`; nothing in the file is run.

    Args:
        source: a model file of facelearn (of any task), a `.safetensors` or `.pth` of tensors by name (ResNet-18 and VGG-16 with
            torchvision's names are recognised), or `hf://OWNER/NAME/FILE@REVISION`, a file of the Hugging Face Hub, which is
            downloaded once and must be pinned by the 40 digits of its commit and by `sha256`.
        sha256: 64 hexadecimal digits that the file must have; checked before it is read any further.

    Raises:
        BundleError: no such file, empty, damaged, of another kind or checksum, or a pickle that asks for code to be run.
        RecipeError: a file of the Hub that is not pinned.
        MissingExtraError: a file of the Hub without huggingface_hub.
    """
    file = hub_file(source)
    path = Path(source).expanduser() if file is None else _download(file, require_hash(file, sha256))
    content = read_content(path)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise BundleError(
            f"{source} is not the file that was meant: its SHA-256 is {found}, expected {sha256.lower()}; "
            "get the file again, or correct sha256 if you trust this one"
        )
    if content.startswith((b"PK\x03\x04", b"\x80")):
        return _foreign(_unpickled(content, source), source, found)
    if "facelearn" in _metadata(content):
        return _of_bundle(bundles.load(path), source, found)
    return _foreign(_safetensors(content, source), source, found)


def _of_bundle(bundle: bundles.Bundle, source: str, sha256: str) -> Weights:
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in bundle.weights.items()}  # writable copies
    return Weights(tensors, source, sha256, bundle.network, bundle.network_args, bundle.task, bundle.preprocess)


def _foreign(tensors: Mapping[str, Any], source: str, sha256: str) -> Weights:
    tensors = {name: _checked(name, tensor, source) for name, tensor in _unwrapped(tensors).items()}
    if not tensors:
        raise BundleError(f"{source} holds no tensors; give a file of weights")
    tensors = dict(_without_prefix(tensors))
    network, channels = recognise(tensors)
    return Weights(tensors, source, sha256, network, preprocess=IMAGENET if channels == 3 else None)


def _metadata(content: bytes) -> Mapping[str, Any]:
    """The texts in the header of a safetensors file; empty where there are none, or it is none."""
    length = int.from_bytes(content[:8], "little")
    try:
        facts = json.loads(content[8 : 8 + length]).get("__metadata__")
    except (ValueError, AttributeError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _safetensors(content: bytes, source: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, KeyError) as error:
        raise BundleError(
            f"{source} cannot be read as weights ({error}); give a model that facelearn train wrote, a .safetensors or a .pth of weights, "
            "and copy it again if it is one"
        ) from error


def _unpickled(content: bytes, source: str) -> Mapping[str, Any]:
    """The tensors by name of a file that torch.save wrote."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols and TorchScript: the errors below say what matters
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes lead the unpickler to whatever they may
        if asked := _CODE.search(str(error)):
            what = f" ('{asked[1]}')" if asked[1] else ""
            raise BundleError(
                f"{source} holds more than tensors: reading it would run code of whoever made it{what}, which facelearn does not do; "
                + _SAVE_AGAIN
            ) from error
        if "TorchScript" in str(error):
            raise BundleError(f"{source} is a TorchScript program, not weights; {_SAVE_AGAIN}") from error
        reason = str(error).strip().split("\n")[0][:120]
        raise BundleError(
            f"{source} is a zip archive or a pickle, but no whole file of PyTorch weights ({reason}); give a .safetensors or a .pth of "
            "weights, and copy it again if it is one"
        ) from error
    for key in _INSIDE:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(tensor, Tensor) for tensor in loaded.values()):
        raise BundleError(
            f"{source} holds {_kind(loaded)}, not tensors by name (nor {{'state_dict': tensors by name}}); {_SAVE_AGAIN}"
        )
    return {str(name): tensor for name, tensor in loaded.items()}


def _kind(loaded: object) -> str:
    if not isinstance(loaded, dict):
        return f"one {type(loaded).__name__}"
    other = next(
        (f"'{name}' ({type(item).__name__})" for name, item in loaded.items() if not isinstance(item, Tensor)), ""
    )
    return f"a dictionary with {other}" if other else "an empty dictionary"


def _unwrapped(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """`tensors` without the prefixes that wrappers put before every name."""
    for _ in range(len(_WRAPPERS)):
        for prefix in _WRAPPERS:
            if tensors and all(name.startswith(prefix) for name in tensors):
                tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _checked(name: str, tensor: Tensor, source: str) -> Tensor:
    """`tensor` as float32 (or its whole numbers), refused where it holds no plain finite numbers."""
    if tensor.is_quantized or tensor.is_sparse or tensor.is_complex() or tensor.device.type == "meta":
        kind = f"{tensor.device.type} {tensor.layout} {tensor.dtype}".replace("torch.", "")
        raise BundleError(
            f"'{name}' in {source} holds no plain numbers ({kind}); save the weights of the float network"
        )
    if not tensor.is_floating_point():
        return tensor.contiguous()
    numbers = tensor.detach().to(torch.float32).contiguous()
    if not bool(torch.isfinite(numbers).all()):
        raise BundleError(
            f"'{name}' in {source} holds NaN or infinity: its training went astray; use an earlier checkpoint"
        )
    return numbers


def recognise(tensors: Mapping[str, Tensor]) -> tuple[str | None, int]:
    """The network with torchvision's names whose names and shapes these are, and the channels of its images.

    The body decides: the head may have other classes, be another one of any name, or not be there at all. A whole network with more
    beside it is another network.
    """
    for network in (info.name for info in zoo.list_models() if info.torchvision):
        first, body = _body(network)
        own = shapes_of(network).keys()
        if own <= tensors.keys() and any(name not in own for name in tensors if not name.endswith(COUNTERS)):
            continue
        if first not in tensors or tensors[first].ndim != 4:
            continue
        tops = {name.split(".")[0] for name in body}
        named = {name for name in tensors if name.split(".")[0] in tops and not name.endswith(COUNTERS)}
        maps, channels, *kernel = tensors[first].shape
        rest = named - {first}
        if (
            named == body.keys()
            and (maps, *kernel) == body[first][:1] + body[first][2:]
            and all(tensors[name].shape == body[name] for name in rest)
        ):
            return network, channels
    return None, 0


def _body(network: str) -> tuple[str, dict[str, tuple[int, ...]]]:
    """The first tensor's name, and names and shapes of all before the head (what stands where the last tensor does)."""
    own = shapes_of(network)
    names = list(own)
    head = names[-1].split(".")[0]
    return names[0], {name: shape for name, shape in own.items() if name.split(".")[0] != head}


def _without_prefix(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """`tensors` without what stands before every name of the body of a network with torchvision's names, as `backbone.`."""
    for first in {_body(info.name)[0] for info in zoo.list_models() if info.torchvision}:
        for name in tensors:
            prefix = name.removesuffix(first)
            if prefix and prefix != name and prefix.endswith("."):
                inner = {other.removeprefix(prefix): tensor for other, tensor in tensors.items()}
                if len(inner) == len(tensors) and recognise(inner)[0] is not None:
                    return inner
    return tensors


def shapes_of(network: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network of the zoo as published, in order; counters of batch norms are left out."""
    with torch.device("meta"):
        built = zoo.build(network)
    return {name: tuple(tensor.shape) for name, tensor in built.state_dict().items() if not name.endswith(COUNTERS)}


def _download(file: HubFile, sha256: str) -> Path:
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hub") from error
    try:
        return Path(hub.hf_hub_download(repo_id=file.repository, filename=file.file, revision=file.revision))
    except Exception as error:
        raise BundleError(
            f"cannot get '{file.file}' of {file.repository} at {file.revision} from the Hub ({error}); look at "
            f"https://huggingface.co/{file.repository}/tree/{file.revision}, or download the file and give its path"
        ) from error


def _for_channels(step: NumberStep, channels: int) -> NumberStep | None:
    if isinstance(step, Fixed):
        if len(step.mean) in (1, channels):
            return step
        return Fixed((sum(step.mean) / len(step.mean),), (sum(step.std) / len(step.std),))
    fitted = getattr(step, "mean", None)
    if not isinstance(step, Standardise | Whiten) or fitted is None or len(fitted) == channels:
        return step
    if isinstance(step, Whiten):
        return None
    arrays = {name: getattr(step, name).mean(0, keepdims=True).repeat(channels, 0) for name in ("mean", "std")}
    return dataclasses.replace(step, **arrays)
